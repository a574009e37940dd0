"""Levels on a uniform grid: integer multiples of one step for each layer."""

from __future__ import annotations

import numpy as np

from dcgen.ir.graph import F32, Levels

MAX_LEVEL = 127
"""Largest level as a multiple of the step: with its negative, and all between, 255 levels that fit int8."""


def grid(values: F32, step: float) -> Levels:
    """The weights rounded to the nearest multiple of ``step``, and clipped to at most ``MAX_LEVEL`` steps from
    0."""
    rounded = np.rint(values.astype(np.float64) / step)
    return levels_of(np.clip(rounded, -MAX_LEVEL, MAX_LEVEL).astype(np.int16), step)


def levels_of(integers: np.ndarray, step: float, symmetric: bool = False) -> Levels:
    """The levels of integer weights. Their codebook has zero first, then the other integers in use, ascending.

    integers : weights as multiples of ``step``, -32768 to 32767, at most 255 different ones besides zero
    symmetric : whether the codebook has the negatives of the integers in use as well
    """
    used = np.unique([integers, -integers] if symmetric else integers)
    book = np.concatenate([[0], used[used != 0]]).astype(np.int16)
    lookup = np.zeros(2 * 32768, np.uint8)
    lookup[book.astype(np.int64) + 32768] = np.arange(len(book))
    return Levels(book.astype(np.float64) * step, lookup[integers.astype(np.int64) + 32768], step=float(step))
