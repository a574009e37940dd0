"""The state of an ONNX import: which IR tensor each ONNX tensor is a view of.

ONNX tensors have a batch axis and any rank; IR tensors are one picture's (C, H, W). Both list
their elements in the same order, so an ONNX reshape is only another *view* of an IR tensor. The view
matters where an operator asks for channels and planes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dcgen.errors import GraphError, ModelError, UnsupportedError
from dcgen.importers.model import Head
from dcgen.ir.graph import F32, Flatten, Node, Op, Pads, Shape
from dcgen.ir.ops import infer
from dcgen.limits import LIMITS, Budget

Dims = tuple[int, ...]
MOST_INTEGERS = 128
"""Most numbers in a shape, in axes or in pads: NumPy has at most 64 axes."""


@dataclass(frozen=True)
class Signal:
    """A computed ONNX tensor.

    tensor : name of the IR tensor that has its elements
    dims : its ONNX shape
    head : the operator at the end of the network that is left out between the two, if one is
    """

    tensor: str
    dims: Dims
    head: Head = "none"


Value = Signal | np.ndarray
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
    """

    source: str
    name: str
    kind: str
    attributes: Mapping[str, Any]
    args: tuple[Value | None, ...]
    budget: Budget

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
    numbers : for a name that several tensors ask for, the number that the last of them was given
    """

    batch: int
    shapes: dict[str, Shape] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def emit(self, call: Call, op: Op, *args: Signal, dims: Dims | None = None, suffix: str = "") -> Signal:
        """Append a node and return its output.

        dims : the output's ONNX shape, by default the IR tensor's with as many axes as the first input has
        suffix : what is added to the ONNX node's name
        """
        name = self.unused(call.name + suffix)
        inputs = tuple(a.tensor for a in args)
        try:
            shape = infer(name, op, [self.shapes[t] for t in inputs])
        except GraphError as e:
            raise ModelError(call.where, e.problem) from None
        self.check_size(call.where, shape, getattr(op, "pads", (0, 0, 0, 0)), inputs)
        if len(self.nodes) == LIMITS.nodes:
            raise ModelError(call.where, f"is one too many, expected at most {LIMITS.nodes:,} nodes")
        self.nodes.append(Node(name, op, inputs))
        self.shapes[name] = shape
        return Signal(name, dims or (self.batch, *shape)[: max(2, len(args[0].dims))])

    def planes(self, call: Call, index: int = 0, rank: int | None = None) -> Signal:
        """Input ``index``, whose ONNX axes must be batch, channels(, height(, width)) of its IR tensor.

        rank : number of axes that it must have, None for any
        """
        signal = call.signal(index)
        if rank is not None and len(signal.dims) != rank:
            raise call.unsupported(
                f"input {index} has rank {rank} where supported, found shape {signal.dims}",
                "1-D and 3-D forms are not supported" if rank == 4 else "",
            )
        if self.channel_axis(signal) is None:
            raise call.unsupported(
                f"input {index} of shape {signal.dims} is a reshaped {self.shapes[signal.tensor]} tensor",
                "a reshape must keep batch and planes, or flatten",
            )
        return signal

    def channel_axis(self, signal: Signal) -> int | None:
        """The ONNX axis that is the IR tensor's channels, None when the view hides them."""
        shape = self.shapes[signal.tensor]
        if signal.dims[:1] == (self.batch,) and as_shape(signal.dims[1:]) == shape:
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
        if len(aligned) > len(x.dims) or not only_channels or c.size not in (1, channels) or axis is None:
            raise call.unsupported(
                f"a constant per channel ({channels}) or a scalar is supported with {x.dims}, found {c.shape}"
            )
        return np.broadcast_to(c.reshape(-1), channels)

    def view(self, call: Call, signal: Signal, dims: Dims) -> Signal:
        """``signal`` in another ONNX shape. Where planes are flattened, a Flatten node is appended."""
        if signal.head in ("argmax", "topk"):
            return signal  # indices, whose shape is the host's business
        if math.prod(dims) != math.prod(signal.dims):
            raise ModelError(call.where, f"cannot reshape {signal.dims} to {dims}")
        shape = self.shapes[signal.tensor]
        flat = (math.prod(shape), 1, 1)
        if dims[:1] == (self.batch,) and shape != flat and as_shape(dims[1:]) == flat:
            return replace(self.emit(call, Flatten(), signal, dims=dims), head=signal.head)
        return replace(signal, dims=dims)

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


def as_shape(dims: Dims) -> Shape | None:
    """ONNX axes without the batch as (C, H, W), missing ones 1; None for more than three."""
    if len(dims) > 3:
        return None
    c, h, w = (*dims, 1, 1, 1)[:3]
    return c, h, w
