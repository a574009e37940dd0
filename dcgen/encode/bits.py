"""Bits in a stream, least significant bit of each byte first; arrays of fields are written and read at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]


def pack_bits(values: U64, widths: I64) -> tuple[bytes, int]:
    """Write ``values`` one after the other.

    values : uint64 [N], value n below 2**widths[n]
    widths : int64 [N], 0..32, bits of each value

    Returns the bytes, the last one filled with zeros, and the number of bits.
    """
    ends = np.cumsum(widths)
    total = int(ends[-1]) if len(ends) else 0
    starts = ends - widths
    words = starts >> 5
    shifted = values << (starts & 31).astype(np.uint64)
    n = (total >> 5) + 2
    # Fields share words but no bits: their OR is their sum, and float64 sums below 2**53 are exact.
    low = np.bincount(words, weights=(shifted & np.uint64(0xFFFFFFFF)).astype(np.float64), minlength=n)
    high = np.bincount(words + 1, weights=(shifted >> np.uint64(32)).astype(np.float64), minlength=n)
    packed = (low + high).astype("<u4").tobytes()
    return packed[: (total + 7) // 8], total


def windows(data: U8, start: int, stop: int) -> NDArray[np.uint32]:
    """The 12 bits that begin at every bit position from ``start`` to before ``stop``, uint32 [stop - start].

    data : uint8, at least stop // 8 + 2 bytes
    start, stop : multiples of 8
    """
    b = data[start // 8 : stop // 8 + 2].astype(np.uint32)
    word = b[:-2] | b[1:-1] << 8 | b[2:] << 16
    shifts = np.arange(8, dtype=np.uint32)
    every: NDArray[np.uint32] = np.bitwise_and(word[:, None] >> shifts, np.uint32(0xFFF), dtype=np.uint32)
    return every.reshape(-1)


def gather(data: U8, positions: I64) -> U64:
    """At least 57 bits that begin at each bit position, uint64 [N].

    data : uint8, at least eight bytes beyond each position
    positions : int64 [N]
    """
    at = positions >> 3
    word = np.zeros(len(at), np.uint64)
    for i in range(8):
        word |= data[at + i].astype(np.uint64) << np.uint64(8 * i)
    return word >> (positions & 7).astype(np.uint64)
