"""The runtime's decoding tables: how many bits of a code they are entered with, and how large that makes them.

A table is entered with the next bits of the stream. Codes that are longer take a second look-up, in a part of the
table that belongs to their first bits. So a table that is entered with few bits is small, and one that is entered
with many saves second look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dcgen.encode.blob import Blob
from dcgen.encode.schema import MAX_CODE_BITS

MIN_TABLE_BITS: Final = 4
"""Fewest bits that a table is entered with: the second look-up has a mask of 8 bits for the rest of a code."""
TABLE_BITS: Final = range(MIN_TABLE_BITS, MAX_CODE_BITS + 1)
"""Numbers of bits that a table can be entered with."""
SPARE: Final = 8
"""A plan has room for one word more in so many, as other weights of the same network may need larger tables."""
WORD_COST = 4.0
"""Instructions to fill a word of a table; 2 to 6, depending on the core."""
SECOND_COST = 18.0
"""Instructions of a second look-up; 10 to 21, depending on the core."""


def table_words(n_symbols: Sequence[int], bits: int) -> int:
    """32-bit words of a table that is entered with ``bits`` bits, as ``dcg_weights_table.c`` lays it out.

    n_symbols : how many symbols have codes of 0, 1, .. MAX_CODE_BITS bits
    """
    words, end = 1 << bits, 0
    for length in range(1, MAX_CODE_BITS + 1):
        first, width = 2 * end, length - bits
        end = first + n_symbols[length]
        if width > 0:  # each prefix whose longest code has this length takes 2**width words
            behind = -(-end >> width) if length == MAX_CODE_BITS else end >> width
            words += (behind - (first >> width)) << width
    return words


def capacity(blob: Blob, bits: int) -> int:
    """32-bit words that suffice for each table of a network whose weights are like those of ``blob``."""
    words = max((table_words(n, bits) for n in _tables(blob)), default=0)
    return words + -(-words // SPARE)


def fastest_bits(blob: Blob) -> int:
    """The number of bits with which filling all tables once and reading all codes takes the fewest instructions.

    Escapes are rare and not counted.
    """
    streams = [layer.stream for layer in blob.layers if layer.stream is not None]
    n_codes: list[int] = [sum(lengths) for lengths in zip(*(s.n_codes for s in streams), strict=True)]

    def cost(bits: int) -> float:
        words = sum(table_words(n, bits) for n in _tables(blob))
        return WORD_COST * words + SECOND_COST * sum(n_codes[bits + 1 :])

    return min(TABLE_BITS, key=cost)


def bit_choices(blob: Blob) -> tuple[int, ...]:
    """The fastest number of bits, then those that make tables ever smaller, descending."""
    found = [fastest_bits(blob)]
    for bits in range(found[0] - 1, MIN_TABLE_BITS - 1, -1):
        if capacity(blob, bits) < capacity(blob, found[-1]):
            found.append(bits)
    return tuple(found)


def _tables(blob: Blob) -> list[tuple[int, ...]]:
    """For each table, how many symbols have codes of 0, 1, .. MAX_CODE_BITS bits."""
    return [n for layer in blob.layers if layer.stream is not None for n in layer.stream.n_symbols]
