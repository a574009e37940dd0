"""Packs lanes into one number, and unpacks them."""

from __future__ import annotations

from collections.abc import Sequence


def packed(lanes: Sequence[int], width: int = 8) -> int:
    """The lanes as one number, lane 0 lowest, ``width`` bits each."""
    return sum((int(value) & (1 << width) - 1) << width * lane for lane, value in enumerate(lanes))


def unpacked(value: int, lanes: int, width: int = 8) -> list[int]:
    """The lanes of a number, lane 0 lowest, as unsigned numbers of ``width`` bits."""
    return [value >> width * lane & (1 << width) - 1 for lane in range(lanes)]
