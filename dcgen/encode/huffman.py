"""Length-limited canonical Huffman codes, and their packed form in a blob.

Lengths come from package-merge (Larmore & Hirschberg, "A fast algorithm for optimal
length-limited Huffman codes", 1990); codes are canonical as in DEFLATE (RFC 1951, 3.2.2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.schema import ESCAPE, MAX_CODE_BITS
from dcgen.errors import BlobError

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
I64 = NDArray[np.int64]

TABLE_HEADER_BYTES = 4


def code_lengths(counts: I64, limit: int = MAX_CODE_BITS) -> U8:
    """The lengths of the code with the fewest bits in all, no length above ``limit``.

    counts : int64 [N], how often each symbol occurs; at most 2**limit of them are above zero

    Returns uint8 [N], 0 where the count is 0. A symbol alone gets length 1.
    """
    lengths = np.zeros(len(counts), np.uint8)
    used = np.flatnonzero(counts)
    if len(used) > 1 << limit:
        raise ValueError(f"{len(used)} symbols do not fit codes of {limit} bits")
    if len(used) < 2:
        lengths[used] = 1
        return lengths
    order = used[np.argsort(counts[used], kind="stable")]
    leaves = counts[order]
    # Package-merge goes level by level, from the longest codes up. A level's items are the leaves (symbols),
    # merged by weight with the pairs of neighbours of the level below.
    merged, levels = leaves, [np.ones(len(leaves), bool)]
    for _ in range(limit - 1):
        pairs = merged[: len(merged) // 2 * 2].reshape(-1, 2).sum(1)
        both = np.concatenate([leaves, pairs])
        sort = np.argsort(both, kind="stable")
        merged = both[sort]
        levels.append(sort < len(leaves))
    # Of the last level the cheapest 2n-2 items are taken. A leaf that is taken at a level lengthens its code by
    # one bit; a pair that is taken there takes two items of the level below.
    take = 2 * len(leaves) - 2
    for is_leaf in reversed(levels):
        n_leaves = int(is_leaf[:take].sum())
        lengths[order[:n_leaves]] += 1
        take = 2 * (take - n_leaves)
    return lengths


def of_each_length(lengths: NDArray[np.integer]) -> tuple[int, ...]:
    """How many of ``lengths`` are 0, 1, ... MAX_CODE_BITS."""
    return tuple(np.bincount(lengths, minlength=MAX_CODE_BITS + 1).tolist())


@dataclass(frozen=True, eq=False)
class CodeTable:
    """One canonical code, which a stream is written and read with.

    lengths : uint8 [N], bits of the codes of symbols 0..N-1, 0 for a symbol that has no code
    escape_length : bits of the code of ESCAPE, 0 if it has none

    Raises BlobError TABLE for a code longer than MAX_CODE_BITS, or lengths that no code can have.
    """

    lengths: U8
    escape_length: int = 0

    def __post_init__(self) -> None:
        every = self.all_lengths.astype(np.int64)
        if every.max() > MAX_CODE_BITS:
            raise BlobError("code table", f"has a code of {every.max()} bits, the most is 12", code="TABLE")
        kraft = int((np.int64(1) << (MAX_CODE_BITS - every[every > 0])).sum())
        if kraft > 1 << MAX_CODE_BITS:
            raise BlobError("code table", f"is over-full, Kraft sum {kraft}/4096", code="TABLE")

    @classmethod
    def from_counts(cls, counts: I64, escapes: int = 0) -> CodeTable:
        """The code with the fewest bits for symbols that occur ``counts`` times and for so many ``escapes``.

        Symbols behind the last one that occurs are not listed.
        """
        lengths = code_lengths(np.append(counts, escapes))
        used = np.flatnonzero(lengths[:-1])
        return cls(lengths[: used[-1] + 1 if len(used) else 0], int(lengths[-1]))

    @property
    def all_lengths(self) -> U8:
        """uint8 [N + 1]: the listed symbols' lengths, then ESCAPE's."""
        return np.append(self.lengths, np.uint8(self.escape_length))

    @cached_property
    def max_bits(self) -> int:
        """Length of the longest code, 0 for an empty table."""
        return int(self.all_lengths.max())

    @cached_property
    def n_symbols(self) -> tuple[int, ...]:
        """How many symbols, ESCAPE included, have codes of 0 .. MAX_CODE_BITS bits; of 0 bits there are none."""
        lengths = self.all_lengths
        return of_each_length(lengths[lengths > 0])

    @cached_property
    def codes(self) -> U16:
        """uint16 [N + 1]: the canonical codes, ESCAPE's last; bit ``length - 1`` comes first in a stream."""
        lengths = self.all_lengths
        codes = np.zeros(len(lengths), np.uint16)
        code = 0
        for bits in range(1, self.max_bits + 1):
            code <<= 1
            symbols = np.flatnonzero(lengths == bits)
            codes[symbols] = code + np.arange(len(symbols))
            code += len(symbols)
        return codes

    @cached_property
    def sent(self) -> U16:
        """uint16 [N + 1]: ``codes`` with their bits reversed, as a stream holds them: its first bit is bit 0."""
        bits = np.arange(16)
        spread = ((self.codes[:, None] >> bits) & 1).astype(np.int64)
        reversed16 = (spread << (15 - bits)).sum(1)
        sent: U16 = (reversed16 >> (16 - self.all_lengths.astype(np.int64))).astype(np.uint16)
        return sent

    @cached_property
    def lookup(self) -> U16:
        """uint16 [2**max_bits], indexed by a stream's next ``max_bits`` bits: ``symbol << 4 | length`` of the code
        that they begin with, 0 where no code matches.
        """
        table = np.zeros(1 << self.max_bits, np.uint16)
        lengths = self.all_lengths
        for index in np.flatnonzero(lengths):
            symbol = ESCAPE if index == len(self.lengths) else int(index)
            table[int(self.sent[index]) :: 1 << int(lengths[index])] = symbol << 4 | int(lengths[index])
        return table

    @property
    def packed_bytes(self) -> int:
        """Size of ``pack``'s result."""
        return TABLE_HEADER_BYTES + (len(_nibbles(self.lengths)) + 1) // 2

    def pack(self) -> bytes:
        """The table as it is stored in a blob (see ``schema``)."""
        nibbles = _nibbles(self.lengths)
        nibbles += [0] * (len(nibbles) % 2)
        pairs = np.array(nibbles, np.uint8).reshape(-1, 2)
        head = struct.pack("<HBB", len(self.lengths), self.escape_length, 0)
        return head + (pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8).tobytes()

    @classmethod
    def unpack(cls, data: bytes, max_symbols: int, escape: bool) -> CodeTable:
        """The table that ``pack`` gave ``data`` for; it must fill ``data`` exactly.

        max_symbols : most symbols the table may list
        escape : whether it may have a code for ESCAPE

        Raises BlobError(code="TABLE") for anything malformed, an over-full code included.
        """
        if len(data) < TABLE_HEADER_BYTES:
            raise _malformed(f"of {len(data)} bytes is shorter than its head")
        count, escape_length, zero = struct.unpack_from("<HBB", data)
        if count > max_symbols or zero or escape_length > (MAX_CODE_BITS if escape else 0):
            raise _malformed(f"lists {count} symbols of {max_symbols}, escape of {escape_length} bits")
        nibbles = [n for byte in data[TABLE_HEADER_BYTES:] for n in (byte & 15, byte >> 4)]
        lengths: list[int] = []
        at = 0
        try:
            while len(lengths) < count:
                nibble = nibbles[at]
                if nibble <= MAX_CODE_BITS:
                    lengths.append(nibble)
                elif nibble == 13:
                    lengths += [0] * (nibbles[at + 1] + 3)
                elif nibble == 14:
                    lengths += [lengths[-1]] * (nibbles[at + 1] + 3)
                else:
                    lengths += [0] * (nibbles[at + 1] + 16 * nibbles[at + 2] + 19)
                at += (2, 2, 3)[nibble - 13] if nibble > MAX_CODE_BITS else 1
        except IndexError:
            raise _malformed(f"ends after {len(lengths)} of {count} symbols") from None
        if len(lengths) != count or len(nibbles) - at > 1 or any(nibbles[at:]):
            raise _malformed(f"of {len(data)} bytes does not end with its {count} symbols")
        return cls(np.array(lengths, np.uint8), escape_length)


def _malformed(problem: str) -> BlobError:
    return BlobError("code table", problem, code="TABLE")


def _nibbles(lengths: U8) -> list[int]:
    """Code lengths as nibbles, runs of equal lengths shortened as ``schema`` describes."""
    out: list[int] = []
    for value, group in groupby(lengths.tolist()):
        n = len(list(group))
        if value:
            out.append(value)
            n -= 1
        while n >= 3:
            if value == 0 and n >= 19:
                k = min(n, 274) - 19
                out += [15, k & 15, k >> 4]
                n -= k + 19
            else:
                k = min(n, 18) - 3
                out += [14 if value else 13, k]
                n -= k + 3
        out += [value] * n
    return out
