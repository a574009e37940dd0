"""Packing many fields at once gives the bits that packing one after the other gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dcgen.encode.bits import gather, pack_bits, windows

FIELDS = st.lists(st.integers(0, 32).flatmap(lambda w: st.tuples(st.integers(0, (1 << w) - 1), st.just(w))))


def as_number(fields: list[tuple[int, int]]) -> tuple[int, int]:
    """The stream as one integer, its first bit the lowest, and its length."""
    number = at = 0
    for value, width in fields:
        number |= value << at
        at += width
    return number, at


@given(FIELDS)
def test_fields_lie_least_significant_bit_first(fields: list[tuple[int, int]]) -> None:
    number, bits = as_number(fields)
    packed, found = pack_bits(
        np.array([v for v, _ in fields], np.uint64), np.array([w for _, w in fields], np.int64)
    )
    assert found == bits
    assert packed == number.to_bytes((bits + 7) // 8, "little")


@given(st.binary(min_size=1, max_size=30))
def test_windows_and_gather_see_the_bits_at_every_position(data: bytes) -> None:
    number = int.from_bytes(data, "little")
    array = np.frombuffer(data + bytes(8), np.uint8)
    positions = np.arange(8 * len(data))
    assert windows(array, 0, 8 * len(data)).tolist() == [number >> p & 0xFFF for p in positions.tolist()]
    low = gather(array, positions) & np.uint64((1 << 57) - 1)
    assert low.tolist() == [number >> p & (1 << 57) - 1 for p in positions.tolist()]
