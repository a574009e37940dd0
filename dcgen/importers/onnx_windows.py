"""ONNX operators on planes: convolution, matrix product, padding, concatenation.

One function for each operator, listed at the end; see ``onnx_operators``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers import onnx_order
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal, Value
from dcgen.ir.graph import F32, Add, Concat, Conv, Pad, Pads, Pair, Weight

SPATIAL = frozenset({"dilations", "kernel_shape", "output_padding", "output_shape", "pads", "strides"})
"""ONNX attributes that list a number for each spatial axis, as ``kernel_shape``, or two, as ``pads`` its begin and
end: 2 or 4 numbers for planes, 1 or 2 for lengths."""
BY_THE_HOST = "what only joins outputs the host can do: make its inputs the network's outputs"
MAX_EXTENT = 1 << 15
"""Largest kernel, stride or padding that is imported: larger than any picture, and safe to multiply."""


def on_lengths(handler: Handler) -> Handler:
    """A handler of planes that takes (N, C, L) too: as planes of one row, or of one column where they are that."""

    def handle(call: Call, scope: Scope) -> Value | tuple[Value, ...]:
        x = call.args[0]
        if not isinstance(x, Signal) or len(x.dims) != 3:
            return handler(call, scope)
        planes, names = scope.named(call, x)
        if names[1] != 1:
            scope.planes(call)  # which refuses channels that are last
        row, more = names[2] == 3, dict(call.attributes)
        for key in SPATIAL & more.keys():
            fill = 0 if key in ("output_padding", "pads") else 1
            more[key] = [n for value in more[key] for n in ((fill, value) if row else (value, fill))]
        weights = [
            np.expand_dims(a, 2 if row else 3) if isinstance(a, np.ndarray) and a.ndim == 3 else a
            for a in call.args[1:]
        ]
        found = handler(replace(call, args=(planes, *weights), attributes=more), scope)
        assert isinstance(found, Signal)
        return scope.back(found, names)

    return handle


def conv(call: Call, scope: Scope) -> Signal:
    x = scope.planes(call, rank=4)
    weight = call.parameter(call.constant(1, "weight"), "weight")
    if weight.ndim != 4 or 0 in weight.shape:
        raise ModelError(call.where, f"a 2-D convolution has a weight (O, I, KH, KW), found {weight.shape}")
    bias, kernel = bias_of(call, len(weight)), kernel_of(call, weight)
    dilation = dilation_of(call, kernel)
    stride, pads = window_of(call, scope, x, extent_of(kernel, dilation))
    groups = call.get("group", 1)
    if groups < 1 or len(weight) % groups:
        raise ModelError(call.where, f"{len(weight)} filters cannot form {groups} groups")
    op = Conv(Weight(weight), bias, stride, pads, groups, dilation)
    return scope.emit(call, op, x)


def along_channels(handler: Handler) -> Handler:
    """A handler of convolutions that takes (N, 1, L) too where L are the channels of single pixels, as efficient
    channel attention has it: there a convolution along L is a matrix, in whose rows the kernel moves on."""

    def handle(call: Call, scope: Scope) -> Value | tuple[Value, ...]:
        x = call.args[0]
        if not isinstance(x, Signal) or len(x.dims) != 3 or x.order is not None or x.dims[1] != 1:
            return handler(call, scope)
        kernel, channels = call.constant(1, "weight"), x.dims[2]
        if scope.shapes[x.tensor] != (channels, 1, 1) or channels == 1 or kernel.shape[:2] != (1, 1):
            return handler(call, scope)
        more = {k: [n for n in v for _ in range(2)] if k in SPATIAL else v for k, v in call.attributes.items()}
        one, taps = replace(call, attributes=more), kernel.shape[2]
        (step, _), (distance, _) = strides_of(one), dilation_of(one, (taps, taps))
        extent = (taps - 1) * distance + 1
        begin, _, end, _ = pads_of(one, (channels, channels), (extent, extent), (step, step))
        made = max(0, (channels + begin + end - extent) // step + 1)
        call.budget.charge(8 * made * channels, f"node {call.name}", parameters=made * channels)
        matrix = np.zeros((made, channels, 1, 1))
        for row in range(made):
            places = row * step - begin + distance * np.arange(taps)
            inside = (places >= 0) & (places < channels)
            matrix[row, places[inside], 0, 0] = kernel[0, 0, inside]
        bias = call.parameter(np.broadcast_to(bias_of(call, 1), made), "bias")
        return scope.emit(call, Conv(Weight(call.parameter(matrix, "weight")), bias), x, dims=(x.dims[0], 1, made))

    return handle


def gemm(call: Call, scope: Scope) -> Signal:
    if call.get("transA", 0):
        raise call.unsupported("transA 0 is supported, found 1")
    matrix = call.constant(1, "matrix B").astype(np.float64) * call.get("alpha", 1.0)
    if call.get("transB", 0):
        matrix = matrix.T
    bias = call.optional(2, "bias C")
    shift = np.zeros(()) if bias is None else bias.astype(np.float64) * call.get("beta", 1.0)
    return _dense(call, scope, matrix, shift)


def matmul(call: Call, scope: Scope) -> Signal:
    if not isinstance(call.args[0], Signal):
        raise call.unsupported("computed tensor times constant matrix is supported, found the reverse")
    matrix = call.constant(1, "second matrix")
    if matrix.ndim != 2:
        raise call.unsupported(f"the second matrix has rank 2 where supported, found shape {matrix.shape}")
    return _dense(call, scope, matrix, np.zeros(()))


def _dense(call: Call, scope: Scope, matrix: np.ndarray, bias: np.ndarray) -> Signal:
    """x [N, I] times ``matrix`` [I, O] plus ``bias`` (broadcast to [1, O]) as a 1x1 convolution.

    Where x lists its elements in another order than the IR tensor, the rows of ``matrix`` are put in that one.
    Where the last axis of planes is the channels, each pixel is multiplied.
    """
    x = call.signal()
    names: tuple[int, ...] = (0, 1)
    if len(x.dims) in (3, 4):
        x, names = scope.named_axes(call)
        if names[-1] != 1:
            raise call.unsupported(f"channels are the last axis of {call.signal().dims} where supported")
    elif len(x.dims) == 2 and x.order is not None and x.order[:1] == onnx_order.in_order(x.dims)[:1]:
        if len(matrix) == x.dims[1]:
            call.budget.charge(2 * matrix.nbytes, f"the reordered matrix of node {call.name}")
            matrix = matrix[np.argsort(onnx_order.places(x.order[1:]))]
        x = scope.flattened(call, x)
    else:
        x = scope.planes(call, rank=2)
    if matrix.ndim != 2 or len(matrix) != x.dims[1]:
        raise ModelError(call.where, f"cannot multiply {x.dims} by a matrix of shape {matrix.shape}")
    outputs = matrix.shape[1]
    if bias.size not in (1, outputs) or bias.shape[-1:] not in ((), (1,), (outputs,)):
        raise call.unsupported(f"a bias per output ({outputs}) is supported, found shape {bias.shape}")
    weight = call.parameter(matrix.T.reshape(outputs, -1, 1, 1), "weight")
    spread = np.broadcast_to(bias.reshape(-1), outputs)
    return scope.back(scope.emit(call, Conv(Weight(weight), call.parameter(spread, "bias")), x), names)


def concat(call: Call, scope: Scope) -> Signal:
    try:
        signals, names = zip(*(scope.named_axes(call, i) for i in range(len(call.args))), strict=True)
    except UnsupportedError:
        found = f"found {[call.signal(i).dims for i in range(len(call.args))]}"
        raise call.unsupported(f"planes are joined where supported, {found} of other axes", BY_THE_HOST) from None
    rank = len(names[0])
    axis = int(call.get("axis", 1))
    if not -rank <= axis < rank or names[0][axis] == 0 or len(set(names)) != 1:
        problem = f"found axis {axis} of {[s.dims for s in signals]}"
        raise call.unsupported(f"concatenation of channels, rows or columns is supported, {problem}", BY_THE_HOST)
    if len(signals) == 1:
        return call.signal()
    if names[0][axis] == 1:
        return scope.back(scope.emit(call, Concat(), *signals), names[0])
    return scope.back(_side_by_side(call, scope, signals, names[0][axis] - 2), names[0])


def _side_by_side(call: Call, scope: Scope, parts: Sequence[Signal], axis: int) -> Signal:
    """Planes joined along their rows, axis 0, or columns, axis 1: the sum of all, each with zeros beside it."""
    sizes = [scope.shapes[part.tensor][1 + axis] for part in parts]
    total, end = None, 0
    for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        end += size
        before, after = end - size, sum(sizes) - end
        pads = (0, before, 0, after) if axis else (before, 0, after, 0)
        placed = scope.emit(call, Pad(pads), part, suffix=f".part{number}")
        suffix = "" if number == len(parts) - 1 else f".sum{number}"
        total = placed if total is None else scope.emit(call, Add(), total, placed, suffix=suffix)
    assert total is not None
    return total


def pad(call: Call, scope: Scope) -> Signal:
    mode = call.get("mode", "constant")
    if mode not in ("constant", "edge"):
        raise call.unsupported(f"modes constant and edge are supported, found {mode}")
    x, names = scope.named_axes(call)
    amounts = call.integers(1, "pads")
    value = call.scalar(2, "value", 0.0)
    given = call.optional(3, "axes")
    axes = list(range(len(names))) if given is None else [a % len(names) for a in call.integers(3, "axes")]
    if len(amounts) != 2 * len(axes):
        raise ModelError(call.where, f"expected {2 * len(axes)} pads for {len(axes)} axes, found {amounts}")
    begin = {names[a]: n for a, n in zip(axes, amounts, strict=False)}
    end = {names[a]: n for a, n in zip(axes, amounts[len(axes) :], strict=True)}
    if begin.get(0) or end.get(0) or not all(0 <= p <= MAX_EXTENT for p in amounts):
        found = f"found pads {amounts}"
        raise call.unsupported(f"non-negative padding of channels, height and width is supported, {found}")
    pads = (begin.get(2, 0), begin.get(3, 0), end.get(2, 0), end.get(3, 0))
    before, after = begin.get(1, 0), end.get(1, 0)
    fill = call.parameter(value, "value").item()
    if mode == "edge" and not before and not after:
        return scope.back(scope.emit(call, Pad(pads, edge=True), x), names)
    if (before or after) and (fill or mode == "edge"):
        raise call.unsupported(f"padding of channels with 0 is supported, found {fill:g}")
    channels = range(scope.shapes[x.tensor][0])
    if not before and not after:
        return scope.back(scope.emit(call, Pad(pads, fill), x), names)
    planes = scope.emit(call, Pad(pads), x, suffix=".planes") if any(pads) else x
    return scope.back(_select(call, scope, planes, [*[None] * before, *channels, *[None] * after]), names)


def _select(call: Call, scope: Scope, x: Signal, channels: Sequence[int | None]) -> Signal:
    """The channels of ``x`` with these indices, of zeros where one is None, by a 1x1 convolution of ones."""
    scope.check_size(call.where, (len(channels), *scope.shapes[x.tensor][1:]))
    found = scope.shapes[x.tensor][0]
    call.budget.charge(4 * len(channels) * found, f"node {call.name}", parameters=len(channels) * found)
    weight = np.zeros((len(channels), found, 1, 1), np.float32)
    for i, channel in enumerate(channels):
        if channel is not None:
            weight[i, channel] = 1
    return scope.emit(call, Conv(Weight(weight), np.zeros(len(channels), np.float32)), x)


def pair(call: Call, attribute: str, default: Pair) -> Pair:
    """An attribute of two numbers."""
    values = call.get(attribute, default)
    if len(values) != 2 or not all(0 <= v <= MAX_EXTENT for v in values):
        raise call.unsupported(f"two {attribute} of 0 to {MAX_EXTENT} are supported, found {list(values)}")
    return int(values[0]), int(values[1])


def kernel_of(call: Call, weight: F32) -> Pair:
    """Rows and columns of a convolution's kernel, from its weight [., ., KH, KW]."""
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    if pair(call, "kernel_shape", kernel) != kernel:
        raise ModelError(call.where, f"kernel_shape {call.get('kernel_shape', ())} is not the weight's {kernel}")
    return kernel


def bias_of(call: Call, outputs: int) -> F32:
    """The bias float32 [O] of a convolution of so many output channels: its third input, or zeros."""
    given = call.optional(2, "bias")
    bias = np.zeros(outputs) if given is None else given
    if bias.shape != (outputs,):
        raise ModelError(call.where, f"expected a bias of shape {(outputs,)}, found {bias.shape}")
    return call.parameter(bias, "bias")


def strides_of(call: Call) -> Pair:
    """Rows and columns from a window to the next one."""
    stride = pair(call, "strides", (1, 1))
    if min(stride) < 1:
        raise ModelError(call.where, f"strides are at least 1, found {stride}")
    return stride


def dilation_of(call: Call, kernel: Pair) -> Pair:
    """Dilation, 1 along an axis of one tap, where it means nothing."""
    dilations = pair(call, "dilations", (1, 1))
    if min(dilations) < 1:
        raise ModelError(call.where, f"dilations are at least 1, found {dilations}")
    return dilations[0] if kernel[0] > 1 else 1, dilations[1] if kernel[1] > 1 else 1


def extent_of(kernel: Pair, dilation: Pair) -> Pair:
    """Rows and columns from a kernel's first tap to its last."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


def window_of(call: Call, scope: Scope, x: Signal, kernel: Pair) -> tuple[Pair, Pads]:
    """Stride and explicit pads of a Conv or pool. ``kernel`` : rows and columns that it covers"""
    stride = strides_of(call)
    return stride, pads_of(call, scope.shapes[x.tensor][1:], kernel, stride)


def pads_of(call: Call, size: Pair, kernel: Pair, stride: Pair) -> Pads:
    """The pads that ``pads`` or ``auto_pad`` ask for on planes of ``size``."""
    auto: str = call.get("auto_pad", "NOTSET")
    if auto == "NOTSET":
        pads = call.get("pads", (0, 0, 0, 0))
        if len(pads) != 4 or not all(0 <= p <= MAX_EXTENT for p in pads):
            raise call.unsupported(f"four pads of 0 to {MAX_EXTENT} are supported, found {list(pads)}")
        top, left, bottom, right = map(int, pads)
        return top, left, bottom, right
    if auto == "VALID":
        return 0, 0, 0, 0
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise ModelError(call.where, f"auto_pad is NOTSET, VALID, SAME_UPPER or SAME_LOWER, found {auto!r}")
    # SAME: ceil(size / stride) windows; an odd pixel of padding goes to the end, or the beginning.
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride, strict=True)]
    small = [t // 2 for t in total]
    large = [t - m for t, m in zip(total, small, strict=True)]
    begin, end = (small, large) if auto == "SAME_UPPER" else (large, small)
    return begin[0], begin[1], end[0], end[1]


OPERATORS: Final[Mapping[str, Handler]] = {
    "Concat": concat,
    "Conv": along_channels(on_lengths(conv)),
    "Gemm": gemm,
    "MatMul": matmul,
    "Pad": pad,
}
