"""The integers of one convolution: its levels as multiples of one real step, its biases, and their shift."""

from __future__ import annotations

import math

import numpy as np

from dcgen.errors import GraphError, NumericError
from dcgen.ir.graph import F64, Conv
from dcgen.quant.qgraph import I16, I32
from dcgen.quant.ranges import LEAST_RANGE

BIAS_BITS = 8, 16
"""Sizes in bits that a layer's biases are rounded to. Where neither is exact enough, they keep 32 bits."""
BIAS_TOLERANCE = 1 / 16
"""Largest error of an output, in steps of its scale, that rounding a bias may make."""
KEPT_TOLERANCE = 1 / 1024
"""The same where a network's own integers are kept: few bytes then differ from those of others who run it."""
BIAS_ONLY_BITS = 20
"""Where all weights are zero, the step is such that the largest bias is 2**BIAS_ONLY_BITS."""
ACCUMULATOR_LIMIT = 2.0**30
"""Levels are scaled so that no sum of products exceeds this: half of what 32 bits hold, the rest is the bias's."""


def integer_levels(conv: Conv, source_scale: float, name: str) -> tuple[I16, float]:
    """The codebook in integer steps, int16 [K], and the real value of one step.

    A uniform grid is exact. Other codebooks get the finest step at which no filter's worst case exceeds
    ``ACCUMULATOR_LIMIT``. Where all weights are zero, the step suits the biases.

    source_scale : real value of one step of the input's bytes
    name : of the node. Raises GraphError naming it if its weights are not shared.
    """
    levels = conv.weight.levels
    if levels is None:
        raise GraphError(name, "has weights that no recipe has shared")
    if not levels.indices.any():
        largest_bias = float(np.abs(conv.bias).max()) or LEAST_RANGE
        return np.zeros(len(levels.codebook), np.int16), largest_bias / source_scale / 2**BIAS_ONLY_BITS
    if levels.step is not None:
        return levels.multiples, levels.step
    largest = float(np.abs(levels.codebook).max())
    worst = np.abs(levels.codebook)[levels.indices].reshape(len(levels.indices), -1).sum(1).max() / largest
    top = int(min(32767, ACCUMULATOR_LIMIT / 255 / max(worst, 1.0)))
    step = largest / top
    return np.rint(levels.codebook / step).astype(np.int16), step


def channel_scale(conv: Conv) -> F64:
    """Real factor of the weights per output channel: float64 [O], or [1] for all of them."""
    shared = conv.weight.levels
    return np.ones(1) if shared is None or shared.channel_scale is None else shared.channel_scale


def room(conv: Conv, levels: I16, unit: float) -> int:
    """Bits by which the levels can be shifted left: they stay int16, and sums and biases ``ACCUMULATOR_LIMIT``.

    levels : int16 [K], as ``integer_levels`` gives them
    unit : real value of one unit of the accumulator: the levels' step times the input's scale
    """
    assert conv.weight.levels is not None
    sizes = np.abs(levels.astype(np.float64))
    worst = 255 * sizes[conv.weight.levels.indices].reshape(len(conv.bias), -1).sum(1).max()
    bias = float((np.abs(conv.bias) / (unit * channel_scale(conv))).max())
    growth = min(32767 / max(float(sizes.max()), 1.0), ACCUMULATOR_LIMIT / max(float(worst), bias, 1.0))
    return max(0, math.floor(math.log2(growth))) if growth > 1 else 0


def least_source_scale(conv: Conv, name: str) -> float:
    """The smallest input scale at which every bias fits ``ACCUMULATOR_LIMIT``. ``name`` is the node's."""
    levels, step = integer_levels(conv, 1.0, name)
    if not levels.any():
        return 0.0  # the step then follows the biases
    return float((np.abs(conv.bias) / channel_scale(conv)).max()) / (step * ACCUMULATOR_LIMIT)


def integer_bias(exact: F64, ratio: F64 | None, name: str, tolerance: float = BIAS_TOLERANCE) -> tuple[I32, int]:
    """Biases int32 [O], and by how many bits they can be stored shifted right.

    exact : real biases in units of the accumulator, float64 [O]
    ratio : accumulator units to output steps, by which rounding is judged; None where accumulators are scores
    name : of the node. Raises NumericError naming it if a bias does not fit 32 bits.
    tolerance : largest error of an output, in its steps, that rounding a bias may make

    A shift of more than 0 lets all biases fit one of ``BIAS_BITS`` at an error within the tolerance.
    """
    largest = float(np.abs(exact).max(initial=0.0))
    if largest >= 2.0**31 - 1:
        raise NumericError(name, f"bias of {largest:.3g} accumulator steps does not fit 32 bits")
    fitting = (max(0, math.ceil(math.log2(max(largest, 1.0) / (2.0 ** (bits - 1) - 1)))) for bits in BIAS_BITS)
    unit = math.inf if ratio is None else float(ratio.max())
    shift = next((s for s in fitting if s == 0 or 2.0 ** (s - 1) * unit <= tolerance), 0)
    return (np.rint(exact / 2.0**shift).astype(np.int64) << shift).astype(np.int32), shift
