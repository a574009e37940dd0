"""Quantized ONNX graphs as networks of real numbers, which dcgen compresses anew.

Integers stand for real values: scale * (integer - zero point). A computed tensor of integers is the IR tensor
of its real values, and ``Signal.integers`` says how the integers stand for them. So QuantizeLinear and
DequantizeLinear compute nothing, and an operator on integers (QLinearConv, ...) is the same operator on real
values. What an 8-bit tensor cannot hold is cut off only where its range begins or ends at zero: that is how
quantizers fold a ReLU. Any other range was measured by the quantizer, as dcgen measures its own.

One function for each operator, listed at the end; see ``onnx_operators``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from dcgen.errors import ModelError
from dcgen.importers import (
    onnx_broadcast,
    onnx_elementwise,
    onnx_functions,
    onnx_gathered,
    onnx_normalization,
    onnx_order,
    onnx_pools,
    onnx_reductions,
    onnx_resampling,
    onnx_selections,
    onnx_upsampling,
    onnx_views,
    onnx_windows,
)
from dcgen.importers.onnx_scope import Call, Handler, Integers, Scope, Signal, Value
from dcgen.ir.graph import Affine, AvgPool, Clip, Concat, Flatten, GlobalAvgPool, MaxPool, Pad

FLOAT: Final[Mapping[str, Handler]] = {
    **onnx_broadcast.OPERATORS,
    **onnx_elementwise.OPERATORS,
    **onnx_gathered.OPERATORS,
    **onnx_functions.OPERATORS,
    **onnx_normalization.OPERATORS,
    **onnx_pools.OPERATORS,
    **onnx_reductions.OPERATORS,
    **onnx_resampling.OPERATORS,
    **onnx_upsampling.OPERATORS,
    **onnx_views.OPERATORS,
    **onnx_windows.OPERATORS,
    **onnx_selections.OPERATORS,
}
"""What operators on integers do with real values."""


def quantize_linear(call: Call, scope: Scope) -> Signal:
    zero_point = call.optional(2, "zero point")
    unsigned = np.zeros(1, np.uint8)
    return _as_integers(
        call, scope, call.signal(), call.constant(1, "scale"), unsigned if zero_point is None else zero_point
    )


def dequantize_linear(call: Call, scope: Scope) -> Signal:
    return _real(call, scope, 0)


def qlinear_conv(call: Call, scope: Scope) -> Signal:
    x = _real(call, scope, 0)
    weight, real = _values(call, 3, channel_axis=0), _bias(call, 8)
    return _result(call, scope, FLOAT["Conv"](replace(call, args=(x, weight, real)), scope), 6)


def qlinear_matmul(call: Call, scope: Scope) -> Signal:
    operands = _real(call, scope, 0), _values(call, 3, channel_axis=-1)
    return _result(call, scope, FLOAT["MatMul"](replace(call, args=operands), scope), 6)


def q_gemm(call: Call, scope: Scope) -> Signal:
    x = _real(call, scope, 0)
    matrix = _values(call, 3, channel_axis=0 if call.get("transB", 0) else 1)
    real = _bias(call, 6, float(call.get("alpha", 1.0)))
    found = FLOAT["Gemm"](replace(call, args=(x, matrix, real)), scope)
    return _result(call, scope, found, 7) if call.optional(7, "output's scale") is not None else _only(found)


def qlinear_concat(call: Call, scope: Scope) -> Signal:
    operands = tuple(_real(call, scope, i) for i in range(2, len(call.args), 3))
    return _result(call, scope, FLOAT["Concat"](replace(call, args=operands), scope), 0)


def _pairwise(kind: str) -> Handler:
    """The handler of an operator on two tensors of integers, a and b. Its ONNX inputs are a, a's scale and zero
    point, the same of b, and the output's scale and zero point."""

    def handler(call: Call, scope: Scope) -> Signal:
        operands = tuple(
            _real(call, scope, i) if isinstance(call.args[i], Signal) else _values(call, i) for i in (0, 3)
        )
        return _result(call, scope, FLOAT[kind](replace(call, args=operands), scope), 6)

    return handler


def _single(kind: str) -> Handler:
    """A handler of inputs (x, scale, zero point, output's scale, its zero point), where channels may be last."""

    def handler(call: Call, scope: Scope) -> Signal:
        x = _real(call, scope, 0)
        last = call.get("channels_last", 0) and len(x.dims) == 4
        if last:
            x = x.reordered(onnx_order.transposed(x.axes, onnx_order.TO_CHANNEL_FIRST))
        found = _only(FLOAT[kind](replace(call, args=(x, *_axes(call))), scope))
        if last:
            found = found.reordered(onnx_order.transposed(found.axes, onnx_order.CHANNEL_LAST))
        return _result(call, scope, found, 3)

    return handler


def _axes(call: Call) -> Sequence[np.ndarray]:
    """What the float operator takes as an input and the one on integers as an attribute."""
    return [np.array(call.get("axes", ()), np.int64)] if "axes" in call.attributes else []


def constant_dequantize_linear(call: Call) -> np.ndarray:
    """DequantizeLinear of a constant: float32 of its shape."""
    return _values(call, 0, int(call.get("axis", 1)))


def constant_quantize_linear(call: Call) -> np.ndarray:
    """QuantizeLinear of a constant: integers of the zero point's type, and of its shape."""
    x = call.constant(0, "tensor")
    call.budget.charge(20 * x.size, f"constants of node {call.name}")
    scale, zero_point = _factors(call, 0, x, int(call.get("axis", 1)))
    if zero_point.dtype.kind not in "iu":
        raise call.unsupported(f"a zero point of 8 to 32 bits is supported, found {zero_point.dtype}")
    limits = np.iinfo(zero_point.dtype)
    steps = np.rint(x / scale.astype(np.float64)) + zero_point
    return np.asarray(steps.clip(limits.min, limits.max), zero_point.dtype)


def _only(found: Value | tuple[Value, ...]) -> Signal:
    assert isinstance(found, Signal)
    return found


def number(call: Call, index: int, what: str) -> float:
    """Input ``index`` as one number that all channels have."""
    array = call.constant(index, what).astype(np.float64)
    if array.size == 0 or np.ptp(array):
        raise call.unsupported(
            f"one {what} for all channels of a computed tensor is supported, found {array.shape}"
        )
    value = float(array.reshape(-1)[0])
    if not math.isfinite(value) or (what.endswith("scale") and not value > 0):
        raise ModelError(call.where, f"its {what} is {value:g}")
    return value


def _real(call: Call, scope: Scope, index: int) -> Signal:
    """The real values of input ``index``, computed integers whose scale and zero point are the next inputs."""
    x = call.signal(index)
    scale = number(call, index + 1, "scale")
    zero_point = (
        number(call, index + 2, "zero point") if call.optional(index + 2, "zero point") is not None else 0.0
    )
    if x.integers is None:
        raise call.unsupported(
            "reads integers whose scale is not known", "they come from a QuantizeLinear or the input"
        )
    real = replace(x, integers=None)
    if x.integers == (scale, zero_point):
        return real
    # The integers are read with another scale than they were written with.
    factor = scale / x.integers[0]
    channels = scope.shapes[x.tensor][0]
    affine = Affine(
        call.parameter(np.full(channels, factor), "scale"),
        call.parameter(np.full(channels, scale * (x.integers[1] - zero_point)), "zero point"),
    )
    return scope.emit(call, affine, real, dims=real.dims, suffix=".rescaled")


def _bias(call: Call, index: int, factor: float = 1.0) -> np.ndarray | None:
    """Input ``index``, a bias whose scale is that of the input, times that of the weight, times ``factor``."""
    bias, weight_scale = call.optional(index, "bias"), call.constant(4, "weight's scale")
    if bias is None:
        return None
    if bias.ndim != 1 or weight_scale.size not in (1, bias.size):
        found = f"found shapes {bias.shape} and {weight_scale.shape}"
        raise ModelError(call.where, f"a bias has as many elements as the weight has scales, {found}")
    scales = number(call, 1, "scale") * factor * weight_scale.astype(np.float64).reshape(-1)
    return np.asarray(bias * scales)


def _values(call: Call, index: int, channel_axis: int = 0) -> np.ndarray:
    """Input ``index``, a constant of integers, as float32; its scale and zero point are the next inputs.

    channel_axis : the axis along which these differ, if they do
    """
    integers = call.constant(index, "tensor")
    call.budget.charge(4 * integers.size, f"constants of node {call.name}")
    exact = np.float32 if integers.dtype.itemsize <= 2 else np.float64
    scale, zero_point = _factors(call, index, integers, channel_axis)
    return np.asarray((integers.astype(exact) - zero_point.astype(exact)) * scale.astype(exact), np.float32)


def _factors(call: Call, index: int, tensor: np.ndarray, channel_axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point of a constant ``tensor``, inputs ``index`` + 1 and + 2, in shapes that fit it."""
    zero_point = call.optional(index + 2, "zero point")
    found = [call.constant(index + 1, "scale"), np.zeros((), np.uint8) if zero_point is None else zero_point]
    for i, factor in enumerate(found):
        shape = [1] * tensor.ndim
        if factor.size != 1:
            sizes = dict(enumerate(tensor.shape)) | {i - tensor.ndim: n for i, n in enumerate(tensor.shape)}
            if factor.size != sizes.get(channel_axis) or factor.ndim != 1:
                raise call.unsupported(
                    f"one scale, or one for each of {sizes.get(channel_axis, 0)} channels is supported, "
                    f"found {factor.shape}"
                )
            shape[channel_axis] = factor.size
        found[i] = factor.reshape(shape)
    return found[0], found[1]


def _result(call: Call, scope: Scope, found: Value | tuple[Value, ...], index: int) -> Signal:
    """An operator's output as integers of the scale and zero point that are inputs ``index`` and the next."""
    scale, zero_point = call.constant(index, "output's scale"), call.optional(index + 1, "output's zero point")
    return _as_integers(
        call, scope, _only(found), scale, np.zeros(1, np.uint8) if zero_point is None else zero_point
    )


def _as_integers(call: Call, scope: Scope, x: Signal, scale: np.ndarray, zero_point: np.ndarray) -> Signal:
    """``x`` as integers of the type of ``zero_point``."""
    if zero_point.dtype not in (np.int8, np.uint8, np.int16, np.uint16):
        raise call.unsupported(
            f"8- and 16-bit integers are supported in computed tensors, found {zero_point.dtype}"
        )
    parameters = replace(call, args=(scale, zero_point))
    step, zero = number(parameters, 0, "scale"), number(parameters, 1, "zero point")
    limits = np.iinfo(zero_point.dtype)
    integers: Integers = (step, zero)
    low, high = step * (limits.min - zero), step * (limits.max - zero)
    found = cut(call, scope, x, low, high)
    if zero_point.dtype.itemsize == 1 and low <= 0 <= high:
        scope.ranges.setdefault(found.tensor, (low, high))
    return replace(found, integers=integers)


def cut(call: Call, scope: Scope, x: Signal, low: float, high: float) -> Signal:
    """``x`` clipped to a range that begins or ends at zero, where the clip can change it."""
    below, above = _range(scope, x.tensor)
    needed = (low == 0 and below < 0) or (high == 0 and above > 0)
    if call.final or not needed or scope.node(x.tensor) is None:
        return x
    return scope.emit(call, Clip(low, high), x, dims=x.dims, suffix=".clip")


def _range(scope: Scope, tensor: str) -> tuple[float, float]:
    """The least and the largest real value that a tensor may have by the operators that make it, infinite where
    these say nothing."""
    node = scope.node(tensor)
    low, high = -math.inf, math.inf
    if node is not None and isinstance(node.op, Clip):
        low, high = node.op.lo, node.op.hi
    elif node is not None and isinstance(node.op, MaxPool | AvgPool | GlobalAvgPool | Concat | Flatten | Pad):
        ranges = [_range(scope, i) for i in node.inputs[: 1 if not isinstance(node.op, Concat) else None]]
        low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    if node is not None and isinstance(node.op, Pad):
        low, high = min(low, node.op.value), max(high, node.op.value)
    return low, high


OPERATORS: Final[Mapping[str, Handler]] = {
    "DequantizeLinear": dequantize_linear,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize_linear,
}
MICROSOFT: Final[Mapping[str, Handler]] = {
    "DequantizeLinear": dequantize_linear,
    "QGemm": q_gemm,
    "QLinearAdd": _pairwise("Add"),
    "QLinearAveragePool": _single("AveragePool"),
    "QLinearConcat": qlinear_concat,
    "QLinearGlobalAveragePool": _single("GlobalAveragePool"),
    "QLinearLeakyRelu": _single("LeakyRelu"),
    "QLinearMul": _pairwise("Mul"),
    "QLinearReduceMean": _single("ReduceMean"),
    "QLinearSigmoid": _single("Sigmoid"),
    "QuantizeLinear": quantize_linear,
}
CONSTANTS: Final[Mapping[str, Callable[[Call], np.ndarray]]] = {
    "DequantizeLinear": constant_dequantize_linear,
    "QuantizeLinear": constant_quantize_linear,
}
"""What computes an operator's output from constants."""
READS_INTEGERS: Final = frozenset({"MaxPool", "Concat", *OPERATORS, *MICROSOFT} - {"QuantizeLinear"})
"""What reads integers and does with them what it would do with the real values that they stand for, beside the
operators that only change a shape."""
