"""The coding GAPS, Deep Compression's (Han et al. 2016): a Huffman code over gaps and one over levels.

A gap is the run of zeros in front of a weight. ``symbols`` says what entries and fillers are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgen.encode.bits import gather, windows
from dcgen.encode.huffman import CodeTable, of_each_length
from dcgen.encode.schema import MAX_CODE_BITS, MAX_LEVELS, Coding
from dcgen.encode.stream import I64, NOWHERE, U8, CodedStream, StreamCode, code_widths, look_up
from dcgen.encode.symbols import Entries

MAX_GAP_BITS = 8
LEVEL_BITS = 8
"""``level_bits`` in the header of a layer with this coding: the code of levels may list all 256."""


@dataclass(frozen=True, eq=False)
class GapsCode(StreamCode):
    """Each entry is the code of its gap, from ``tables[0]``, and then that of its level, from ``tables[1]``.

    run_bits : bits of a gap, so that the longest gap of an entry is 2**run_bits - 1
    """

    coding = Coding.GAPS

    @staticmethod
    def fits(level_bits: int, run_bits: int, n_levels: int, table2_bytes: int) -> bool:
        return level_bits == LEVEL_BITS and 1 <= run_bits <= MAX_GAP_BITS

    @classmethod
    def unpack(cls, level_bits: int, run_bits: int, packed: Sequence[bytes]) -> GapsCode:
        gaps = CodeTable.unpack(packed[0], 1 << run_bits, False)
        return cls(level_bits, run_bits, (gaps, CodeTable.unpack(packed[1], MAX_LEVELS, False)))

    def widths(self, array: U8, start: int, stop: int) -> I64:
        # Beyond ``stop``, too: a level's code begins up to MAX_CODE_BITS behind the begin of its entry.
        window = windows(array, start, (stop + MAX_CODE_BITS + 11) // 8 * 8)
        first, second = code_widths(self.tables[0], window)[: stop - start], code_widths(self.tables[1], window)
        behind = np.arange(stop - start) + np.minimum(first, MAX_CODE_BITS)
        both: I64 = np.minimum(first + second[behind], NOWHERE)
        return both

    def entries(self, array: U8, starts: I64) -> Entries:
        gaps, levels = self.tables
        # look_up gives symbol << 4 | bits of the code.
        first = look_up(gaps, gather(array, starts))
        second = look_up(levels, gather(array, starts + (first & 15)))
        return Entries(first >> 4, (second >> 4).astype(np.uint8))


def code_gaps(entries: Entries, n_levels: int, gap_bits: int) -> CodedStream:
    """``entries`` as a stream of this coding, with Huffman codes made for them.

    entries : without fillers; these are added where a run of zeros is longer than a gap of ``gap_bits`` bits
    n_levels : levels of the codebook, zero included
    """
    entries = entries.limited((1 << gap_bits) - 1)
    gaps = CodeTable.from_counts(np.bincount(entries.runs, minlength=1))
    levels = CodeTable.from_counts(np.bincount(entries.levels, minlength=n_levels))
    gap_widths = gaps.all_lengths[entries.runs].astype(np.int64)
    level_widths = levels.all_lengths[entries.levels].astype(np.int64)
    n_codes = of_each_length(np.concatenate([gap_widths, level_widths]))
    second = levels.sent[entries.levels].astype(np.uint64) << gap_widths.astype(np.uint64)
    code = GapsCode(LEVEL_BITS, gap_bits, (gaps, levels))
    return CodedStream.pack(code, entries, gaps.sent[entries.runs] | second, gap_widths + level_widths, 0, n_codes)
