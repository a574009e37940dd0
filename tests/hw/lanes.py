"""Lanes as one number and back."""

from __future__ import annotations

from collections.abc import Sequence


def packed(lanes: Sequence[int], width: int = 8) -> int:
    """Lanes as one number, lane 0 lowest."""
    return sum((int(value) & (1 << width) - 1) << width * lane for lane, value in enumerate(lanes))


def unpacked(value: int, lanes: int, width: int = 8) -> list[int]:
    """Lanes of a number, lane 0 lowest."""
    return [value >> width * lane & (1 << width) - 1 for lane in range(lanes)]
