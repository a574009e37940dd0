"""The integer network: the only definition of what a compiled model computes.

Tensors are uint8 planes (channels, height, width); the batch is implicit. The real value of a byte q in
tensor t is ``t.scale * (q - t.zero_point)``. An operator that computes new values ends in one formula, the
requantization:

    y = clip(zp + ((acc * m + 2**(s-1)) >> s), lo, hi)    0 <= m < 2**16, 17 <= s <= 32

``acc`` is a 32-bit two's complement accumulator that wraps, the product is exact (48 bits), ``>>`` is
arithmetic, and ``zp`` is the output's zero point. The shift and the rounding equal one SMMULR or VRMULH by
m << (32-s). C runtime and gateware equal ``quant.execute`` in every byte, for every input.

Each operator states two things beside its parameters: ``shape(inputs)``, the (C, H, W) of its output, which
raises GraphError where it cannot take the inputs; and ``accumulator(sources)``, the exact smallest and largest
value that its accumulator can take for any bytes in tensors like ``sources``. Any order of summation stays within
that range widened to hold zero and the bias, because activations are non-negative; wrapping arithmetic needs only
the final sum to fit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dcgen.errors import GraphError
from dcgen.ir.ops import Pads, Pair, Shape, upsampled, window_counts

U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]

FACTOR_BITS = 16
"""An addition's factors and a product's factor are below 2**FACTOR_BITS in magnitude."""
TABLE_BYTES = 256
"""Bytes of a table, one for each byte that is looked up."""
UNIT_BITS = 24
"""An average's unit is below 2**UNIT_BITS."""
AVERAGE_UNIT_BITS = 12
"""The unit of an average whose divisor changes with the position is this many bits above the largest divisor."""


@dataclass(frozen=True)
class QTensor:
    """A uint8 tensor.

    shape : (C, H, W)
    scale : real value of one step
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
    """The constants of the requantization formula.

    mult : uint16 [1], or [O] for one factor per output channel
    shift : uint8, shape of ``mult``, each 17..32
    lo, hi : clip bounds in output bytes, lo <= hi
    """

    mult: NDArray[np.uint16]
    shift: U8
    lo: int = 0
    hi: int = 255


class QOperator:
    """What most operators have in common.

    vertical : which input rows an output row y is made of, as (kernel, stride, pad): those from y * stride - pad
        on, ``kernel`` of them, as far as the input has them
    enlarged : output rows of one input row, of which each is made of it alone
    """

    @property
    def enlarged(self) -> int:
        return 1

    @property
    def vertical(self) -> tuple[int, int, int]:
        return 1, 1, 0


class QCopy(QOperator):
    """An operator whose output bytes are bytes of its inputs: the scales and zero points of all are equal."""

    def accumulator(self, sources: Sequence[QTensor]) -> tuple[int, int]:
        """Nothing is accumulated; a byte stays one."""
        return 0, 255


@dataclass(frozen=True, eq=False)
class QConv(QOperator):
    """acc[o] = bias[o] + sum of levels[indices[o, i, ky, kx]] * x[i, y*sy + ky - top, x*sx + kx - left].

    Padded taps read the input tensor's ``pad`` byte.

    levels : int16 [K], K <= 256, levels[0] == 0
    indices : uint8 [O, I/groups, KH, KW], each below K
    bias : int32 [O], each a multiple of 2**bias_shift; it already holds -zp * sum(w) of the input's zero point
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
        """Height and width of the kernel."""
        return int(self.indices.shape[2]), int(self.indices.shape[3])

    @cached_property
    def weights(self) -> I16:
        """int16 [O, I/groups, KH, KW]: the level of every weight."""
        return self.levels[self.indices]

    @cached_property
    def nonzeros(self) -> int:
        """How many weights are not zero."""
        return int(np.count_nonzero(self.weights))

    @property
    def vertical(self) -> tuple[int, int, int]:
        return self.kernel[0], self.stride[0], self.pads[0]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        o, i = self.indices.shape[:2]
        if i * self.groups != inputs[0][0] or o % self.groups:
            found = f"weight {self.indices.shape} in {self.groups} groups"
            raise GraphError("QConv", f"{found} on {inputs[0][0]} channels")
        return o, *window_counts("window", inputs[0], self.kernel, self.stride, self.pads, False)

    def accumulator(self, sources: Sequence[QTensor]) -> tuple[int, int]:
        w, bias = self.weights.reshape(len(self.bias), -1).astype(np.int64), self.bias.astype(np.int64)
        low = bias + 255 * np.minimum(w, 0).sum(1)
        high = bias + 255 * np.maximum(w, 0).sum(1)
        return int(low.min()), int(high.max())


@dataclass(frozen=True, eq=False)
class QPool(QOperator):
    """What both pools have in common: windows, none of which lies in the padding alone.

    ceil : as in ``ir.ops.MaxPool``
    """

    kernel: Pair
    stride: Pair
    pads: Pads
    ceil: bool

    @property
    def vertical(self) -> tuple[int, int, int]:
        return self.kernel[0], self.stride[0], self.pads[0]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        if any(p >= k for p, k in zip(self.pads, self.kernel * 2, strict=True)):
            problem = f"pads {self.pads} reach the kernel {self.kernel}: a window could be empty"
            raise GraphError("pool", problem)
        return inputs[0][0], *window_counts("window", inputs[0], self.kernel, self.stride, self.pads, self.ceil)


@dataclass(frozen=True)
class QMaxPool(QPool, QCopy):
    """Maximum byte of each window, taps in the padding left out."""


@dataclass(frozen=True, eq=False)
class QAvgPool(QPool):
    """acc = k * sum over inner taps of (x - zx), then the requantization.

    The divisor changes with the position, the constants do not: k = (unit + n // 2) // n, where n counts the
    window's taps inside the input (with ``count_include_pad`` inside the padded input).

    unit : 2**p * (the largest n), below 2**24
    """

    count_include_pad: bool
    unit: int
    requant: Requant

    def accumulator(self, sources: Sequence[QTensor]) -> tuple[int, int]:
        taps, zp = self.kernel[0] * self.kernel[1], sources[0].zero_point
        # k * n <= unit + n for the divisor n; fewer inner taps than n only shrink the sum
        return -zp * (self.unit + taps), (255 - zp) * (self.unit + taps)


@dataclass(frozen=True, eq=False)
class QAdd(QOperator):
    """acc = sum over inputs of (x - zx) * factor, then the requantization.

    One input makes it a change of scale (or a stand-alone clip), two the residual addition.

    factors : one for each input, below 2**16 in magnitude
    """

    factors: tuple[int, ...]
    requant: Requant

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        if any(s != inputs[0] for s in inputs) or len(inputs) != len(self.factors):
            raise GraphError("QAdd", f"inputs {list(inputs)} for {len(self.factors)} factors")
        return inputs[0]

    def accumulator(self, sources: Sequence[QTensor]) -> tuple[int, int]:
        ends = [
            sorted(((0 - t.zero_point) * k, (255 - t.zero_point) * k))
            for t, k in zip(sources, self.factors, strict=True)
        ]
        return sum(e[0] for e in ends), sum(e[1] for e in ends)


@dataclass(frozen=True, eq=False)
class QMul(QOperator):
    """acc = (a - za) * (b - zb) * factor, then the requantization.

    b has the shape of a, or is a gate (C, 1, 1), which multiplies a whole plane of a.

    factor : 1..2**FACTOR_BITS - 1
    """

    factor: int
    requant: Requant

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        a, b = inputs
        if b not in (a, (a[0], 1, 1)):
            raise GraphError("QMul", f"multiplies {a} by {b}")
        return a

    def accumulator(self, sources: Sequence[QTensor]) -> tuple[int, int]:
        a, b = ((-t.zero_point, 255 - t.zero_point) for t in sources)
        corners = [x * y * self.factor for x in a for y in b]
        return min(corners), max(corners)


@dataclass(frozen=True, eq=False)
class QTable(QOperator):
    """y = table[x], for each byte x: any function of one number.

    table : uint8 [256]
    """

    table: U8

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        return inputs[0]

    def accumulator(self, sources: Sequence[QTensor]) -> tuple[int, int]:
        """Nothing is accumulated."""
        return 0, 255


@dataclass(frozen=True)
class QPad(QCopy):
    """Copy into a larger plane filled with byte ``value``, or with the nearest byte.

    edge : whether with the nearest byte; ``value`` is 0 then
    """

    pads: Pads
    value: int
    edge: bool = False

    @property
    def vertical(self) -> tuple[int, int, int]:
        if not self.edge:
            return 1, 1, self.pads[0]
        around = self.pads[0] + self.pads[2]  # rows above are made of the first one, rows below of the last one
        return 1 + around, 1, around

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        (c, h, w), (top, left, bottom, right) = inputs[0], self.pads
        return c, h + top + bottom, w + left + right


@dataclass(frozen=True)
class QUpsample(QCopy):
    """Each pixel becomes a block of pixels, as ``ir.ops.Upsample`` says."""

    factor: Pair
    channels: int
    cut: Pair

    @property
    def enlarged(self) -> int:
        return self.factor[0]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        return upsampled("QUpsample", inputs[0], self.factor, self.channels, self.cut)


@dataclass(frozen=True)
class QConcat(QCopy):
    """Channels of the inputs one after the other: a plan does it by placing the inputs side by side.

    No tensor enters a Concat twice, enters two of them, or is a network's input.
    """

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        if any(s[1:] != inputs[0][1:] for s in inputs):
            raise GraphError("QConcat", f"planes differ: {list(inputs)}")
        return sum(s[0] for s in inputs), *inputs[0][1:]


@dataclass(frozen=True)
class QScores(QOperator):
    """int32 scores: x - zx in C, H, W order, or with ``total`` their sum over each plane."""

    total: bool

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        return (inputs[0][0], 1, 1) if self.total else inputs[0]

    def accumulator(self, sources: Sequence[QTensor]) -> tuple[int, int]:
        t = sources[0]
        n = t.shape[1] * t.shape[2] if self.total else 1
        return -t.zero_point * n, (255 - t.zero_point) * n


QOp = QConv | QMaxPool | QAvgPool | QAdd | QMul | QTable | QPad | QUpsample | QConcat | QScores


@dataclass(frozen=True, eq=False)
class QNode:
    """One operator. ``name`` is also the name of its output tensor, or of the scores that it makes."""

    name: str
    op: QOp
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class QGraph:
    """A whole integer network.

    input : the camera picture, whose bytes arrive in the order H, W, C
    tensors : every uint8 tensor by name, the input included
    nodes : in execution order; the last one makes the int32 scores (it is a QScores, or a QConv
        without requantization) and no other does. In a network of several outputs, one after the other makes
        those of an output, in the order in which they are given
    score_scale : real value of one unit of a score, of the first output where there are several
    more_scales : the same for each output behind the first
    """

    name: str
    input: QTensor
    tensors: Mapping[str, QTensor]
    nodes: tuple[QNode, ...]
    score_scale: float
    more_scales: tuple[float, ...] = ()

    @property
    def byte_nodes(self) -> tuple[QNode, ...]:
        """The nodes that make tensors: all but those that make scores."""
        return self.nodes[: -len(self.score_scales)]

    @property
    def score_nodes(self) -> tuple[QNode, ...]:
        """The nodes that make scores, one for each output."""
        return self.nodes[-len(self.score_scales) :]

    @property
    def score_scales(self) -> tuple[float, ...]:
        """The real value of one unit of a score, of each output."""
        return self.score_scale, *self.more_scales

    @cached_property
    def score_shapes(self) -> Mapping[str, Shape]:
        """(C, H, W) of the scores before flattening, by the node that makes them."""
        return {n.name: n.op.shape([self.tensors[i].shape for i in n.inputs]) for n in self.score_nodes}

    def shape_of(self, node: QNode) -> Shape:
        """(C, H, W) of what ``node`` makes, be it a tensor or scores."""
        return self.tensors[node.name].shape if node.name in self.tensors else self.score_shapes[node.name]

    @property
    def n_scores(self) -> int:
        """How many scores there are, of all outputs."""
        return sum(map(math.prod, self.score_shapes.values()))

    @property
    def scales(self) -> NDArray[np.float64]:
        """The real value of one unit of each score: float64 [S]."""
        return np.repeat(self.score_scales, [math.prod(s) for s in self.score_shapes.values()])

    @property
    def first_scores(self) -> Mapping[str, int]:
        """The index among all scores of the first that a node makes, by the node's name."""
        sizes = [math.prod(s) for s in self.score_shapes.values()]
        return dict(zip(self.score_shapes, itertools.accumulate(sizes, initial=0), strict=False))
