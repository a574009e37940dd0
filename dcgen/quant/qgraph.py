"""The integer network: the only definition of what a compiled model computes.

Tensors are uint8 planes (channels, height, width), batch implicit. The real value of a byte q in
tensor t is ``t.scale * (q - t.zero_point)``. Every operator ends in one formula:

    y = clip(zp + ((acc * m + 2**(s-1)) >> s), lo, hi)    0 <= m < 2**16, 17 <= s <= 32

with ``acc`` a 32-bit two's complement accumulator that wraps, the product exact (48 bits), and
``>>`` arithmetic. ``zp`` is the output's zero point. It equals one SMMULR or VRMULH by m << (32-s).
C runtime and gateware equal ``quant.execute`` in every byte, for every input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dcgen.ir.graph import Pads, Pair, Shape

U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]

FACTOR_BITS = 16
"""Size of an addition's factors in magnitude."""
UNIT_BITS = 24
"""Size of an average's unit."""
AVERAGE_UNIT_BITS = 12
"""Precision of the per-position divisor of a padded average pool; see ``QAvgPool``."""


@dataclass(frozen=True)
class QTensor:
    """A uint8 tensor.

    zero_point : 0..255, the byte that means 0.0
    pad : the byte a padded tap reads, one per channel; the zero point everywhere but in the
        network's input, where mean subtraction is folded away and 0.0 differs by channel
    """

    name: str
    shape: Shape
    scale: float
    zero_point: int
    pad: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Requant:
    """The constants of the one requantisation formula.

    mult : uint16 [1], or [O] for one factor per output channel
    shift : uint8, shape of ``mult``, each 17..32
    lo, hi : clip bounds in output bytes, lo <= hi
    """

    mult: NDArray[np.uint16]
    shift: U8
    lo: int = 0
    hi: int = 255


@dataclass(frozen=True, eq=False)
class QConv:
    """acc[o] = bias[o] + sum of levels[indices[o, i, ky, kx]] * x[i, y*sy + ky - top, x*sx + kx - left].

    Padded taps read the input tensor's ``pad`` byte. ``bias`` already holds -zp * sum(w).

    levels : int16 [K], K <= 256, levels[0] == 0
    indices : uint8 [O, I/groups, KH, KW]
    bias : int32 [O], each a multiple of 2**bias_shift
    requant : None where the int32 accumulators themselves are the network's scores
    """

    levels: I16
    indices: U8
    bias: I32
    bias_shift: int
    requant: Requant | None
    stride: Pair
    pads: Pads
    groups: int = 1

    @property
    def kernel(self) -> Pair:
        return int(self.indices.shape[2]), int(self.indices.shape[3])

    @cached_property
    def weights(self) -> I16:
        """int16 [O, I/groups, KH, KW]."""
        return self.levels[self.indices]

    @cached_property
    def nonzeros(self) -> int:
        """How many weights are not zero."""
        return int(np.count_nonzero(self.weights))


@dataclass(frozen=True)
class QMaxPool:
    """Maximum byte of each window, taps in the padding left out. Scales in and out are equal."""

    kernel: Pair
    stride: Pair
    pads: Pads
    ceil: bool


@dataclass(frozen=True, eq=False)
class QAvgPool:
    """acc = k * sum over inner taps of (x - zx), then the requantisation.

    n counts the window's taps inside the input (with ``count_include_pad`` inside the padded
    input), and k = (unit + n // 2) // n: the divisor changes with the position, the constants
    do not. ``unit`` is 2**p * (the largest n), below 2**24.
    """

    kernel: Pair
    stride: Pair
    pads: Pads
    ceil: bool
    count_include_pad: bool
    unit: int
    requant: Requant


@dataclass(frozen=True, eq=False)
class QAdd:
    """acc = sum over inputs of (x - zx) * factor, |factor| < 2**16, then the requantisation.

    One input makes it a change of scale (or a stand-alone clip), two the residual addition.
    """

    factors: tuple[int, ...]
    requant: Requant


@dataclass(frozen=True)
class QPad:
    """Copy into a larger plane filled with byte ``value``. Scales in and out are equal."""

    pads: Pads
    value: int


@dataclass(frozen=True)
class QConcat:
    """Channels of the inputs one after the other. Scales are equal: a plan does it by placement.

    No tensor enters a Concat twice, enters two of them, or is a network's input.
    """


@dataclass(frozen=True)
class QScores:
    """int32 scores: x - zx in C, H, W order, or with ``total`` their sum over each plane."""

    total: bool


QOp = QConv | QMaxPool | QAvgPool | QAdd | QPad | QConcat | QScores


@dataclass(frozen=True, eq=False)
class QNode:
    """One operator. ``name`` is also its output tensor's name, or the scores' if it is the last."""

    name: str
    op: QOp
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class QGraph:
    """A whole integer network.

    input : the camera picture, uint8, its ``shape`` as (C, H, W); it arrives as H, W, C bytes
    tensors : every uint8 tensor by name, the input included
    nodes : in execution order; the last one makes the int32 scores (it is a QScores, or a QConv
        without requantisation) and no other does
    score_scale : real value of one unit of a score
    """

    name: str
    input: QTensor
    tensors: Mapping[str, QTensor]
    nodes: tuple[QNode, ...]
    score_scale: float

    @cached_property
    def score_shape(self) -> Shape:
        """(C, H, W) of the scores before flattening."""
        from dcgen.quant.shapes import output_shape  # shapes.py needs the operators above

        last = self.nodes[-1]
        return output_shape(last.op, [self.tensors[i].shape for i in last.inputs])

    @property
    def n_scores(self) -> int:
        c, h, w = self.score_shape
        return c * h * w
