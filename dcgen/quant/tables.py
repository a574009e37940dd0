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
"""How far a function may be from constant beyond the interval that is kept, relative to all its values there: a
quarter of a step of its output."""


def table(function: Function, x: QTensor, out: QTensor, bounds: tuple[int, int], name: str) -> U8:
    """uint8 [256]: for each byte of ``x`` the byte of ``out`` nearest to the function's value, within ``bounds``.

    Raises NumericError naming the node ``name`` where the function has no value.
    """
    real = np.asarray(x.scale * (np.arange(TABLE_BYTES) - x.zero_point), np.float64)
    values = function.evaluate(real)
    if np.isnan(values).any():
        raise NumericError(name, f"has no value at {real[np.isnan(values)][0]:.4g}, which its input may take")
    return np.asarray(np.clip(np.rint(values / out.scale) + out.zero_point, *bounds), np.uint8)


def kept(given: Range, functions: Iterable[Function]) -> tuple[float, float]:
    """The least and the largest number of an interval between which ``functions`` change.

    Below and above, each of them is constant within ``TOLERANCE``. Zero always is between.
    """
    low, high = 0.0, 0.0
    for function in functions:
        low = min(low, _end(function, given.low, given))
        high = max(high, _end(function, given.high, given))
    return low, high


def _end(function: Function, end: float, given: Range) -> float:
    """The point nearest to zero from which on the function is constant up to ``end``, one of the interval's."""
    values = function.evaluate(np.linspace(given.low, given.high, POINTS))
    room = TOLERANCE * float(np.ptp(values))
    points = np.linspace(end, 0.0, POINTS)
    at = function.evaluate(points)
    away = np.maximum(np.maximum.accumulate(at) - at, at - np.minimum.accumulate(at))
    constant = np.flatnonzero(away <= room)
    return float(points[constant[-1]]) if np.isfinite(room) and len(constant) else end
