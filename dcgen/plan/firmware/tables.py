"""The runtime's decoding tables: how many bits of a code they are entered with, and how large that makes them.

Longer codes take a second look-up, in a part of the table that their first bits have to themselves. So tables that
are entered with few bits are small, and those that are entered with many spare look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dcgen.encode.blob import Blob
from dcgen.encode.schema import MAX_CODE_BITS

MIN_TABLE_BITS: Final = 4
"""The mask of a second look-up has 8 bits."""
TABLE_BITS: Final = range(MIN_TABLE_BITS, MAX_CODE_BITS + 1)
"""That a table can be entered with."""
SPARE: Final = 8
"""For so many words of a table one more, for other weights of the same network, whose tables may be larger."""
WORD_COST = 7.5
"""Instructions to fill a word of a table: 5 to 10, as cores go."""
SECOND_COST = 19.5
"""That a second look-up takes: 12 to 22."""


def table_words(n_symbols: Sequence[int], bits: int) -> int:
    """32-bit words of a table that is entered with ``bits`` bits, as ``dcg_weights_table.c`` lays it out.

    n_symbols : symbols with codes of 0 .. MAX_CODE_BITS bits
    """
    words, end = 1 << bits, 0
    for length in range(1, MAX_CODE_BITS + 1):
        first, width = 2 * end, length - bits
        end = first + n_symbols[length]
        if width > 0:  # of the prefixes that no longer code has, each takes as many bits as the longest one here
            behind = -(-end >> width) if length == MAX_CODE_BITS else end >> width
            words += (behind - (first >> width)) << width
    return words


def capacity(blob: Blob, bits: int) -> int:
    """Words for the largest table of a network whose weights are like those of ``blob``."""
    words = max((table_words(n, bits) for n in _tables(blob)), default=0)
    return words + -(-words // SPARE)


def fastest_bits(blob: Blob) -> int:
    """With which tables are filled and read in the fewest instructions, where each is filled once; escapes, which
    are rare, not counted."""
    streams = [layer.stream for layer in blob.layers if layer.stream is not None]
    n_codes: list[int] = [sum(lengths) for lengths in zip(*(s.n_codes for s in streams), strict=True)]

    def cost(bits: int) -> float:
        words = sum(table_words(n, bits) for n in _tables(blob))
        return WORD_COST * words + SECOND_COST * sum(n_codes[bits + 1 :])

    return min(TABLE_BITS, key=cost)


def bit_choices(blob: Blob) -> tuple[int, ...]:
    """The fastest, then those that make tables ever smaller."""
    found = [fastest_bits(blob)]
    for bits in range(found[0] - 1, MIN_TABLE_BITS - 1, -1):
        if capacity(blob, bits) < capacity(blob, found[-1]):
            found.append(bits)
    return tuple(found)


def _tables(blob: Blob) -> list[tuple[int, ...]]:
    """Of each, how many symbols have codes of 0 .. MAX_CODE_BITS bits."""
    return [n for layer in blob.layers if layer.stream is not None for n in layer.stream.n_symbols]
