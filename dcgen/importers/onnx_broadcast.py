"""Tensors that are repeated along axes of size 1, as ONNX does where two of different shapes meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dcgen.importers.onnx_order import Dims
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.importers.onnx_selections import BYTES_OF_INDEX
from dcgen.ir.graph import Select, Upsample


def common(shapes: Sequence[Dims]) -> Dims | None:
    """The shape that tensors of ``shapes``, which have as many axes, get when they are repeated; None for none."""
    if len({len(s) for s in shapes}) != 1:
        return None
    sizes = [set(axis) - {1} for axis in zip(*shapes, strict=True)]
    return tuple(max(s, default=1) for s in sizes) if all(len(s) < 2 for s in sizes) else None


def repeated(call: Call, scope: Scope, x: Signal, dims: Dims) -> Signal:
    """``x`` with the shape ``dims``, repeated along its axes of size 1: its channel is selected many times, its
    pixels become blocks."""
    if x.dims == dims:
        return x
    planes, names = scope.named(call, x)
    sizes = (scope.batch, *scope.shapes[planes.tensor])
    wanted = list(sizes)
    for name, size, old in zip(names, dims, x.dims, strict=True):
        wanted[name] = size if old == 1 else wanted[name]
    if wanted[0] != scope.batch:
        raise call.unsupported(f"a repeated tensor has the network's batch where supported, found {x.dims}")
    _, channels, height, width = wanted
    scope.check_size(call.where, (channels, height, width))
    if channels != sizes[1]:
        call.budget.charge(BYTES_OF_INDEX * channels, f"node {call.name}")
        planes = scope.emit(call, Select((0,) * channels), planes, suffix=".channels")
    factor = height // sizes[2], width // sizes[3]
    if factor != (1, 1):
        planes = scope.emit(call, Upsample(factor, channels), planes, suffix=".pixels")
    return scope.back(planes, names)


def expanded(scope: Scope, x: Signal) -> Signal | None:
    """What ``x`` repeats, one number for each channel, all over its planes; None where it is no such tensor."""
    node = scope.node(x.tensor)
    if x.order is not None or node is None or not isinstance(node.op, Upsample):
        return None
    source = scope.shapes[node.inputs[0]]
    return scope.whole(Signal(node.inputs[0], ())) if source == (node.op.channels, 1, 1) else None


def expand(call: Call, scope: Scope) -> Signal:
    x, wanted = call.signal(), tuple(call.integers(1, "shape"))
    found = common([x.dims, wanted])
    if found is None:
        raise call.unsupported(f"a shape of as many axes is supported, found {x.dims} to {wanted}")
    return repeated(call, scope, x, found)


OPERATORS: Final[Mapping[str, Handler]] = {"Expand": expand}
