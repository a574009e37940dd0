"""A coded stream of entries. Each coding is a subclass of ``StreamCode``: see ``joint`` and ``gaps``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.bits import pack_bits
from dcgen.encode.huffman import CodeTable
from dcgen.encode.schema import STREAM_GUARD_BYTES, Coding
from dcgen.encode.symbols import Entries
from dcgen.errors import BlobError

U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

CHAIN_BITS = 1 << 20
"""Bit positions whose successors are held in memory at once while reading."""
NOWHERE = 1 << 60
"""Width, in bits, of an entry at a position where no code matches: beyond the end of any stream."""


@dataclass(frozen=True, eq=False)
class StreamCode(ABC):
    """How a stream's bits become entries. A subclass is one coding.

    level_bits, run_bits : as in ``schema.CONV_HEADER``
    tables : the coding's code tables, in the order in which they lie in the blob
    """

    coding: ClassVar[Coding]
    level_bits: int
    run_bits: int
    tables: tuple[CodeTable, ...]

    @staticmethod
    @abstractmethod
    def fits(level_bits: int, run_bits: int, n_levels: int, table2_bytes: int) -> bool:
        """Whether a ConvHeader of this coding may hold these values."""

    @classmethod
    @abstractmethod
    def unpack(cls, level_bits: int, run_bits: int, packed: Sequence[bytes]) -> Self:
        """The code from the two packed tables of a section, the second of which may be empty.

        Raises BlobError TABLE where they are malformed.
        """

    @abstractmethod
    def widths(self, array: U8, start: int, stop: int) -> I64:
        """int64 [stop - start]: bits of the entry that would start at each bit, NOWHERE where none can."""

    @abstractmethod
    def entries(self, array: U8, starts: I64) -> Entries:
        """The entries that start at the bits ``starts``, int64 [E]."""

    @property
    def max_code_bits(self) -> int:
        """Length of the longest code in any of the tables."""
        return max((t.max_bits for t in self.tables), default=0)


@dataclass(frozen=True, eq=False)
class CodedStream:
    """Entries as bytes.

    tables : the packed code tables
    data : the stream with its guard, a multiple of four bytes long
    bits : bits used in the stream
    n_entries : coded entries, fillers included
    n_escapes : those of them without a code of their own
    n_codes : codes of 0 .. MAX_CODE_BITS bits each, escapes left out
    """

    code: StreamCode
    tables: tuple[bytes, ...]
    data: bytes
    bits: int
    n_entries: int
    n_escapes: int
    n_codes: tuple[int, ...]

    @classmethod
    def pack(
        cls,
        code: StreamCode,
        entries: Entries,
        values: U64,
        widths: I64,
        n_escapes: int,
        n_codes: tuple[int, ...],
    ) -> CodedStream:
        """The stream in which entry i is ``values[i]`` in ``widths[i]`` bits."""
        packed, bits = pack_bits(values, widths)
        tables = tuple(t.pack() for t in code.tables)
        data = packed.ljust(stream_size(bits), b"\0")
        return cls(code, tables, data, bits, len(entries), n_escapes, n_codes)

    @property
    def size(self) -> int:
        """Bytes of the tables and the stream."""
        return sum(map(len, self.tables)) + len(self.data)


def stream_size(bits: int) -> int:
    """Bytes of a stream of ``bits`` bits with its guard."""
    return ((bits + 7) // 8 + STREAM_GUARD_BYTES + 3) // 4 * 4


def read_entries(data: bytes, bits: int, n_entries: int, code: StreamCode) -> Entries:
    """Decode a stream of ``n_entries`` entries in ``bits`` bits, eight zero bytes behind them.

    Raises BlobError CODE where no code matches and STREAM where entries and bits do not agree.
    """
    array = np.frombuffer(data, np.uint8)
    return code.entries(array, _chain(array, bits, n_entries, code))


def _chain(array: U8, bits: int, n_entries: int, code: StreamCode) -> I64:
    """int64 [n_entries]: the bit position at which each entry starts.

    The widths of the entries that would start at every bit are looked up by the array; what is left
    for Python is to follow the chain from one entry to the next.
    """
    starts: list[int] = []
    at = 0
    for base in range(0, bits, CHAIN_BITS):
        stop = min(bits, base + CHAIN_BITS)
        steps = (np.arange(base, stop) + code.widths(array, base, stop)).tolist()
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


def look_up(table: CodeTable, window: U64) -> I64:
    """int64 [N]: ``symbol << 4 | length`` of the code that each window (bits of a stream) begins with."""
    mask = np.uint64((1 << table.max_bits) - 1)
    found: I64 = table.lookup[(window & mask).astype(np.int64)].astype(np.int64)
    return found


def code_widths(table: CodeTable, window: NDArray[np.uint32]) -> I64:
    """int64 [N]: bits of the code that each 12-bit window begins with, NOWHERE where none matches."""
    widths = (table.lookup & 15).astype(np.int64)
    every: I64 = np.where(widths > 0, widths, NOWHERE)[window & ((1 << table.max_bits) - 1)]
    return every
