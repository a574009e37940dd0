"""The float operators: for each one its parameters, the shape of its output, and what it computes in plain NumPy.

The NumPy code is the meaning of ``ir.Graph``. It is written to be read and to judge others by, not for speed:
tensors are float64 [N, C, H, W].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dcgen.errors import GraphError
from dcgen.ir.functions import MEANINGS, Step, check, compute
from dcgen.ir.weights import F32, F64, Weight

Element = TypeVar("Element", bound=np.generic)
Shape = tuple[int, int, int]
"""Channels, height, width."""
Pair = tuple[int, int]
"""Vertical, horizontal."""
Pads = tuple[int, int, int, int]
"""Top, left, bottom, right (ONNX's order)."""
Span = tuple[int, int, int]
"""The first of some rows or columns, how many there are, and the distance from one to the next."""


class _Operator:
    """Every operator has these; here is what most have in common.

    arity : number of inputs, None for any number from one on
    selects : whether it only picks input values and places them, beside padding: its output needs no scale of its
        own
    """

    arity: ClassVar[int | None] = 1
    selects: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """What it is called where people read it."""
        return type(self).__name__

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        """The output's shape for ``arity`` inputs. Raises GraphError naming the node if they do not fit."""
        return inputs[0]


@dataclass(frozen=True, eq=False)
class Conv(_Operator):
    """2-D cross-correlation, padded with zeros.

    weight : [O, I/groups, KH, KW]
    bias : float32 [O]
    dilation : rows and columns from one tap of the kernel to the next, 1 along an axis of one tap
    """

    weight: Weight
    bias: F32
    stride: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    groups: int = 1
    dilation: Pair = (1, 1)

    @property
    def kernel(self) -> Pair:
        """Height and width of the kernel, in taps."""
        h, w = self.weight.values.shape[2:]
        return int(h), int(w)

    @property
    def extent(self) -> Pair:
        """Rows and columns from the kernel's first tap to its last, both included."""
        (h, w), (dy, dx) = self.kernel, self.dilation
        return (h - 1) * dy + 1, (w - 1) * dx + 1

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        o, i = self.weight.values.shape[:2]
        if i * self.groups != inputs[0][0] or o % self.groups:
            found = f"weight {self.weight.values.shape} in {self.groups} groups"
            raise GraphError(name, f"{found} does not fit {inputs[0][0]} channels")
        return o, *window_counts(name, inputs[0], self.extent, self.stride, self.pads, False)

    def evaluate(self, x: F64) -> F64:
        windows = _windows(x, self.extent, self.stride, self.pads, False, 0.0)
        patches = windows[..., :: self.dilation[0], :: self.dilation[1]]  # N, I, OH, OW, KH, KW
        weight = self.weight.values.astype(np.float64)
        groups = [
            np.tensordot(p, w, ((1, 4, 5), (1, 2, 3)))  # N, OH, OW, O/groups
            for p, w in zip(np.split(patches, self.groups, 1), np.split(weight, self.groups), strict=True)
        ]
        return np.moveaxis(np.concatenate(groups, -1), -1, 1) + _per_channel(self.bias)


@dataclass(frozen=True, eq=False)
class Affine(_Operator):
    """y = x * scale + shift per channel (batch normalisation at inference). Both are float32 [C]."""

    scale: F32
    shift: F32

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        c = inputs[0][0]
        if self.scale.shape != (c,) or self.shift.shape != (c,):
            raise GraphError(name, f"Affine needs {c} factors, found {self.scale.shape} and {self.shift.shape}")
        return inputs[0]

    def evaluate(self, x: F64) -> F64:
        return x * _per_channel(self.scale) + _per_channel(self.shift)


@dataclass(frozen=True)
class Clip(_Operator):
    """y = min(max(x, lo), hi). ReLU is (0, inf), ReLU6 is (0, 6)."""

    lo: float = 0.0
    hi: float = float("inf")

    def evaluate(self, x: F64) -> F64:
        return np.minimum(np.maximum(x, self.lo), self.hi)


@dataclass(frozen=True)
class Function(_Operator):
    """The same function of one number applied to every element.

    steps : as ``functions`` describes them; the last one's result is the output
    """

    steps: tuple[Step, ...]

    @property
    def title(self) -> str:
        return self.steps[0].kind if len(self.steps) == 1 else super().title

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        check(name, self.steps)
        return inputs[0]

    def evaluate(self, x: F64) -> F64:
        return compute(self.steps, x)


@dataclass(frozen=True)
class _Pool(_Operator):
    """What both pools have in common: windows.

    ceil : ONNX's ceil_mode. A last window that only partly lies inside counts, unless it would start in the end
        padding.
    """

    kernel: Pair
    stride: Pair
    pads: Pads = (0, 0, 0, 0)
    ceil: bool = False

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        return inputs[0][0], *window_counts(name, inputs[0], self.kernel, self.stride, self.pads, self.ceil)


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The maximum of each window; taps in the padding never win."""

    selects = True

    def evaluate(self, x: F64) -> F64:
        windows = _windows(x, self.kernel, self.stride, self.pads, self.ceil, -np.inf)
        return np.asarray(windows.max((-2, -1)))


@dataclass(frozen=True)
class AvgPool(_Pool):
    """The average of each window: the sum of its taps divided by how many of them lie inside the input.

    count_include_pad : the divisor counts the taps inside the padded input instead
    """

    count_include_pad: bool = False

    def evaluate(self, x: F64) -> F64:
        window = self.kernel, self.stride, self.pads, self.ceil
        inside = np.ones((1, 1, *x.shape[2:]))
        counted = _windows(inside, *window, float(self.count_include_pad))
        return np.asarray(_windows(x, *window, 0.0).sum((-2, -1)) / counted.sum((-2, -1)))


@dataclass(frozen=True)
class GlobalAvgPool(_Operator):
    """The average of each whole plane: (C, H, W) to (C, 1, 1)."""

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        return inputs[0][0], 1, 1

    def evaluate(self, x: F64) -> F64:
        return np.asarray(x.mean((2, 3), keepdims=True))


@dataclass(frozen=True)
class Concat(_Operator):
    """Concatenation of any number of inputs along channels."""

    arity = None
    selects = True

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        if any(s[1:] != inputs[0][1:] for s in inputs):
            raise GraphError(name, f"Concat on channels needs planes of one size, found {list(inputs)}")
        return sum(s[0] for s in inputs), *inputs[0][1:]

    def evaluate(self, *args: F64) -> F64:
        return np.concatenate(args, 1)


@dataclass(frozen=True)
class Add(_Operator):
    """Element-wise sum of two tensors of equal shape."""

    arity = 2

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        if inputs[0] != inputs[1]:
            raise GraphError(name, f"Add needs equal shapes, found {inputs[0]} and {inputs[1]}")
        return inputs[0]

    def evaluate(self, a: F64, b: F64) -> F64:
        return a + b


@dataclass(frozen=True)
class Pairwise(_Operator):
    """An element-wise function of two tensors of equal shape, beside their sum.

    kind : Sub, Mul, Div, Max or Min, which mean what the ONNX operators do. The second factor of a Mul may be a
        gate, (C, 1, 1): one number for each channel of the first
    """

    arity = 2
    kinds: ClassVar[tuple[str, ...]] = ("Sub", "Mul", "Div", "Max", "Min")

    kind: str

    @property
    def title(self) -> str:
        return self.kind

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        a, b = inputs
        if self.kind not in self.kinds:
            raise GraphError(name, f"{self.kind!r} is none of {', '.join(self.kinds)}")
        if a != b and not (self.kind == "Mul" and b == (a[0], 1, 1)):
            more = ", or a second one of one number a channel" if self.kind == "Mul" else ""
            raise GraphError(name, f"{self.kind} needs equal shapes{more}, found {a} and {b}")
        return a

    def evaluate(self, a: F64, b: F64) -> F64:
        with np.errstate(all="ignore"):  # a quotient beyond float64 is refused where it is used
            return np.asarray(MEANINGS[self.kind](a, b))


@dataclass(frozen=True)
class Where(_Operator):
    """Element by element, the second tensor's where the first one's is not zero, else the third one's."""

    arity = 3

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        if any(s != inputs[0] for s in inputs):
            raise GraphError(name, f"Where needs equal shapes, found {list(inputs)}")
        return inputs[0]

    def evaluate(self, condition: F64, a: F64, b: F64) -> F64:
        return np.asarray(MEANINGS["Where"](condition, a, b))


@dataclass(frozen=True)
class Pad(_Operator):
    """Height and width padded with ``value``, or with the nearest pixel; no element of ``pads`` is negative.

    edge : whether with the nearest pixel; ``value`` is 0.0 then
    """

    selects = True

    pads: Pads
    value: float = 0.0
    edge: bool = False

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        (c, h, w), (top, left, bottom, right) = inputs[0], self.pads
        if min(self.pads) < 0:
            raise GraphError(name, f"Pad cannot crop, found pads {self.pads}")
        return c, h + top + bottom, w + left + right

    def evaluate(self, x: F64) -> F64:
        return edged(x, self.pads) if self.edge else _padded(x, self.pads, self.value)


@dataclass(frozen=True)
class Select(_Operator):
    """Channels of the input: output channel i is input channel ``channels[i]``."""

    selects = True

    channels: tuple[int, ...]

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        c, h, w = inputs[0]
        if not self.channels or not all(0 <= i < c for i in self.channels):
            raise GraphError(name, f"selects channels {list(self.channels)[:8]} of {c}")
        return len(self.channels), h, w

    def evaluate(self, x: F64) -> F64:
        return x[:, list(self.channels)]


@dataclass(frozen=True)
class Crop(_Operator):
    """Rows and columns of the input.

    rows, columns : the first, how many, and how far one is from the next
    """

    selects = True

    rows: Span
    columns: Span

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        c, *plane = inputs[0]
        for (first, count, step), size in zip((self.rows, self.columns), plane, strict=True):
            if first < 0 or count < 1 or step < 1 or first + (count - 1) * step >= size:
                raise GraphError(name, f"takes {count} at a distance of {step} from {first} on, there are {size}")
        return c, self.rows[1], self.columns[1]

    def evaluate(self, x: F64) -> F64:
        rows, columns = (slice(f, f + n * step, step) for f, n, step in (self.rows, self.columns))
        return x[:, :, rows, columns]


@dataclass(frozen=True)
class Flatten(_Operator):
    """(C, H, W) to (C*H*W, 1, 1), in C, H, W order."""

    selects = True

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        c, h, w = inputs[0]
        return c * h * w, 1, 1

    def evaluate(self, x: F64) -> F64:
        return x.reshape(len(x), -1, 1, 1)


@dataclass(frozen=True)
class Upsample(_Operator):
    """Planes enlarged by whole numbers: each pixel of the input becomes a block of pixels, of factor[0] rows and
    factor[1] columns.

    channels : of the output. Where the input has as many, a block repeats its pixel. Where the input has, for each
        of them, as many as a block has pixels, these are a block's pixels row by row, as in ONNX's DepthToSpace
        of mode CRD and PyTorch's PixelShuffle
    cut : rows and columns at the end that are left out
    """

    selects = True

    factor: Pair
    channels: int
    cut: Pair = (0, 0)

    def shape(self, name: str, inputs: Sequence[Shape]) -> Shape:
        return upsampled(name, inputs[0], self.factor, self.channels, self.cut)

    def evaluate(self, x: F64) -> F64:
        return upsample(x, self.factor, self.channels, self.cut)


Op = (
    Conv
    | Affine
    | Clip
    | Function
    | MaxPool
    | AvgPool
    | GlobalAvgPool
    | Concat
    | Add
    | Pairwise
    | Where
    | Pad
    | Select
    | Crop
    | Flatten
    | Upsample
)


def infer(name: str, op: Op, inputs: Sequence[Shape]) -> Shape:
    """The shape of the output of node ``name``. Raises GraphError if ``op`` cannot take ``inputs``."""
    if len(inputs) != (op.arity or max(1, len(inputs))):
        raise GraphError(name, f"{type(op).__name__} takes {op.arity or 'some'} inputs, not {len(inputs)}")
    return op.shape(name, inputs)


def window_count(size: int, kernel: int, stride: int, begin: int, end: int, ceil: bool) -> int:
    """Number of windows along one axis of ``size`` cells with ``begin`` and ``end`` cells of padding.

    The definition is ONNX's: with ``ceil`` a last partial window counts, unless it would start in the end padding.
    Zero when the kernel does not fit.
    """
    free = size + begin + end - kernel
    if free < 0:
        return 0
    n = (-(-free // stride) if ceil else free // stride) + 1
    if ceil and (n - 1) * stride >= size + begin:
        n -= 1
    return n


def window_counts(name: str, shape: Shape, kernel: Pair, stride: Pair, pads: Pads, ceil: bool) -> Pair:
    """``window_count`` of both axes of a (C, H, W) tensor.

    Raises GraphError naming ``name`` where the kernel does not fit.
    """
    _, h, w = shape
    top, left, bottom, right = pads
    rows = window_count(h, kernel[0], stride[0], top, bottom, ceil)
    columns = window_count(w, kernel[1], stride[1], left, right, ceil)
    if rows < 1 or columns < 1:
        raise GraphError(name, f"kernel {kernel} does not fit a {h}x{w} plane with pads {pads}")
    return rows, columns


def upsampled(name: str, shape: Shape, factor: Pair, channels: int, cut: Pair) -> Shape:
    """The shape that an ``Upsample`` makes of a (C, H, W) tensor. Raises GraphError naming ``name`` for none."""
    c, h, w = shape
    rows, columns = h * factor[0] - cut[0], w * factor[1] - cut[1]
    if min(factor) < 1 or c not in (channels, channels * factor[0] * factor[1]):
        raise GraphError(name, f"cannot make {channels} channels of {c} in blocks of {factor}")
    if min(cut) < 0 or min(rows, columns) < 1:
        raise GraphError(name, f"cannot cut {cut} rows and columns from {shape} in blocks of {factor}")
    return channels, rows, columns


def upsample(x: NDArray[Element], factor: Pair, channels: int, cut: Pair) -> NDArray[Element]:
    """What an ``Upsample`` computes: [N, C, H, W] of any type."""
    n, c, h, w = x.shape
    if c == channels:
        found = x.repeat(factor[0], 2).repeat(factor[1], 3)
    else:
        blocks = x.reshape(n, channels, *factor, h, w).transpose(0, 1, 4, 2, 5, 3)
        found = blocks.reshape(n, channels, h * factor[0], w * factor[1])
    return np.ascontiguousarray(found[:, :, : h * factor[0] - cut[0], : w * factor[1] - cut[1]])


def _windows(x: F64, kernel: Pair, stride: Pair, pads: Pads, ceil: bool, fill: float) -> F64:
    """The windows of the planes padded with ``fill``, [N, C, OH, OW, KH, KW].

    In ceil mode a last window may reach beyond the padding, into cells that never count.
    """
    oh, ow = window_counts("evaluate", x.shape[1:], kernel, stride, pads, ceil)
    beyond = -np.inf if fill == -np.inf else 0.0
    x = _padded(_padded(x, pads, fill), (0, 0, stride[0], stride[1]), beyond)
    every: F64 = sliding_window_view(x, kernel, (2, 3))
    return every[:, :, :: stride[0], :: stride[1]][:, :, :oh, :ow]


def _padded(x: F64, pads: Pads, value: float) -> F64:
    top, left, bottom, right = pads
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def edged(x: NDArray[Element], pads: Pads) -> NDArray[Element]:
    """The planes of x [N, C, H, W] padded with their nearest pixels."""
    top, left, bottom, right = pads
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), "edge")


def _per_channel(values: NDArray[np.floating]) -> F64:
    return values.astype(np.float64).reshape(-1, 1, 1)
