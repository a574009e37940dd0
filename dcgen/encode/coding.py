"""One convolution's weights as a coded stream: the choice of parameters, writing, reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.bits import gather, pack_bits, windows
from dcgen.encode.huffman import CodeTable, of_each_length
from dcgen.encode.schema import ESCAPE, MAX_CODE_BITS, STREAM_GUARD_BYTES, Coding
from dcgen.encode.symbols import Entries
from dcgen.errors import BlobError, ConfigError

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

CodingName = Literal["joint", "deep-compression", "smallest"]

SIZE_SLACK = 0.001
"""Part of a layer's size given away for fewer entries: each filler costs a decoding step."""
MAX_RUN_BITS = 12
MAX_GAP_BITS = 8
CHAIN_BITS = 1 << 20
"""Bit positions whose successors are held in memory at once while reading."""
NOWHERE = 1 << 60
"""Successor of a position where no code matches."""


@dataclass(frozen=True)
class CodingSettings:
    """How convolutions' weights are coded.

    coding : ``joint``, ``deep-compression`` (gaps and levels apart, as Han et al. 2016), or per
        layer the ``smallest`` of the two, the latter then with any width of gap
    index_bits_conv, index_bits_fc : bits of a gap under ``deep-compression``, 1..8, for
        convolutions and for fully connected layers
    """

    coding: CodingName = "joint"
    index_bits_conv: int = 4
    index_bits_fc: int = 5

    def __post_init__(self) -> None:
        if self.coding not in ("joint", "deep-compression", "smallest"):
            raise ConfigError("coding", f"is {self.coding!r}, expected joint, deep-compression or smallest")
        for name in ("index_bits_conv", "index_bits_fc"):
            bits = getattr(self, name)
            if not 1 <= bits <= MAX_GAP_BITS:
                raise ConfigError(name, f"is {bits}, expected 1..{MAX_GAP_BITS}")


@dataclass(frozen=True, eq=False)
class StreamCode:
    """How a stream's bits become entries.

    level_bits, run_bits : as in ``schema.CONV_HEADER``
    tables : the joint code, or the gaps' and the levels'
    """

    coding: Coding
    level_bits: int
    run_bits: int
    tables: tuple[CodeTable, ...]

    @property
    def max_code_bits(self) -> int:
        return max(t.max_bits for t in self.tables)


@dataclass(frozen=True, eq=False)
class CodedStream:
    """Entries as bytes. ``data`` ends with the guard and is a multiple of four bytes long.

    n_escapes : entries without a code of their own
    n_codes : codes of 0 .. MAX_CODE_BITS bits each, escapes left out
    """

    code: StreamCode
    tables: tuple[bytes, ...]
    data: bytes
    bits: int
    n_entries: int
    n_escapes: int
    n_codes: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the tables and the stream."""
        return sum(map(len, self.tables)) + len(self.data)


def stream_size(bits: int) -> int:
    """Bytes of a stream of ``bits`` bits with its guard."""
    return ((bits + 7) // 8 + STREAM_GUARD_BYTES + 3) // 4 * 4


def level_bits(n_levels: int) -> int:
    """Bits of a level index in a joint symbol."""
    return max(1, (n_levels - 1).bit_length())


def code_entries(entries: Entries, n_levels: int, settings: CodingSettings, fully_connected: bool) -> CodedStream:
    """Code one layer's weights (``entries`` without fillers) as ``settings`` say."""
    width = settings.index_bits_fc if fully_connected else settings.index_bits_conv
    match settings.coding:
        case "joint":
            return code_joint(entries, n_levels)
        case "deep-compression":
            return code_gaps(entries, n_levels, width)
        case "smallest":
            # Narrow gaps in sparse layers only add fillers, which can be many.
            widths = [b for b in range(1, 9) if entries.n_limited((1 << b) - 1) <= 2 * len(entries)] or [8]
            gaps = (code_gaps(entries, n_levels, b) for b in widths)
            return min((code_joint(entries, n_levels), *gaps), key=lambda c: c.size)


def code_gaps(entries: Entries, n_levels: int, gap_bits: int) -> CodedStream:
    """Deep Compression's coding: gaps of ``gap_bits`` bits and levels, each with its Huffman code."""
    entries = entries.limited((1 << gap_bits) - 1)
    gaps = CodeTable.from_counts(np.bincount(entries.runs, minlength=1))
    levels = CodeTable.from_counts(np.bincount(entries.levels, minlength=n_levels))
    gap_widths = gaps.all_lengths[entries.runs].astype(np.int64)
    level_widths = levels.all_lengths[entries.levels].astype(np.int64)
    n_codes = of_each_length(np.concatenate([gap_widths, level_widths]))
    second = levels.sent[entries.levels].astype(np.uint64) << gap_widths.astype(np.uint64)
    code = StreamCode(Coding.GAPS, 8, gap_bits, (gaps, levels))
    return _stream(code, entries, gaps.sent[entries.runs] | second, gap_widths + level_widths, 0, n_codes)


def code_joint(entries: Entries, n_levels: int) -> CodedStream:
    """One code over (run, level) symbols; the rare ones and the long runs are escaped.

    The width of an escaped run and the count below which a symbol gives up its code are those of
    the smallest table and stream, but for the slack that fewer entries are worth.
    """
    bits = level_bits(n_levels)
    candidates = list(_joint_candidates(entries, bits))
    bound = min(c.size for c in candidates) * (1 + SIZE_SLACK)
    best = min((c for c in candidates if c.size <= bound), key=lambda c: (c.n_entries, c.size))

    entries = entries.limited((1 << best.run_bits) - 1)
    table, n = best.table, len(best.table.lengths)
    symbols = _joint_symbols(entries, bits)
    index = np.where((symbols < n) & (table.all_lengths[np.minimum(symbols, n)] > 0), symbols, n)
    escaped = index == n
    raw = (entries.runs | entries.levels.astype(np.int64) << best.run_bits).astype(np.uint64)
    widths = table.all_lengths[index].astype(np.int64)
    values = table.sent[index] | np.where(escaped, raw << widths.astype(np.uint64), np.uint64(0))
    n_codes = of_each_length(widths[~escaped])
    widths += np.where(escaped, best.run_bits + bits, 0)
    code = StreamCode(Coding.JOINT, bits, best.run_bits, (table,))
    return _stream(code, entries, values, widths, int(escaped.sum()), n_codes)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A setting of the joint code: ``size`` is the bytes of its packed table and stream."""

    size: int
    n_entries: int
    run_bits: int
    table: CodeTable


def _joint_symbols(entries: Entries, bits: int) -> I64:
    """int64 [E]: the joint symbol of each entry, ESCAPE where there is none."""
    symbols: I64 = np.minimum(entries.runs << bits | entries.levels, ESCAPE)
    return symbols


def _joint_candidates(entries: Entries, bits: int) -> Iterator[_Candidate]:
    """Every width of an escaped run and every step of the least count worth a look."""
    widest = min(int(entries.runs.max(initial=0)).bit_length(), MAX_RUN_BITS)
    for run_bits in range(widest, -1, -1):
        # Each bit less makes more fillers; beyond a quarter more entries nothing is gained.
        if run_bits < widest and entries.n_limited((1 << run_bits) - 1) > 1.25 * len(entries):
            return
        limited = entries.limited((1 << run_bits) - 1)
        counts = np.bincount(_joint_symbols(limited, bits), minlength=ESCAPE + 1)[:ESCAPE]
        least = 1
        while True:
            kept = np.where(counts >= least, counts, 0)
            escapes = len(limited) - int(kept.sum())
            table = CodeTable.from_counts(kept, escapes)
            n = len(table.lengths)
            stream = int((kept[:n] * table.lengths).sum())
            stream += escapes * (table.escape_length + run_bits + bits)
            yield _Candidate(table.packed_bytes + stream_size(stream), len(limited), run_bits, table)
            if not kept.any():
                break
            least = max(least + 1, least * 5 // 4)


def _stream(
    code: StreamCode, entries: Entries, values: U64, widths: I64, n_escapes: int, n_codes: tuple[int, ...]
) -> CodedStream:
    packed, bits = pack_bits(values, widths)
    tables = tuple(t.pack() for t in code.tables)
    data = packed.ljust(stream_size(bits), b"\0")
    return CodedStream(code, tables, data, bits, len(entries), n_escapes, n_codes)


def read_entries(data: bytes, bits: int, n_entries: int, code: StreamCode) -> Entries:
    """Decode a stream of ``n_entries`` entries in ``bits`` bits, eight zero bytes behind them.

    Raises BlobError CODE where no code matches and STREAM where entries and bits do not agree.
    """
    array = np.frombuffer(data, np.uint8)
    starts = _chain(array, bits, n_entries, code)
    if code.coding is Coding.GAPS:
        gaps, levels = code.tables
        first = _look_up(gaps, gather(array, starts))
        second = _look_up(levels, gather(array, starts + (first & 15)))
        return Entries(first >> 4, (second >> 4).astype(np.uint8))
    (table,) = code.tables
    window = gather(array, starts)
    found = _look_up(table, window)
    symbols = found >> 4
    raw = (window >> (found & 15).astype(np.uint64)).astype(np.int64)
    escaped = symbols == ESCAPE
    runs = np.where(escaped, raw & ((1 << code.run_bits) - 1), symbols >> code.level_bits)
    level = np.where(escaped, raw >> code.run_bits, symbols) & ((1 << code.level_bits) - 1)
    return Entries(runs, level.astype(np.uint8))


def _look_up(table: CodeTable, window: U64) -> I64:
    mask = np.uint64((1 << table.max_bits) - 1)
    found: I64 = table.lookup[(window & mask).astype(np.int64)].astype(np.int64)
    return found


def _chain(array: NDArray[np.uint8], bits: int, n_entries: int, code: StreamCode) -> I64:
    """int64 [n_entries]: the bit position at which each entry starts.

    The width of the entry that would start at every bit is looked up by the array; what is left
    for Python is to follow the chain from one to the next.
    """
    starts: list[int] = []
    at = 0
    for base in range(0, bits, CHAIN_BITS):
        stop = min(bits, base + CHAIN_BITS)
        steps = (np.arange(base, stop) + _widths(array, base, stop, code)).tolist()
        while at < stop:
            starts.append(at)
            at = steps[at - base]
        if at >= NOWHERE:
            break
    if at >= NOWHERE:
        raise BlobError("stream", f"no code matches entry {len(starts) - 1}", code="CODE")
    if at != bits or len(starts) != n_entries:
        raise BlobError(
            "stream", f"{len(starts)} entries end at bit {at}, expected {n_entries} at {bits}", code="STREAM"
        )
    return np.array(starts, np.int64)


def _widths(array: NDArray[np.uint8], start: int, stop: int, code: StreamCode) -> I64:
    """int64 [stop - start]: bits of the entry that starts at each bit, NOWHERE where none can."""
    margin = MAX_CODE_BITS + 4 if code.coding is Coding.GAPS else 0
    window = windows(array, start, (stop + margin + 7) // 8 * 8)
    first = _code_widths(code.tables[0], window)
    if code.coding is Coding.JOINT:
        (table,) = code.tables
        escapes = table.lookup[window & ((1 << table.max_bits) - 1)] >> 4 == ESCAPE
        first += escapes * (code.run_bits + code.level_bits)
        return first[: stop - start]
    first = first[: stop - start]
    second = _code_widths(code.tables[1], window)
    behind = np.arange(stop - start) + np.minimum(first, MAX_CODE_BITS)
    both: I64 = np.minimum(first + second[behind], NOWHERE)
    return both


def _code_widths(table: CodeTable, window: NDArray[np.uint32]) -> I64:
    widths = (table.lookup & 15).astype(np.int64)
    every: I64 = np.where(widths > 0, widths, NOWHERE)[window & ((1 << table.max_bits) - 1)]
    return every
