"""Calibration: which real interval each tensor's bytes shall cover, from the values it takes on pictures.

There are two policies. ``minmax`` takes the extremes. ``percentile`` gives up the same share of the values at
each end, so that the range between keeps the share asked for; it is found in a histogram between the extremes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dcgen.ahead import ahead
from dcgen.errors import NumericError
from dcgen.ir.graph import F32

BINS = 4096
"""Of the histogram."""
LEAST_RANGE = 1e-30
"""Length of the range of a tensor that is always 0. It is far below what a network's values come to, whatever
their scale, and far above the least float32."""


@dataclass(frozen=True)
class Range:
    """The real interval that a tensor's bytes cover, ``low`` to ``high``.

    saturated : share of calibration values outside it
    """

    low: float
    high: float
    saturated: float = 0.0


def calibrate(
    run: Callable[[], Iterable[Mapping[str, F32]]],
    policy: Literal["minmax", "percentile"] = "percentile",
    keep: float = 0.99999,
) -> dict[str, Range]:
    """The range of each tensor by name.

    run : yields the values of all tensors, batch by batch; it is called twice for percentiles
    keep : share of the values that a percentile range keeps

    Every range has low <= 0 <= high and is not empty. Raises NumericError naming a tensor that
    takes a value that is not finite.
    """
    extremes: dict[str, tuple[float, float]] = {}
    for batch in ahead(run()):
        for name, x in batch.items():
            low, high = extremes.get(name, (0.0, 0.0))
            extremes[name] = (min(low, float(x.min())), max(high, float(x.max())))
            if not np.isfinite(x.min()) or not np.isfinite(x.max()):
                raise NumericError(name, "takes values that are not finite on calibration pictures")
    if policy == "minmax":
        return {n: Range(*_not_empty(low, high)) for n, (low, high) in extremes.items()}
    counts = {n: np.zeros(BINS, np.int64) for n in extremes}
    for batch in ahead(run()):
        for name, x in batch.items():
            counts[name] += _histogram(x, *_not_empty(*extremes[name]))
    return {n: _percentile(counts[n], *_not_empty(*extremes[n]), keep) for n in extremes}


def _percentile(counts: np.ndarray, low: float, high: float, keep: float) -> Range:
    """The range of the bins that are left when each end gives up at most (1 - keep) / 2 of the values.

    counts : values in each of the bins between ``low`` and ``high``. The range is widened to hold zero.
    """
    edges = np.linspace(low, high, BINS + 1)
    total, tail = counts.sum(), counts.sum() * (1 - keep) / 2
    first = int(np.searchsorted(np.cumsum(counts), tail, side="right"))
    last = BINS - 1 - int(np.searchsorted(np.cumsum(counts[::-1]), tail, side="right"))
    kept = counts[first : last + 1].sum()
    return Range(min(0.0, float(edges[first])), max(0.0, float(edges[last + 1])), float(1 - kept / total))


def _histogram(x: F32, low: float, high: float) -> np.ndarray:
    """How many values of ``x`` are in each of the bins between ``low`` and ``high``, which no value is beyond:
    int64 [BINS]. NumPy's own histogram finds exact edges in five times the time."""
    bins = ((x.ravel() - np.float32(low)) * np.float32(BINS / (high - low))).astype(np.int64)
    return np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)


def _not_empty(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high - low > LEAST_RANGE else (low, low + LEAST_RANGE)
