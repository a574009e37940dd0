"""CRC-32 (IEEE 802.3, as in zlib) of 32 bits a cycle: one layer of exclusive-ors."""

from __future__ import annotations

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Value

POLYNOMIAL = 0xEDB88320
START = 0xFFFFFFFF
"""State before the first word. The CRC is the inverted state behind the last."""


def shifted(state: int) -> int:
    """The state 32 bits later, the data's share already in it."""
    for _ in range(32):
        state = state >> 1 ^ (POLYNOMIAL if state & 1 else 0)
    return state


def next_state(state: Value, word: Value) -> Value:
    """State behind a little-endian word; 32 bits each.

    The register is linear: every bit of the result is a sum of bits of ``state ^ word``.
    """
    columns = [shifted(1 << bit) for bit in range(32)]
    mixed = state ^ word
    return Cat(
        reduce(xor, (mixed[bit] for bit in range(32) if columns[bit] >> row & 1), Const(0, 1)) for row in range(32)
    )
