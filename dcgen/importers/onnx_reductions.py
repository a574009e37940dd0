"""ONNX operators that make one number of many: means, sums and maxima over all of channels, height or width.

One function for each operator, listed at the end; see ``onnx_operators``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.importers.onnx_selections import BYTES_OF_INDEX
from dcgen.ir.graph import (
    Affine,
    AvgPool,
    Conv,
    GlobalAvgPool,
    MaxPool,
    Pairwise,
    Select,
    Shape,
    Weight,
)

Gone = tuple[bool, bool, bool]
"""Which of channels, height and width are made one number."""


def _reduction(name: str, reduced: Callable[[Call, Scope, Signal, Gone], Signal]) -> Handler:
    """The handler of an operator that is called ``name`` in errors.

    reduced : makes (N, 1 or C, 1 or H, 1 or W) of planes in the IR tensor's own order
    """

    def handle(call: Call, scope: Scope) -> Signal:
        x = call.signal()
        rank = len(x.dims)
        given = call.optional(1, "axes")
        axes = [] if given is None else sorted({a % max(1, rank) for a in call.integers(1, "axes")})
        if not axes and call.get("noop_with_empty_axes", 0):
            return x
        sizes = scope.shapes[x.tensor]
        steps = (sizes[1] * sizes[2], sizes[2], 1)
        gone = _whole_axes([factor for i in axes for factor in x.axes[i]], sizes)
        if not axes or axes[0] == 0 or gone is None:
            problem = f"found axes {axes or 'all'} of {x.dims}"
            raise call.unsupported(f"the {name} over all of channels, height or width is supported, {problem}")
        kept = [() if i in axes else axis for i, axis in enumerate(x.axes)]
        if not call.get("keepdims", 1):
            kept = [axis for i, axis in enumerate(kept) if i not in axes]
        found = reduced(call, scope, scope.whole(x), gone)

        def closer(stride: int) -> int:
            """A stride where the axes that are gone are of size 1."""
            return stride // math.prod(n for n, s, g in zip(sizes, steps, gone, strict=True) if g and s < stride)

        return found.reordered(tuple(tuple((n, closer(s)) for n, s in axis) for axis in kept))

    return handle


def _mean(call: Call, scope: Scope, x: Signal, gone: Gone) -> Signal:
    sizes, (channels, rows, columns) = scope.shapes[x.tensor], gone
    suffix = ".planes" if channels else ""
    if (rows or columns) and (rows or sizes[1] == 1) and (columns or sizes[2] == 1):
        x = scope.emit(call, GlobalAvgPool(), _before_means(scope, x), suffix=suffix)
    elif rows or columns:
        kernel = (sizes[1], 1) if rows else (1, sizes[2])
        x = scope.emit(call, AvgPool(kernel, (1, 1)), x, suffix=suffix)
    if channels:
        call.budget.charge(4 * sizes[0], f"node {call.name}", parameters=sizes[0])
        weight = np.full((1, sizes[0], 1, 1), 1 / sizes[0], np.float32)
        x = scope.emit(call, Conv(Weight(weight), np.zeros(1, np.float32)), x)
    return x


def _sum(call: Call, scope: Scope, x: Signal, gone: Gone) -> Signal:
    """The mean, times how many there are."""
    number = math.prod(n for n, g in zip(scope.shapes[x.tensor], gone, strict=True) if g)
    mean = _mean(call, scope, x, gone)
    channels = scope.shapes[mean.tensor][0]
    factor = Affine(np.full(channels, number, np.float32), np.zeros(channels, np.float32))
    return scope.emit(call, factor, mean, dims=mean.dims, suffix=".sum")


def _maximum(call: Call, scope: Scope, x: Signal, gone: Gone) -> Signal:
    """Of channels, by halves: the maxima of the first ones and of the last ones, which may have one in common."""
    channels, height, width = scope.shapes[x.tensor]
    if any(gone[1:]):
        kernel = (height if gone[1] else 1, width if gone[2] else 1)
        x = scope.emit(call, MaxPool(kernel, (1, 1)), x, suffix=".planes" if gone[0] else "")
    while gone[0] and channels > 1:
        half = (channels + 1) // 2
        call.budget.charge(2 * BYTES_OF_INDEX * half, f"node {call.name}")
        first = scope.emit(call, Select(tuple(range(half))), x, suffix=f".first{half}")
        last = scope.emit(call, Select(tuple(range(channels - half, channels))), x, suffix=f".last{half}")
        x, channels = (
            scope.emit(call, Pairwise("Max"), first, last, suffix="" if half == 1 else f".max{half}"),
            half,
        )
    return x


def _whole_axes(factors: Sequence[tuple[int, int]], shape: Shape) -> Gone | None:
    """Which of (C, H, W) these factors of axes are, as far as they are larger than 1; None where one is a part."""
    c, h, w = shape
    found = []
    for size, step in ((c, h * w), (h, w), (w, 1)):
        found.append(size > 1 and any(s <= step and step * size <= n * s for n, s in factors))
    whole = math.prod(size for size, one in zip(shape, found, strict=True) if one)
    return (found[0], found[1], found[2]) if whole == math.prod(n for n, _ in factors) else None


def _before_means(scope: Scope, x: Signal) -> Signal:
    """What ``x`` is the mean of along one whole axis, if it is that; else ``x``. The mean of both is the same."""
    node = scope.node(x.tensor)
    if node is None or not isinstance(node.op, AvgPool) or any(node.op.pads):
        return x
    _, height, width = scope.shapes[node.inputs[0]]
    whole_axis = node.op.kernel in ((height, 1), (1, width)) and node.op.stride == (1, 1)
    return scope.whole(Signal(node.inputs[0], ())) if whole_axis else x


OPERATORS: Final[Mapping[str, Handler]] = {
    "ReduceMax": _reduction("maximum", _maximum),
    "ReduceMean": _reduction("mean", _mean),
    "ReduceSum": _reduction("sum", _sum),
}
