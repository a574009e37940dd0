"""The coding JOINT: one code over symbols that are a zero run and a level together, the rare ones escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dcgen.encode.bits import gather, windows
from dcgen.encode.huffman import CodeTable, of_each_length
from dcgen.encode.schema import ESCAPE, Coding
from dcgen.encode.stream import I64, U8, CodedStream, StreamCode, code_widths, look_up, stream_size
from dcgen.encode.symbols import Entries

SIZE_SLACK = 0.001
"""Share of a layer's size that is given away for fewer entries: each filler costs a decoding step."""
MAX_RUN_BITS = 12


@dataclass(frozen=True, eq=False)
class JointCode(StreamCode):
    """An entry is the code of ``run << level_bits | level``, or that of ESCAPE and then both as raw bits."""

    coding = Coding.JOINT

    @staticmethod
    def fits(level_bits: int, run_bits: int, n_levels: int, table2_bytes: int) -> bool:
        bits = 1 <= level_bits <= 8 and run_bits <= MAX_RUN_BITS
        return bits and n_levels <= 1 << level_bits and table2_bytes == 0

    @classmethod
    def unpack(cls, level_bits: int, run_bits: int, packed: Sequence[bytes]) -> JointCode:
        return cls(level_bits, run_bits, (CodeTable.unpack(packed[0], ESCAPE, True),))

    def widths(self, array: U8, start: int, stop: int) -> I64:
        (table,) = self.tables
        window = windows(array, start, (stop + 7) // 8 * 8)
        escapes = table.lookup[window & ((1 << table.max_bits) - 1)] >> 4 == ESCAPE
        every: I64 = code_widths(table, window) + escapes * (self.run_bits + self.level_bits)
        return every[: stop - start]

    def entries(self, array: U8, starts: I64) -> Entries:
        (table,) = self.tables
        window = gather(array, starts)
        found = look_up(table, window)
        symbols = found >> 4
        raw = (window >> (found & 15).astype(np.uint64)).astype(np.int64)
        escaped = symbols == ESCAPE
        runs = np.where(escaped, raw & ((1 << self.run_bits) - 1), symbols >> self.level_bits)
        levels = np.where(escaped, raw >> self.run_bits, symbols) & ((1 << self.level_bits) - 1)
        return Entries(runs, levels.astype(np.uint8))


def code_joint(entries: Entries, n_levels: int) -> CodedStream:
    """``entries`` (without fillers) in the joint code.

    Two numbers are chosen: the width of an escaped run, and the count below which a symbol has no code of its own.
    Of the pairs whose table and stream are within ``SIZE_SLACK`` of the smallest, that with fewest entries wins.
    """
    bits = max(1, (n_levels - 1).bit_length())
    candidates = list(_candidates(entries, bits))
    bound = min(c.size for c in candidates) * (1 + SIZE_SLACK)
    best = min((c for c in candidates if c.size <= bound), key=lambda c: (c.n_entries, c.size))

    entries = entries.limited((1 << best.run_bits) - 1)
    table, n = best.table, len(best.table.lengths)
    symbols = _symbols(entries, bits)
    index = np.where((symbols < n) & (table.all_lengths[np.minimum(symbols, n)] > 0), symbols, n)
    escaped = index == n
    raw = (entries.runs | entries.levels.astype(np.int64) << best.run_bits).astype(np.uint64)
    widths = table.all_lengths[index].astype(np.int64)
    values = table.sent[index] | np.where(escaped, raw << widths.astype(np.uint64), np.uint64(0))
    n_codes = of_each_length(widths[~escaped])
    widths += np.where(escaped, best.run_bits + bits, 0)
    code = JointCode(bits, best.run_bits, (table,))
    return CodedStream.pack(code, entries, values, widths, int(escaped.sum()), n_codes)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """One choice of the two numbers.

    size : bytes of its packed table and stream
    run_bits : width of an escaped run
    """

    size: int
    n_entries: int
    run_bits: int
    table: CodeTable


def _symbols(entries: Entries, bits: int) -> I64:
    """int64 [E]: the symbol of each entry with ``bits`` bits of level, ESCAPE where there is none."""
    symbols: I64 = np.minimum(entries.runs << bits | entries.levels, ESCAPE)
    return symbols


def _candidates(entries: Entries, bits: int) -> Iterator[_Candidate]:
    """The widths of an escaped run and the least counts that are worth a look."""
    smallest: float = np.inf
    widest = min(int(entries.runs.max(initial=0)).bit_length(), MAX_RUN_BITS)
    for run_bits in range(widest, -1, -1):
        # Each bit less makes more fillers. With over a quarter more entries, nothing is gained.
        if run_bits < widest and entries.n_limited((1 << run_bits) - 1) > 1.25 * len(entries):
            return
        limited = entries.limited((1 << run_bits) - 1)
        counts = np.bincount(_symbols(limited, bits), minlength=ESCAPE + 1)[:ESCAPE]
        least, n_coded = 1, -1
        while n_coded:  # symbols with a code of their own: the last candidate has none
            kept = np.where(counts >= least, counts, 0)
            least, n_before, n_coded = max(least + 1, least * 5 // 4), n_coded, int(np.count_nonzero(kept))
            if n_coded == n_before:
                continue
            escapes = len(limited) - int(kept.sum())
            if escapes * (1 + run_bits + bits) > 8 * smallest * (1 + SIZE_SLACK):
                break  # what is escaped is too long already, and each further candidate escapes more
            table = CodeTable.from_counts(kept, escapes)
            n = len(table.lengths)
            stream = int((kept[:n] * table.lengths).sum())
            stream += escapes * (table.escape_length + run_bits + bits)
            size = table.packed_bytes + stream_size(stream)
            smallest = min(smallest, size)
            yield _Candidate(size, len(limited), run_bits, table)
