"""CRC-32 (IEEE 802.3, as zlib computes it) of one 32-bit word a cycle, by one layer of exclusive-ors."""

from __future__ import annotations

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Value

POLYNOMIAL = 0xEDB88320
"""The generator polynomial 0x04C11DB7, its bits reversed."""
START = 0xFFFFFFFF
"""State before the first word. The CRC is the inverted state after the last word."""


def shifted(state: int) -> int:
    """The 32-bit state after 32 more bits, which have been added (exclusive or) to ``state`` beforehand."""
    for _ in range(32):
        state = state >> 1 ^ (POLYNOMIAL if state & 1 else 0)
    return state


def next_state(state: Value, word: Value) -> Value:
    """The 32-bit state after ``word``, four bytes of which the lowest comes first.

    A CRC is linear: every bit of the result is the exclusive or of some bits of ``state ^ word``.
    """
    columns = [shifted(1 << bit) for bit in range(32)]
    mixed = state ^ word
    return Cat(
        reduce(xor, (mixed[bit] for bit in range(32) if columns[bit] >> row & 1), Const(0, 1)) for row in range(32)
    )
