"""Uniform grids: integer multiples of one step a layer, what they cost and how they err."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dcgen.ir.graph import F32, F64, Levels, Weight

MAX_LEVEL = 127
"""Largest integer level: 255 levels, and every one fits int8."""


def grid(values: F32, step: float) -> Levels:
    """The weights rounded to the nearest multiple of ``step``, clipped to ``MAX_LEVEL`` of them."""
    return levels_of(round_to(values, step), step)


def round_to(values: F32, step: float) -> np.ndarray:
    """int16 multiples of ``step``, shape of ``values``."""
    return np.clip(np.rint(values.astype(np.float64) / step), -MAX_LEVEL, MAX_LEVEL).astype(np.int16)


def levels_of(integers: np.ndarray, step: float) -> Levels:
    """Levels for integer weights: zero first, then the used integers in ascending order."""
    used = np.unique(integers)
    book = np.concatenate([[0], used[used != 0]]).astype(np.int16)
    lookup = np.zeros(2 * 32768, np.uint8)
    lookup[book.astype(np.int64) + 32768] = np.arange(len(book))
    return Levels(book.astype(np.float64) * step, lookup[integers.astype(np.int64) + 32768], step=float(step))


def entropy_bits(integers: np.ndarray) -> float:
    """Zero-order entropy of the integers in bits, all of them together. Joint coding of runs and
    levels comes within a few percent of it."""
    counts = np.unique(integers, return_counts=True)[1].astype(np.float64)
    return float(-(counts * np.log2(counts / counts.sum())).sum())


@dataclass(frozen=True, eq=False)
class RateCurve:
    """Steps a layer could take, with the bits and the weighted squared error of each.

    All float64 [K], steps ascending.
    """

    steps: F64
    bits: F64
    errors: F64

    def cheapest(self, price: float) -> int:
        """Index of the step with the least bits + price * error."""
        return int(np.argmin(self.bits + price * self.errors))


def rate_curve(values: F32, importance: F64, per_octave: int = 6) -> RateCurve:
    """Candidate steps from ``max / MAX_LEVEL`` upwards, ``per_octave`` to a factor of two.

    importance : mean square of each input channel [I/groups]: what an error of its weights weighs
    """
    largest = float(np.abs(values).max()) or 1.0
    count = int(per_octave * np.log2(2 * MAX_LEVEL))
    steps = largest / MAX_LEVEL * 2.0 ** (np.arange(count) / per_octave)
    weighed = importance.reshape(1, -1, 1, 1)
    bits, errors = [], []
    for step in steps:
        q = round_to(values, step)
        bits.append(entropy_bits(q))
        errors.append(float((weighed * (values - q * step) ** 2).sum()))
    return RateCurve(steps, np.array(bits), np.array(errors))


def shared(values: F32, step: float) -> Weight:
    """The weight on the grid of ``step``."""
    return Weight.of(grid(values, step))
