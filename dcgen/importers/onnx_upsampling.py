"""ONNX operators that make several pixels of one: transposed convolutions, and blocks of pixels made of channels.

A transposed convolution of stride s puts its input's pixels s pixels apart and adds up their multiples of the
kernel. The pixels of its output whose places have the same remainder modulo s, a *phase*, read the input through
the same taps: each phase is an ordinary convolution. So one convolution makes all phases as channels, and an
``Upsample`` puts their pixels side by side.

One function for each operator, listed at the end; see ``onnx_operators``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dcgen.errors import ModelError
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.importers.onnx_windows import (
    MAX_EXTENT,
    bias_of,
    dilation_of,
    kernel_of,
    on_lengths,
    pads_of,
    pair,
    strides_of,
)
from dcgen.ir.graph import Conv, Pair, Upsample, Weight


@dataclass(frozen=True)
class _Phases:
    """A transposed convolution along one axis, as the convolution that makes its phases.

    places : of each tap, the phase that it belongs to and its place in that phase's kernel
    kernel, begin, end : taps of a phase's kernel, and padding of the input
    cut : pixels of all phases side by side that are left out at the end
    """

    places: tuple[tuple[int, int], ...]
    kernel: int
    begin: int
    end: int
    cut: int

    @classmethod
    def of(cls, size: int, taps: int, stride: int, dilation: int, pad: int, out: int) -> _Phases:
        """The phases for an input of ``size`` pixels and an output of ``out``, before which ``pad`` are cut off.

        Output pixel o reads, through tap k, the input pixel i for which i * stride + k * dilation = o + pad.
        """
        phases = [(k * dilation - pad) % stride for k in range(taps)]
        offsets = [(phase + pad - k * dilation) // stride for k, phase in enumerate(phases)]
        first, last = min(0, *offsets), max(offsets)
        windows = max(-(-out // stride), size - last)
        places = tuple((phase, offset - first) for phase, offset in zip(phases, offsets, strict=True))
        return cls(places, last - first + 1, -first, windows + last - size, windows * stride - out)


def conv_transpose(call: Call, scope: Scope) -> Signal:
    x = scope.planes(call, rank=4)
    channels, *size = scope.shapes[x.tensor]
    weight = call.parameter(call.constant(1, "weight"), "weight")
    groups = call.get("group", 1)
    if weight.ndim != 4 or 0 in weight.shape or len(weight) != channels or groups < 1 or channels % groups:
        problem = f"has {weight.shape} in {groups} groups for {channels} channels"
        raise ModelError(call.where, f"a transposed convolution has a weight (I, O / groups, KH, KW), {problem}")
    outputs, kernel = weight.shape[1] * groups, kernel_of(call, weight)
    bias, stride, dilation = bias_of(call, outputs), strides_of(call), dilation_of(call, kernel)
    before, made = _output(call, (size[0], size[1]), kernel, stride, dilation)
    rows, columns = (_Phases.of(size[i], kernel[i], stride[i], dilation[i], before[i], made[i]) for i in (0, 1))
    shape = (outputs, *stride, channels // groups, rows.kernel, columns.kernel)
    scope.check_size(call.where, (outputs * math.prod(stride), size[0] + rows.end, size[1] + columns.end))
    call.budget.charge(4 * math.prod(shape), f"weight of node {call.name}", parameters=math.prod(shape))
    phases = np.zeros(shape, np.float32)
    by_output = (
        weight.reshape(groups, channels // groups, -1, *kernel).swapaxes(1, 2).reshape(outputs, -1, *kernel)
    )
    for ky, (py, row) in enumerate(rows.places):
        for kx, (px, column) in enumerate(columns.places):
            phases[:, py, px, :, row, column] = by_output[:, :, ky, kx]
    upsample = Upsample(stride, outputs, (rows.cut, columns.cut))
    if not bias.any() and _only_moves(phases, upsample):
        return scope.emit(call, upsample, x)
    pads = (rows.begin, columns.begin, rows.end, columns.end)
    blocks = upsample.factor != (1, 1) or any(upsample.cut)
    conv = Conv(Weight(phases.reshape(-1, *shape[3:])), bias.repeat(math.prod(stride)), pads=pads, groups=groups)
    found = scope.emit(call, conv, x, suffix=".phases" if blocks else "")
    return scope.emit(call, upsample, found) if blocks else found


def _output(call: Call, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Rows and columns that are cut off before the output, and those of the output."""
    added = pair(call, "output_padding", (0, 0))
    whole = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)]
    given, auto = call.get("output_shape", ()), call.get("auto_pad", "NOTSET")
    if given or auto in ("SAME_UPPER", "SAME_LOWER"):
        asked = [int(n) for n in given[-2:]] if given else [n * s for n, s in zip(size, stride, strict=True)]
        if len(asked) != 2 or not all(1 <= n <= MAX_EXTENT for n in asked):
            raise ModelError(call.where, f"output_shape is rows and columns, found {list(given)}")
        total = [w + a - n for w, a, n in zip(whole, added, asked, strict=True)]
        if min(total) < 0 and not given:
            raise call.unsupported(f"auto_pad {auto} is supported where kernels reach every pixel, found {kernel}")
        total = [max(t, 0) for t in total]
        half = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
        return (half[0], half[1]), (asked[0], asked[1])
    top, left, bottom, right = pads_of(call, size, kernel, stride)
    rows, columns = whole[0] + added[0] - top - bottom, whole[1] + added[1] - left - right
    if min(rows, columns) < 1 or max(rows, columns) > MAX_EXTENT:
        raise ModelError(call.where, f"its output has {rows} rows and {columns} columns")
    return (top, left), (rows, columns)


def _only_moves(phases: np.ndarray, upsample: Upsample) -> bool:
    """Whether an ``Upsample`` alone computes what these phases do: each tap is one pixel of a block, its weight 1.

    phases : float32 [O, SH, SW, I / groups, KH, KW]
    """
    pixels, (_, _, _, inputs, *kernel) = math.prod(upsample.factor), phases.shape
    if kernel != [1, 1]:
        return False
    matrix = phases.reshape(-1, pixels, inputs)
    repeated = inputs == 1 and bool((matrix == 1).all())
    return repeated or (inputs == pixels and bool((matrix == np.eye(pixels)).all()))


def depth_to_space(call: Call, scope: Scope) -> Signal:
    x, size = _blocks(call, scope)
    mode, channels = call.get("mode", "DCR"), scope.shapes[x.tensor][0]
    if mode not in ("DCR", "CRD") or channels % size**2:
        raise ModelError(call.where, f"cannot make blocks of {size} pixels in mode {mode} of {channels} channels")
    made = channels // size**2
    if mode == "DCR" and made > 1 and size > 1:  # channel p * made + c is pixel p of channel c
        x = _permuted(call, scope, x, np.arange(channels).reshape(-1, made).T.reshape(-1))
    return scope.emit(call, Upsample((size, size), made), x)


def space_to_depth(call: Call, scope: Scope) -> Signal:
    """A convolution whose filters are one pixel of a block of one channel each."""
    x, size = _blocks(call, scope)
    channels, height, width = scope.shapes[x.tensor]
    if height % size or width % size:
        raise ModelError(call.where, f"cannot divide {height} x {width} pixels into blocks of {size}")
    made = channels * size**2
    call.budget.charge(4 * made**2, f"weight of node {call.name}", parameters=made**2)
    pixels = np.eye(made, dtype=np.float32)
    if call.get("mode", "DCR") == "CRD":
        weight = pixels.reshape(made, channels, size, size)
    else:
        weight = pixels.reshape(made, size, size, channels).transpose(0, 3, 1, 2)
    op = Conv(Weight(np.ascontiguousarray(weight)), np.zeros(made, np.float32), (size, size))
    return scope.emit(call, op, x)


def _blocks(call: Call, scope: Scope) -> tuple[Signal, int]:
    """The input, and the rows of a block, which has as many columns."""
    size = call.get("blocksize", 0)
    if not 1 <= size <= MAX_EXTENT:
        raise ModelError(call.where, f"blocksize is at least 1, found {size}")
    return scope.planes(call, rank=4), size


def _permuted(call: Call, scope: Scope, x: Signal, order: np.ndarray) -> Signal:
    """The channels of ``x`` in another order: by the convolution that makes them, or by one of ones."""
    node = scope.node(x.tensor)
    if node is not None and isinstance(node.op, Conv) and node.op.groups == 1:
        conv = node.op
        call.budget.charge(conv.weight.values.nbytes, f"weight of node {call.name}")
        weight, bias, x = conv.weight.values[order], conv.bias[order], scope.whole(Signal(node.inputs[0], ()))
        conv = Conv(Weight(weight), bias, conv.stride, conv.pads, 1, conv.dilation)
    else:
        call.budget.charge(4 * len(order) ** 2, f"node {call.name}", parameters=len(order) ** 2)
        one_each = np.eye(len(order), dtype=np.float32)[order].reshape(len(order), -1, 1, 1)
        conv = Conv(Weight(one_each), np.zeros(len(order), np.float32))
    return scope.emit(call, conv, x, suffix=".ordered")


OPERATORS: Final[Mapping[str, Handler]] = {
    "ConvTranspose": on_lengths(conv_transpose),
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
