"""How each ONNX operator becomes IR: one function an operator, listed in ``OPERATORS``.

Written for the spellings of opset 18, to which older models are converted; newer opsets spell
these operators alike. A function gets the node as a ``Call`` and returns its output(s). What an
operator cannot express exactly ends in an UnsupportedError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from onnx import TensorProto

from dcgen.errors import ModelError
from dcgen.importers.onnx_scope import Call, Scope, Signal, Value
from dcgen.ir.graph import (
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Conv,
    GlobalAvgPool,
    MaxPool,
    Pad,
    Pads,
    Pair,
    Weight,
)

Result = Value | tuple[Value, ...]
Handler = Callable[[Call, Scope], Result]

MAX_EXTENT = 1 << 15
"""Largest kernel, stride or padding: beyond any picture, and safe to multiply."""


# Convolution and matrix product ------------------------------------------------------------------


def conv(call: Call, scope: Scope) -> Signal:
    x = scope.planes(call, rank=4)
    weight = call.parameter(call.constant(1, "weight"), "weight")
    if weight.ndim != 4 or 0 in weight.shape:
        raise ModelError(call.where, f"a 2-D convolution has a weight (O, I, KH, KW), found {weight.shape}")
    bias = call.optional(2, "bias")
    bias = np.zeros(len(weight)) if bias is None else bias
    if bias.shape != weight.shape[:1]:
        raise ModelError(call.where, f"expected a bias of shape {weight.shape[:1]}, found {bias.shape}")
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    if _pair(call, "kernel_shape", kernel) != kernel:
        raise ModelError(call.where, f"kernel_shape {call.get('kernel_shape', ())} is not the weight's {kernel}")
    stride, pads = _window(call, scope, x, kernel)
    groups = call.get("group", 1)
    if groups < 1 or len(weight) % groups:
        raise ModelError(call.where, f"{len(weight)} filters cannot form {groups} groups")
    op = Conv(Weight(weight), call.parameter(bias, "bias"), stride, pads, groups)
    return scope.emit(call, op, x)


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
    """x [N, I] times ``matrix`` [I, O] plus ``bias`` (broadcast to [1, O]) as a 1x1 convolution."""
    x = scope.planes(call, rank=2)
    if matrix.ndim != 2 or len(matrix) != x.dims[1]:
        raise ModelError(call.where, f"cannot multiply {x.dims} by a matrix of shape {matrix.shape}")
    outputs = matrix.shape[1]
    if bias.size not in (1, outputs) or bias.shape[-1:] not in ((), (1,), (outputs,)):
        raise call.unsupported(f"a bias per output ({outputs}) is supported, found shape {bias.shape}")
    weight = call.parameter(matrix.T.reshape(outputs, -1, 1, 1), "weight")
    spread = np.broadcast_to(bias.reshape(-1), outputs)
    return scope.emit(call, Conv(Weight(weight), call.parameter(spread, "bias")), x)


# Element-wise ------------------------------------------------------------------------------------


def batch_normalization(call: Call, scope: Scope) -> Signal:
    if call.get("training_mode", 0):
        raise call.unsupported("inference (training_mode 0) is supported, found training_mode 1")
    names = ("scale", "bias", "mean", "variance")
    gamma, beta, mean, var = (call.constant(i, n).astype(np.float64) for i, n in enumerate(names, 1))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = gamma / np.sqrt(var + call.get("epsilon", 1e-5))
        return _affine(call, scope, scope.planes(call), scale, beta - mean * scale)


def relu(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    return scope.emit(call, Clip(), x, dims=x.dims)


def clip(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    low, high = call.optional(1, "minimum"), call.optional(2, "maximum")
    lo = -math.inf if low is None else float(low.reshape(()))
    hi = math.inf if high is None else float(high.reshape(()))
    if math.isnan(lo) or math.isnan(hi):
        raise ModelError(call.where, f"clips to NaN: minimum {lo}, maximum {hi}")
    return scope.emit(call, Clip(min(lo, hi), hi), x, dims=x.dims)  # ONNX: the maximum wins


def add(call: Call, scope: Scope) -> Signal:
    a, b = call.args
    if isinstance(a, Signal) and isinstance(b, Signal):
        return _sum(call, scope, [a, b])
    x, c = (call.signal(0), call.constant(1, "term")) if isinstance(a, Signal) else (call.signal(1), a)
    return _per_channel(call, scope, x, None, c)


def subtract(call: Call, scope: Scope) -> Signal:
    if isinstance(call.args[0], Signal):
        return _per_channel(call, scope, call.signal(0), None, -call.constant(1, "subtrahend"))
    return _per_channel(call, scope, call.signal(1), np.full((), -1.0), call.constant(0, "minuend"))


def multiply(call: Call, scope: Scope) -> Signal:
    if isinstance(call.args[0], Signal):
        return _per_channel(call, scope, call.signal(0), call.constant(1, "factor"), None)
    return _per_channel(call, scope, call.signal(1), call.constant(0, "factor"), None)


def divide(call: Call, scope: Scope) -> Signal:
    divisor = call.constant(1, "divisor").astype(np.float64)
    with np.errstate(divide="ignore"):
        return _per_channel(call, scope, call.signal(0), 1.0 / divisor, None)


def sum_(call: Call, scope: Scope) -> Signal:
    constants = [a for a in call.args if not isinstance(a, Signal)]
    if constants:
        raise call.unsupported("a sum of computed tensors is supported, found a constant term")
    return _sum(call, scope, [call.signal(i) for i in range(len(call.args))])


def _sum(call: Call, scope: Scope, terms: list[Signal]) -> Signal:
    """The chain of Add nodes over ``terms``; only the last is called like the ONNX node."""
    if any(t.dims != terms[0].dims for t in terms):
        raise call.unsupported(f"terms of one shape are supported, found {[t.dims for t in terms]}")
    last = len(terms) - 1

    def plus(total: Signal, numbered: tuple[int, Signal]) -> Signal:
        n, term = numbered
        return scope.emit(call, Add(), total, term, dims=total.dims, suffix="" if n == last else f".{n}")

    return reduce(plus, enumerate(terms[1:], 1), terms[0])


def _per_channel(
    call: Call, scope: Scope, x: Signal, factor: np.ndarray | None, term: np.ndarray | None
) -> Signal:
    """x * factor + term for constants that are scalars or vary along channels alone."""
    axis = scope.channel_axis(x)
    channels = scope.shapes[x.tensor][0]

    def spread(constant: np.ndarray | None, default: float) -> np.ndarray:
        c = np.full((), default) if constant is None else constant.astype(np.float64)
        aligned = (1,) * (len(x.dims) - c.ndim) + c.shape
        only_channels = all(n == 1 or i == axis for i, n in enumerate(aligned))
        if len(aligned) > len(x.dims) or not only_channels or c.size not in (1, channels) or axis is None:
            raise call.unsupported(
                f"a constant per channel ({channels}) or a scalar is supported with {x.dims}, found {c.shape}"
            )
        return np.broadcast_to(c.reshape(-1), channels)

    return _affine(call, scope, x, spread(factor, 1.0), spread(term, 0.0))


def _affine(call: Call, scope: Scope, x: Signal, scale: np.ndarray, shift: np.ndarray) -> Signal:
    op = Affine(call.parameter(scale, "scale"), call.parameter(shift, "shift"))
    return scope.emit(call, op, x, dims=x.dims)


# Pools, padding, concatenation -------------------------------------------------------------------


def max_pool(call: Call, scope: Scope) -> Signal:
    x, kernel, stride, pads, ceil = _pool(call, scope)
    return scope.emit(call, MaxPool(kernel, stride, pads, ceil), x)


def average_pool(call: Call, scope: Scope) -> Signal:
    x, kernel, stride, pads, ceil = _pool(call, scope)
    return scope.emit(call, AvgPool(kernel, stride, pads, ceil, bool(call.get("count_include_pad", 0))), x)


def _pool(call: Call, scope: Scope) -> tuple[Signal, Pair, Pair, Pads, bool]:
    x = scope.planes(call, rank=4)
    kernel = _pair(call, "kernel_shape", (0, 0))
    if min(kernel) < 1:
        raise ModelError(call.where, f"kernel_shape is at least 1, found {kernel}")
    stride, pads = _window(call, scope, x, kernel)
    if any(p >= kernel[i % 2] for i, p in enumerate(pads)):
        raise call.unsupported(f"pads smaller than the kernel {kernel} are supported, found {pads}")
    return x, kernel, stride, pads, bool(call.get("ceil_mode", 0))


def global_average_pool(call: Call, scope: Scope) -> Signal:
    return scope.emit(call, GlobalAvgPool(), scope.planes(call, rank=4))


def reduce_mean(call: Call, scope: Scope) -> Signal:
    x = scope.planes(call)
    rank = len(x.dims)
    given = call.optional(1, "axes")
    axes = [] if given is None else [int(a) % rank for a in given.reshape(-1)]
    if not axes and call.get("noop_with_empty_axes", 0):
        return x
    if rank < 3 or sorted(set(axes)) != list(range(2, rank)):
        raise call.unsupported(f"the mean over height and width is supported, found axes {axes or 'all'}")
    keep = call.get("keepdims", 1)
    dims = x.dims[:2] + (1,) * (rank - 2) * keep
    return scope.emit(call, GlobalAvgPool(), x, dims=dims)


def concat(call: Call, scope: Scope) -> Signal:
    signals = [scope.planes(call, i) for i in range(len(call.args))]
    rank = len(signals[0].dims)
    axis = call.get("axis", 1)
    if axis not in (1, 1 - rank) or rank < 2 or any(len(s.dims) != rank for s in signals):
        raise call.unsupported(f"concatenation on channels (axis 1) is supported, found axis {axis}")
    if len(signals) == 1:
        return signals[0]
    return scope.emit(call, Concat(), *signals)


def pad(call: Call, scope: Scope) -> Signal:
    mode = call.get("mode", "constant")
    if mode != "constant":
        raise call.unsupported(f"mode constant is supported, found {mode}")
    x = scope.planes(call)
    rank = len(x.dims)
    amounts = call.constant(1, "pads").reshape(-1).tolist()
    value = call.optional(2, "value")
    given = call.optional(3, "axes")
    axes = list(range(rank)) if given is None else [int(a) % rank for a in given.reshape(-1)]
    if len(amounts) != 2 * len(axes):
        raise ModelError(call.where, f"expected {2 * len(axes)} pads for {len(axes)} axes, found {amounts}")
    begin = dict(zip(axes, amounts, strict=False))
    end = dict(zip(axes, amounts[len(axes) :], strict=True))
    if any(begin[a] or end[a] for a in axes if a < 2) or not all(0 <= p <= MAX_EXTENT for p in amounts):
        raise call.unsupported(f"non-negative padding of height and width is supported, found pads {amounts}")
    pads = (begin.get(2, 0), begin.get(3, 0), end.get(2, 0), end.get(3, 0))
    fill = 0.0 if value is None else float(call.parameter(value, "value").reshape(()))
    return scope.emit(call, Pad(pads, fill), x)


# Shapes ------------------------------------------------------------------------------------------


def identity(call: Call, scope: Scope) -> Signal:
    return call.signal()


def dropout(call: Call, scope: Scope) -> tuple[Value, ...]:
    ratio, training = call.optional(1, "ratio"), call.optional(2, "training mode")
    drops = 0.5 if ratio is None else float(ratio.reshape(()))
    if training is not None and bool(training.reshape(())) and drops != 0:
        raise call.unsupported("inference (training_mode false) is supported, found training")
    return (call.signal(),)


def cast(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    allowed = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    if call.get("to", 0) not in allowed and x.head not in ("argmax", "topk"):
        name = TensorProto.DataType.Name(call.get("to", 0))
        raise call.unsupported(f"casts to FLOAT, FLOAT16 and DOUBLE are supported, found {name}")
    return x


def flatten(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    axis = call.get("axis", 1)
    axis += len(x.dims) if axis < 0 else 0
    return scope.view(call, x, (math.prod(x.dims[:axis]), math.prod(x.dims[axis:])))


def reshape(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    wanted = [int(n) for n in call.constant(1, "shape").reshape(-1)]
    if not call.get("allowzero", 0):
        if any(n == 0 for n in wanted[len(x.dims) :]):
            raise ModelError(call.where, f"shape {wanted} copies an axis that {x.dims} does not have")
        wanted = [x.dims[i] if n == 0 else n for i, n in enumerate(wanted)]
    known = math.prod(n for n in wanted if n != -1)
    if -1 in wanted and known > 0:
        wanted[wanted.index(-1)] = math.prod(x.dims) // known
    return scope.view(call, x, tuple(wanted))


def squeeze(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    given = call.optional(1, "axes")
    rank = len(x.dims)
    axes = [i for i, n in enumerate(x.dims) if n == 1] if given is None else [int(a) % rank for a in given]
    return scope.view(call, x, tuple(n for i, n in enumerate(x.dims) if i not in axes))


def unsqueeze(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    given = call.constant(1, "axes").reshape(-1)
    rank = len(x.dims) + len(given)
    axes = {int(a) % rank for a in given}
    rest = iter(x.dims)
    return scope.view(call, x, tuple(1 if i in axes else next(rest, 0) for i in range(rank)))


def shape(call: Call, scope: Scope) -> np.ndarray:
    """The shape of a computed tensor: a constant, as the picture's size and the batch are known."""
    dims = call.signal().dims
    return np.array(dims[call.get("start", 0) : call.get("end", len(dims))], np.int64)


# The end of the graph ----------------------------------------------------------------------------


def softmax(call: Call, scope: Scope) -> Signal:
    return replace(_scores(call, scope, -1), head="softmax")


def log_softmax(call: Call, scope: Scope) -> Signal:
    return replace(_scores(call, scope, -1), head="log_softmax")


def arg_max(call: Call, scope: Scope) -> Signal:
    if call.get("select_last_index", 0):
        raise call.unsupported("the lowest index wins a tie where supported, found select_last_index 1")
    return replace(_scores(call, scope, 0), head="argmax")


def top_k(call: Call, scope: Scope) -> tuple[Signal, Signal]:
    if not call.get("largest", 1):
        raise call.unsupported("the largest scores are supported, found the smallest")
    call.constant(1, "k")
    best = replace(_scores(call, scope, -1), head="topk")
    return best, best


def _scores(call: Call, scope: Scope, default_axis: int) -> Signal:
    """The input if the operator's axis runs over all scores of one picture."""
    x = call.signal()
    if x.head not in ("none", "softmax", "log_softmax") or (x.head != "none" and "Softmax" in call.kind):
        raise call.unsupported(f"reads a removed {x.head}")
    axis = call.get("axis", default_axis) % max(1, len(x.dims))
    if not x.dims or (math.prod(x.dims[:axis]), math.prod(x.dims[axis + 1 :])) != (scope.batch, 1):
        raise call.unsupported(f"an axis of all scores of a picture is supported, found axis {axis} of {x.dims}")
    return x


# Attributes of windows ---------------------------------------------------------------------------


def _pair(call: Call, attribute: str, default: Pair) -> Pair:
    values = call.get(attribute, default)
    if len(values) != 2 or not all(0 <= v <= MAX_EXTENT for v in values):
        raise call.unsupported(f"two {attribute} of 0 to {MAX_EXTENT} are supported, found {list(values)}")
    return int(values[0]), int(values[1])


def _window(call: Call, scope: Scope, x: Signal, kernel: Pair) -> tuple[Pair, Pads]:
    """Stride and explicit pads of a Conv or pool."""
    stride = _pair(call, "strides", (1, 1))
    if min(stride) < 1:
        raise ModelError(call.where, f"strides are at least 1, found {stride}")
    dilations = _pair(call, "dilations", (1, 1))
    if any(d != 1 and k > 1 for d, k in zip(dilations, kernel, strict=True)):
        raise call.unsupported(f"dilation 1 is supported, found {dilations}")
    return stride, _pads(call, scope.shapes[x.tensor][1:], kernel, stride)


def _pads(call: Call, size: Pair, kernel: Pair, stride: Pair) -> Pads:
    auto: Any = call.get("auto_pad", "NOTSET")
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


OPERATORS: dict[str, Handler] = {
    "Add": add,
    "ArgMax": arg_max,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "Div": divide,
    "Dropout": dropout,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "Identity": identity,
    "LogSoftmax": log_softmax,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Mul": multiply,
    "Pad": pad,
    "ReduceMean": reduce_mean,
    "Relu": relu,
    "Reshape": reshape,
    "Shape": shape,
    "Softmax": softmax,
    "Squeeze": squeeze,
    "Sub": subtract,
    "Sum": sum_,
    "TopK": top_k,
    "Unsqueeze": unsqueeze,
}
"""Every operator on computed tensors that dcgen imports."""

AFTER_HEAD = (
    "ArgMax",
    "Cast",
    "Dropout",
    "Flatten",
    "Identity",
    "Reshape",
    "Shape",
    "Squeeze",
    "TopK",
    "Unsqueeze",
)
"""What may follow a removed Softmax, ArgMax or TopK."""
