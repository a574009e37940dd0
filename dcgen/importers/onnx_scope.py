"""The state of an ONNX import: which IR tensor each ONNX tensor is a view of.

ONNX tensors have a batch axis and any rank; IR tensors are one picture's (C, H, W). An ONNX reshape or
transposition is only another *view* of an IR tensor: it says in which order the ONNX tensor lists the elements
(``onnx_order``). The view matters where an operator asks for channels and planes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dcgen.errors import GraphError, ModelError, UnsupportedError
from dcgen.importers import onnx_order
from dcgen.importers.model import Head
from dcgen.importers.onnx_order import Axes, Dims
from dcgen.ir.graph import F32, Conv, Flatten, Node, Op, Pads, Select, Shape, Upsample, Weight
from dcgen.ir.ops import infer
from dcgen.limits import LIMITS, Budget

MOST_INTEGERS = 128
"""Most numbers in a shape, in axes or in pads: NumPy has at most 64 axes."""
Integers = tuple[float, float]
"""Scale and zero point of a tensor of integers."""


@dataclass(frozen=True)
class Signal:
    """A computed ONNX tensor.

    tensor : name of the IR tensor that has its elements
    dims : its ONNX shape
    head : the operator at the end of the network that is left out between the two, if one is
    order : the order of its elements in (N, *the IR tensor's shape), None where that is the IR tensor's own
    integers : how its integers stand for the IR tensor's elements, which are real; None where it is real itself
    """

    tensor: str
    dims: Dims
    head: Head = "none"
    order: Axes | None = None
    integers: Integers | None = None

    @property
    def axes(self) -> Axes:
        """Its ONNX axes as factors of the IR tensor's elements."""
        return onnx_order.in_order(self.dims) if self.order is None else self.order

    def reordered(self, axes: Axes) -> Signal:
        """The signal with other axes of the same elements."""
        dims = onnx_order.dims_of(axes)
        return replace(self, dims=dims, order=None if axes == onnx_order.in_order(dims) else axes)


@dataclass(frozen=True, eq=False)
class Gathered:
    """Pixels of planes that an ONNX file gathers, and what it makes of them, until they are known as an operator.

    source : the planes
    drawn : float32 [N, C, H, W], pixels of the planes as they are drawn by chance
    values : what the ONNX tensor is of these
    """

    source: Signal
    drawn: F32
    values: np.ndarray


Value = Signal | Gathered | np.ndarray
"""An ONNX tensor during import: computed, or a constant."""

Handler = Callable[["Call", "Scope"], Value | tuple[Value, ...]]
"""Imports one node and returns its output, or all of its outputs."""


@dataclass(frozen=True, eq=False)
class Call:
    """One ONNX node with its arguments.

    source : names the model in errors
    name : the node's, or that of its first output
    kind : ONNX operator type
    attributes : by name, as ``onnx.helper`` decodes them
    args : one for each input, None for an omitted one
    budget : of the import
    final : whether nothing computes with its outputs: they are the network's, or only seen otherwise before
    outputs : how many it has
    """

    source: str
    name: str
    kind: str
    attributes: Mapping[str, Any]
    args: tuple[Value | None, ...]
    budget: Budget
    final: bool = False
    outputs: int = 1

    @property
    def where(self) -> str:
        """The node's name in errors."""
        return f"{self.source}: node {self.name} ({self.kind})"

    def unsupported(self, problem: str, hint: str = "") -> UnsupportedError:
        """The error to raise for what dcgen does not import."""
        return UnsupportedError(self.where, problem, hint)

    def get(self, attribute: str, default: Any) -> Any:
        """The attribute's value, or ``default`` where the node has none; strings are decoded."""
        value = self.attributes.get(attribute, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def signal(self, index: int = 0) -> Signal:
        """Input ``index``, which must be computed."""
        value = self._arg(index)
        if not isinstance(value, Signal):
            raise self.unsupported(f"input {index} is computed where supported, found a constant")
        return value

    def constant(self, index: int, what: str) -> np.ndarray:
        """Input ``index``, which must be constant; ``what`` names it in the error."""
        value = self._arg(index)
        if not isinstance(value, np.ndarray):
            raise self.unsupported(f"its {what} (input {index}) must be constant, found a computed tensor")
        return value

    def optional(self, index: int, what: str) -> np.ndarray | None:
        """Input ``index``, which must be constant, None if it is omitted; ``what`` names it in the error."""
        return None if self._arg(index) is None else self.constant(index, what)

    def scalar(self, index: int, what: str, default: float) -> float:
        """Input ``index``, which must be one constant, ``default`` if it is omitted; ``what`` names it in the
        error."""
        value = self.optional(index, what)
        if value is not None and value.size != 1:
            raise ModelError(self.where, f"its {what} is one number, found shape {value.shape}")
        return default if value is None else float(value.reshape(()))

    def integers(self, index: int, what: str) -> list[int]:
        """Input ``index``, which must hold constant numbers, at most two for each axis that ONNX knows; ``what``
        names it in the error."""
        value = self.constant(index, what).reshape(-1)
        if value.size > MOST_INTEGERS:
            raise ModelError(self.where, f"its {what} (input {index}) are {value.size:,} numbers")
        return [int(n) for n in value]

    def parameter(self, array: Any, what: str) -> F32:
        """``array`` as float32; ModelError if that is not finite. ``what`` names it in the error."""
        given = np.asarray(array)
        copied = 0 if given.dtype == np.float32 and given.flags.c_contiguous else 4 * given.size
        self.budget.charge(copied, f"{what} of node {self.name}", parameters=given.size)
        with np.errstate(over="ignore"):
            found = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(found).all():
            raise ModelError(self.where, f"its {what} holds a NaN or infinite value")
        return found

    def _arg(self, index: int) -> Value | None:
        return self.args[index] if index < len(self.args) else None


@dataclass(eq=False)
class Scope:
    """The IR graph so far.

    batch : the ONNX model's own batch size
    shapes : (C, H, W) of every IR tensor by name
    made : the nodes by name, in order
    numbers : for a name that several tensors ask for, the number that the last of them was given
    shuffled : the tensors that are another one's channels in another order, by that one and the order
    ranges : of IR tensors that the model has as integers of 8 bits, the least and the largest real value of these
    """

    batch: int
    shapes: dict[str, Shape] = field(default_factory=dict)
    made: dict[str, Node] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    shuffled: dict[tuple[str, tuple[int, ...]], str] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def emit(self, call: Call, op: Op, *args: Signal, dims: Dims | None = None, suffix: str = "") -> Signal:
        """Append a node and return its output.

        dims : the output's ONNX shape, by default the IR tensor's with as many axes as the first input has, of
            which the third of three is all of a plane. Where it is the first input's own, elements keep the order
            that they have there
        suffix : what is added to the ONNX node's name
        """
        order = args[0].order
        if any(a.order != order for a in args) or (order is not None and dims != args[0].dims):
            raise call.unsupported(*_NOT_UNDONE)
        integers = args[0].integers
        if any(a.integers != integers for a in args):
            raise call.unsupported("its inputs are integers of different scales")
        name = self.unused(call.name + suffix)
        inputs = tuple(a.tensor for a in args)
        try:
            shape = infer(name, op, [self.shapes[t] for t in inputs])
        except GraphError as e:
            raise ModelError(call.where, e.problem) from None
        self.check_size(call.where, shape, getattr(op, "pads", (0, 0, 0, 0)), inputs)
        if len(self.made) == LIMITS.nodes:
            raise ModelError(call.where, f"is one too many, expected at most {LIMITS.nodes:,} nodes")
        self.made[name] = Node(name, op, inputs)
        self.shapes[name] = shape
        if dims is None:
            c, h, w = shape
            rank = len(args[0].dims)
            dims = (self.batch, c, h * w) if rank == 3 else (self.batch, c, h, w)[: max(2, rank)]
        return Signal(name, dims, order=order, integers=integers)

    def planes(self, call: Call, index: int = 0, rank: int | None = None) -> Signal:
        """Input ``index``, whose ONNX axes must be those of its IR tensor: (N, C), (N, C, H, W), or (N, C, L)
        where its planes have one row.

        rank : number of axes that it must have, None for any
        """
        signal = call.signal(index)
        if rank is not None and len(signal.dims) != rank:
            raise call.unsupported(
                f"input {index} has rank {rank} where supported, found shape {signal.dims}",
                "forms on vectors and volumes are not supported" if rank == 4 else "",
            )
        if signal.order is not None:
            if (channels := self._shuffled(call, signal)) is None:
                raise call.unsupported(*_NOT_UNDONE)
            return self._in_order(call, signal, channels)
        if self._plain_axis(signal) is None:
            if (turned := self._turned(call, signal)) is not None:
                return turned
            raise call.unsupported(
                f"input {index} of shape {signal.dims} is a reshaped {self.shapes[signal.tensor]} tensor",
                "a reshape must keep batch and planes, or flatten",
            )
        return signal

    def named_axes(self, call: Call, index: int = 0) -> tuple[Signal, tuple[int, ...]]:
        """Input ``index`` as planes in the IR tensor's own order, and which of (N, C, H, W) each of its axes is:
        (0, 1, 2, 3), or (0, 2, 3, 1) where channels are last. The length of (N, C, L) is the width of planes of
        one row, or the height of planes of one column."""
        return self.named(call, call.signal(index))

    def named(self, call: Call, signal: Signal) -> tuple[Signal, tuple[int, ...]]:
        """``named_axes`` of a signal that may be no input of the node."""
        if len(signal.dims) == 3:
            return self._named_length(call, signal)
        if len(signal.dims) == 4 and self._plain_axis(signal) is None and self._shuffled(call, signal) is None:
            first = signal.reordered(onnx_order.transposed(signal.axes, onnx_order.TO_CHANNEL_FIRST))
            if first.order is None and self._plain_axis(first) is not None:
                return first, onnx_order.CHANNEL_LAST
            if (channels := self._shuffled(call, first)) is not None:
                return self._in_order(call, first, channels), onnx_order.CHANNEL_LAST
            if (turned := self._turned(call, first)) is not None:
                return turned, onnx_order.CHANNEL_LAST
        return self.planes(replace(call, args=(signal,))), tuple(range(len(signal.dims)))

    def _named_length(self, call: Call, signal: Signal) -> tuple[Signal, tuple[int, ...]]:
        """``named`` of a signal (N, C, L) or (N, L, C), L being the width of planes of one row, or the height of
        planes of one column. Planes of several rows and columns are refused."""
        for names in ((0, 1, 3), (0, 1, 2), (0, 3, 1), (0, 2, 1)):
            axes: list[onnx_order.Axis] = [()] * 4
            for name, axis in zip(names, signal.axes, strict=True):
                axes[name] = axis
            planes = signal.reordered(tuple(axes))
            if planes.order is None and self._plain_axis(planes) is not None:
                return planes, names
            if (channels := self._shuffled(call, planes)) is not None:
                return self._in_order(call, planes, channels), names
        return self.planes(replace(call, args=(signal,))), (0, 1, 2)

    def _shuffled(self, call: Call, signal: Signal) -> tuple[int, ...] | None:
        """The order in which a signal of planes has the channels of its IR tensor; None where its axes are others
        than batch, channels, height and width."""
        channels, height, width = self.shapes[signal.tensor]
        if signal.dims[1:] != (channels, height, width):
            return None
        own, order = onnx_order.in_order(signal.dims), signal.axes[1]
        if signal.axes[0] != own[0] or signal.axes[2:] != own[2:] or any(s % (height * width) for _, s in order):
            return None
        call.budget.charge(64 * channels, f"node {call.name}")
        return tuple(int(p) for p in onnx_order.places((order,)) // (height * width))

    def _turned(self, call: Call, signal: Signal) -> Signal | None:
        """A signal of columns whose IR tensor is rows, or the reverse, as a tensor of its own: every pixel becomes
        a channel, and these are put side by side. None for any other signal."""
        channels, *sizes = self.shapes[signal.tensor]
        length = max(sizes)
        if signal.order is not None or min(sizes) > 1 or signal.dims != (self.batch, channels, *sizes[::-1]):
            return None
        filters = np.tile(np.eye(length, dtype=np.float32), (channels, 1))
        call.budget.charge(filters.nbytes, f"node {call.name}", parameters=filters.size)
        weight = filters.reshape(channels * length, 1, *sizes)
        bias, tall = np.zeros(len(weight), np.float32), sizes[0] == 1
        pixels = self.emit(call, Conv(Weight(weight), bias, groups=channels), self.whole(signal), suffix=".pixels")
        block = Upsample((length, 1) if tall else (1, length), channels)
        return self.emit(call, block, pixels, suffix=".turned")

    def _in_order(self, call: Call, signal: Signal, channels: tuple[int, ...]) -> Signal:
        """A signal of planes that has ``channels`` of its IR tensor as a tensor of its own, made but once."""
        key = signal.tensor, channels
        if key not in self.shuffled:
            made = self.emit(call, Select(channels), self.whole(signal), suffix=".shuffled")
            self.shuffled[key] = made.tensor
        return replace(signal, tensor=self.shuffled[key], order=None)

    def back(self, signal: Signal, names: tuple[int, ...]) -> Signal:
        """Planes with their axes in the order that ``named_axes`` has found."""
        return signal.reordered(onnx_order.transposed(signal.axes, names))

    def whole(self, signal: Signal) -> Signal:
        """The IR tensor that has the signal's elements, as (N, C, H, W)."""
        return Signal(signal.tensor, (self.batch, *self.shapes[signal.tensor]))

    def node(self, tensor: str) -> Node | None:
        """The node that makes a tensor, None for an input."""
        return self.made.get(tensor)

    def channel_axis(self, signal: Signal) -> int | None:
        """The ONNX axis that is the IR tensor's channels, None when the view hides them."""
        channels, height, width = self.shapes[signal.tensor]
        axis = ((channels, height * width),)
        plain = self._plain_axis(signal)
        return signal.axes.index(axis) if plain is None and axis in signal.axes else plain

    def _plain_axis(self, signal: Signal) -> int | None:
        """The ONNX axis of the channels where the axes are batch, channels(, height, width), or batch, channels
        and length, else None."""
        shape = self.shapes[signal.tensor]
        if signal.order is not None:
            return None
        row = len(signal.dims) == 3 and shape == (signal.dims[1], 1, signal.dims[2])
        if signal.dims[:1] == (self.batch,) and (row or as_shape(signal.dims[1:]) == shape):
            return 1
        if self.batch == 1 and len(signal.dims) == 1 and as_shape(signal.dims) == shape:
            return 0  # a vector without a batch axis
        return None

    def spread(self, call: Call, x: Signal, constant: np.ndarray) -> np.ndarray:
        """A constant operand of ``x``, which is one number or differs by channel alone, as float64 [C]."""
        axis, channels = self.channel_axis(x), self.shapes[x.tensor][0]
        c = constant.astype(np.float64)
        aligned = (1,) * (len(x.dims) - c.ndim) + c.shape
        only_channels = all(n == 1 or i == axis for i, n in enumerate(aligned))
        if len(aligned) > len(x.dims) or not only_channels or c.size not in (1, channels):
            raise call.unsupported(
                f"a constant per channel ({channels}) or a scalar is supported with {x.dims}, found {c.shape}"
            )
        return np.broadcast_to(c.reshape(-1), channels)

    def view(self, call: Call, signal: Signal, dims: Dims) -> Signal:
        """``signal`` in another ONNX shape. Where planes are flattened in the IR tensor's own order of elements,
        a Flatten node is appended."""
        if signal.head in ("argmax", "topk"):
            return signal  # indices, whose shape is the host's business
        if math.prod(dims) != math.prod(signal.dims):
            raise ModelError(call.where, f"cannot reshape {signal.dims} to {dims}")
        axes = onnx_order.reshaped(signal.axes, dims)
        if axes is None:
            found = f"found {signal.dims} to {dims}"
            raise call.unsupported(f"a reshape of transposed planes keeps or joins whole axes, {found}")
        if (seen := signal.reordered(axes)).order is not None:
            return seen
        shape = self.shapes[signal.tensor]
        flat = (math.prod(shape), 1, 1)
        if dims[:1] == (self.batch,) and shape != flat and as_shape(dims[1:]) == flat:
            own = replace(signal, dims=dims, order=None)
            return replace(self.emit(call, Flatten(), own, dims=dims), head=signal.head)
        return replace(signal, dims=dims, order=None)

    def flattened(self, call: Call, signal: Signal) -> Signal:
        """``signal``, a matrix (N, features) in any order of elements, as one in the IR tensor's own order."""
        flat = Signal(signal.tensor, signal.dims)
        if self.shapes[signal.tensor][1:] == (1, 1):
            return flat
        return self.emit(call, Flatten(), flat, dims=flat.dims, suffix=".flatten")

    def check_size(self, where: str, shape: Shape, pads: Pads = (0, 0, 0, 0), inputs: Sequence[str] = ()) -> None:
        """ModelError where a tensor of ``shape``, or an input with its padding, has more elements than any target
        has bytes."""
        top, left, bottom, right = pads
        padded = ((c, h + top + bottom, w + left + right) for c, h, w in (self.shapes[t] for t in inputs))
        for found in (shape, *padded):
            if math.prod(found) > LIMITS.tensor_elements:
                raise ModelError(
                    where, f"a tensor has shape {found}, expected at most {LIMITS.tensor_elements:,} elements"
                )

    def unused(self, name: str) -> str:
        """``name``, or that with a number where a tensor has it already."""
        unique = name
        while unique in self.shapes:
            self.numbers[name] = self.numbers.get(name, 0) + 1
            unique = f"{name}_{self.numbers[name]}"
        return unique


_NOT_UNDONE = (
    "reads a transposed tensor",
    "a Transpose is supported where others undo it, and before a fully connected layer",
)


def as_shape(dims: Dims) -> Shape | None:
    """ONNX axes without the batch as (C, H, W), missing ones 1; None for more than three."""
    if len(dims) > 3:
        return None
    c, h, w = (*dims, 1, 1, 1)[:3]
    return c, h, w
