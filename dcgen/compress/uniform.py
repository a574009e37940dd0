"""Uniform grids: integer multiples of one step a layer."""

from __future__ import annotations

import numpy as np

from dcgen.ir.graph import F32, Levels

MAX_LEVEL = 127
"""Largest integer level: 255 levels, and every one fits int8."""


def grid(values: F32, step: float) -> Levels:
    """The weights rounded to the nearest multiple of ``step``, clipped to ``MAX_LEVEL`` of them."""
    rounded = np.rint(values.astype(np.float64) / step)
    return levels_of(np.clip(rounded, -MAX_LEVEL, MAX_LEVEL).astype(np.int16), step)


def levels_of(integers: np.ndarray, step: float, symmetric: bool = False) -> Levels:
    """Levels for integer weights: zero first, then the used integers in ascending order.

    symmetric : the negatives of used integers are levels too
    """
    used = np.unique([integers, -integers] if symmetric else integers)
    book = np.concatenate([[0], used[used != 0]]).astype(np.int16)
    lookup = np.zeros(2 * 32768, np.uint8)
    lookup[book.astype(np.int64) + 32768] = np.arange(len(book))
    return Levels(book.astype(np.float64) * step, lookup[integers.astype(np.int64) + 32768], step=float(step))
