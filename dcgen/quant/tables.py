"""Tables: the byte that a function of one number gives for each byte, and which interval of its input matters."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dcgen.errors import NumericError
from dcgen.ir.graph import Function
from dcgen.quant.qgraph import TABLE_BYTES, U8, QTensor
from dcgen.quant.ranges import Range

POINTS = 4096
"""Points of an interval at which a function is looked at."""
TOLERANCE = 1 / 1024
"""How far a function may be from constant where its argument is not kept, relative to the interval of its values:
a quarter of a step of its output."""


ROOM = 1 / TABLE_BYTES
"""Share of the interval between which functions change that is kept on each side, too. Zero points are rounded,
which shifts the last byte by up to half a step: what is not kept is clipped to it, so it must lie behind the last
change."""


def table(function: Function, x: QTensor, out: QTensor, bounds: tuple[int, int], name: str) -> U8:
    """uint8 [256]: for each byte of ``x`` the byte of ``out`` nearest to the function's value, within ``bounds``.

    Raises NumericError naming the node ``name`` where the function has no value.
    """
    real = np.asarray(x.scale * (np.arange(TABLE_BYTES) - x.zero_point), np.float64)
    values = function.evaluate(real)
    if np.isnan(values).any():
        raise NumericError(name, f"has no value at {real[np.isnan(values)][0]:.4g}, which its input may take")
    with np.errstate(over="ignore"):  # what is beyond float64 is beyond the bounds
        return np.asarray(np.clip(np.rint(values / out.scale) + out.zero_point, *bounds), np.uint8)


def kept(given: Range, readers: Iterable[tuple[Function, Range]]) -> tuple[float, float]:
    """The least and the largest number of an interval between which functions change.

    given : the interval
    readers : the functions, each with the interval of its values

    Below and above, each function is constant within ``TOLERANCE``. Zero always is between. ``ROOM`` is on either
    side, but within the interval.
    """
    low, high = 0.0, 0.0
    for function, values in readers:
        room = TOLERANCE * (values.high - values.low)
        low, high = min(low, _end(function, given.low, room)), max(high, _end(function, given.high, room))
    more = ROOM * (high - low)
    return max(min(given.low, low), low - more), min(max(given.high, high), high + more)


def _end(function: Function, end: float, room: float) -> float:
    """The point nearest to zero from which on to ``end`` the function is constant within ``room``."""
    points = np.linspace(end, 0.0, POINTS)
    at = function.evaluate(points)
    with np.errstate(invalid="ignore"):  # what has no finite value is not constant
        away = np.maximum(np.maximum.accumulate(at) - at, at - np.minimum.accumulate(at))
    constant = np.flatnonzero(away <= room)
    return float(points[constant[-1]]) if len(constant) else end
