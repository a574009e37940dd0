"""The integers of one convolution: weight levels with one real step, biases with a shift."""

from __future__ import annotations

import math

import numpy as np

from dcgen.errors import GraphError, NumericError
from dcgen.ir.graph import F64, Conv
from dcgen.quant.qgraph import I16, I32

BIAS_BITS = 8, 16
"""Sizes that a layer's biases are rounded to, else they keep 32 bits."""
BIAS_TOLERANCE = 1 / 16
"""Output steps that the rounding may cost."""
BIAS_ONLY_BITS = 20
"""Size of the largest bias where there is nothing else to be exact about."""
ACCUMULATOR_LIMIT = 2.0**30
"""Half of what 32 bits hold: room that levels are scaled into."""


def integer_levels(conv: Conv, source_scale: float, name: str) -> tuple[I16, float]:
    """The codebook as int16 and the real value of one unit.

    A uniform grid is exact. Other codebooks get the finest step at which no filter's worst case
    leaves half of the 32-bit accumulator. Where all weights are zero, the step suits the biases.
    """
    levels = conv.weight.levels
    if levels is None:
        raise GraphError(name, "has weights that no recipe has shared")
    if not levels.indices.any():
        largest_bias = max(float(np.abs(conv.bias).max()), 1e-6)
        return np.zeros(len(levels.codebook), np.int16), largest_bias / source_scale / 2**BIAS_ONLY_BITS
    if levels.step is not None:
        return levels.multiples, levels.step
    largest = float(np.abs(levels.codebook).max())
    worst = np.abs(levels.codebook)[levels.indices].reshape(len(levels.indices), -1).sum(1).max() / largest
    top = int(min(32767, ACCUMULATOR_LIMIT / 255 / max(worst, 1.0)))
    step = largest / top
    return np.rint(levels.codebook / step).astype(np.int16), step


def channel_scale(conv: Conv) -> F64:
    """Real factor per output channel [O], or [1] for all."""
    shared = conv.weight.levels
    return np.ones(1) if shared is None or shared.channel_scale is None else shared.channel_scale


def room(conv: Conv, levels: I16, unit: float) -> int:
    """Bits by which the levels can grow: they stay int16, sums and biases in half of 32 bits."""
    assert conv.weight.levels is not None
    sizes = np.abs(levels.astype(np.float64))
    worst = 255 * sizes[conv.weight.levels.indices].reshape(len(conv.bias), -1).sum(1).max()
    bias = float((np.abs(conv.bias) / (unit * channel_scale(conv))).max())
    growth = min(32767 / max(float(sizes.max()), 1.0), ACCUMULATOR_LIMIT / max(float(worst), bias, 1.0))
    return max(0, math.floor(math.log2(growth))) if growth > 1 else 0


def least_source_scale(conv: Conv, name: str) -> float:
    """The input scale from which on every bias fits half of the accumulator."""
    levels, step = integer_levels(conv, 1.0, name)
    if not levels.any():
        return 0.0  # the step then follows the biases
    return float((np.abs(conv.bias) / channel_scale(conv)).max()) / (step * ACCUMULATOR_LIMIT)


def integer_bias(exact: F64, ratio: F64 | None, name: str) -> tuple[I32, int]:
    """int32 biases and the shift at which the upper bits of one of ``BIAS_BITS`` are enough, 0 if none are."""
    largest = float(np.abs(exact).max(initial=0.0))
    if largest >= 2.0**31 - 1:
        raise NumericError(name, f"bias of {largest:.3g} accumulator steps does not fit 32 bits")
    fitting = (max(0, math.ceil(math.log2(max(largest, 1.0) / (2.0 ** (bits - 1) - 1)))) for bits in BIAS_BITS)
    unit = math.inf if ratio is None else float(ratio.max())
    shift = next((s for s in fitting if s == 0 or 2.0 ** (s - 1) * unit <= BIAS_TOLERANCE), 0)
    return (np.rint(exact / 2.0**shift).astype(np.int64) << shift).astype(np.int32), shift
