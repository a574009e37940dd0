"""ONNX operators on single elements: batch normalisation, clipping, arithmetic.

One function for each operator, listed at the end; see ``onnx_operators``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce
from typing import Final

import numpy as np

from dcgen.errors import ModelError
from dcgen.importers.onnx_broadcast import common, expanded, repeated
from dcgen.importers.onnx_functions import scalar
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.ir.graph import Add, Affine, Clip, Constant, Function, Pairwise, Step


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
    bounds = call.scalar(1, "minimum", -math.inf), call.scalar(2, "maximum", math.inf)
    lo, hi = (float(np.float32(bound)) for bound in bounds)  # of doubles some are infinite
    if not (lo < math.inf and hi > -math.inf):
        raise ModelError(call.where, f"clips to NaN or infinity: minimum {bounds[0]}, maximum {bounds[1]}")
    return scope.emit(call, Clip(min(lo, hi), hi), x, dims=x.dims)  # of crossing bounds ONNX takes the maximum


def add(call: Call, scope: Scope) -> Signal:
    a, b = call.args
    if isinstance(a, Signal) and isinstance(b, Signal):
        return _sum(call, scope, [a, b])
    x, c = (
        (call.signal(0), call.constant(1, "term"))
        if isinstance(a, Signal)
        else (call.signal(1), call.constant(0, "term"))
    )
    return _per_channel(call, scope, x, None, c)


def subtract(call: Call, scope: Scope) -> Signal:
    if _both_computed(call):
        return _pairwise(call, scope, call.signal(0), call.signal(1))
    if isinstance(call.args[0], Signal):
        return _per_channel(call, scope, call.signal(0), None, -call.constant(1, "subtrahend"))
    return _per_channel(call, scope, call.signal(1), np.full((), -1.0), call.constant(0, "minuend"))


def multiply(call: Call, scope: Scope) -> Signal:
    if _both_computed(call):
        return _pairwise(call, scope, call.signal(0), call.signal(1))
    if isinstance(call.args[0], Signal):
        return _per_channel(call, scope, call.signal(0), call.constant(1, "factor"), None)
    return _per_channel(call, scope, call.signal(1), call.constant(0, "factor"), None)


def divide(call: Call, scope: Scope) -> Signal:
    if _both_computed(call):
        return _pairwise(call, scope, call.signal(0), call.signal(1))
    if not isinstance(call.args[0], Signal):
        x = call.signal(1)
        quotient = Step("Div", (Constant(scalar(call, 0, "dividend")), 0))
        return scope.emit(call, Function((quotient,)), x, dims=x.dims)
    divisor = call.constant(1, "divisor").astype(np.float64)
    with np.errstate(divide="ignore"):
        return _per_channel(call, scope, call.signal(0), 1.0 / divisor, None)


def extreme(call: Call, scope: Scope) -> Signal:
    """Max or Min of any number of tensors and numbers, as a chain; the last node is called like the ONNX node."""
    first = next(i for i, a in enumerate(call.args) if isinstance(a, Signal))
    found, others = call.signal(first), [i for i in range(len(call.args)) if i != first]
    for n, index in enumerate(others, 1):
        suffix = "" if n == len(others) else f".{n}"
        if isinstance(call.args[index], Signal):
            found = _pairwise(call, scope, found, call.signal(index), suffix)
            continue
        bound = scalar(call, index, "bound")
        op = Clip(bound, math.inf) if call.kind == "Max" else Clip(-math.inf, bound)
        found = scope.emit(call, op, found, dims=found.dims, suffix=suffix)
    return found


def sum_(call: Call, scope: Scope) -> Signal:
    constants = [a for a in call.args if not isinstance(a, Signal)]
    if constants:
        raise call.unsupported("a sum of computed tensors is supported, found a constant term")
    return _sum(call, scope, [call.signal(i) for i in range(len(call.args))])


def _sum(call: Call, scope: Scope, terms: list[Signal]) -> Signal:
    """The sum of ``terms`` as a chain of Add nodes; the last one is called like the ONNX node."""
    terms = _alike(call, scope, terms)
    last = len(terms) - 1

    def plus(total: Signal, numbered: tuple[int, Signal]) -> Signal:
        n, term = numbered
        return scope.emit(call, Add(), total, term, dims=total.dims, suffix="" if n == last else f".{n}")

    return reduce(plus, enumerate(terms[1:], 1), terms[0])


def _both_computed(call: Call) -> bool:
    return isinstance(call.args[0], Signal) and isinstance(call.args[1], Signal)


def _pairwise(call: Call, scope: Scope, a: Signal, b: Signal, suffix: str = "") -> Signal:
    """An operator of two computed tensors; of a product one may be a gate, which becomes the second."""
    if call.kind == "Mul" and math.prod(a.dims) < math.prod(b.dims):
        a, b = b, a
    if a.dims != b.dims and a.order is not None:
        (first, names), (second, others) = scope.named(call, a), scope.named(call, b)
        if names == others:
            return scope.back(_pairwise(call, scope, first, second, suffix), names)
    gated = (
        call.kind == "Mul" and len(a.dims) == len(b.dims) > 2 and b.dims == (*a.dims[:2], *(1,) * len(a.dims[2:]))
    )
    if call.kind == "Mul" and a.dims == b.dims and a.order is None:
        a, b = (b, a) if expanded(scope, a) is not None else (a, b)
        if (gate := expanded(scope, b)) is not None and scope.channel_axis(a) is not None:
            return scope.emit(call, Pairwise(call.kind), a, gate, dims=a.dims, suffix=suffix)
    if not gated:
        a, b = _alike(call, scope, [a, b])
    reshaped = scope.channel_axis(a) is None or scope.channel_axis(b) is None
    if reshaped and scope.shapes[a.tensor] != scope.shapes[b.tensor]:
        raise call.unsupported(f"its inputs of shape {[a.dims, b.dims]} are reshaped differently")
    return scope.emit(call, Pairwise(call.kind), a, b, dims=a.dims, suffix=suffix)


def _alike(call: Call, scope: Scope, operands: list[Signal]) -> list[Signal]:
    """The operands repeated along axes of size 1 until they have one shape."""
    dims = common([x.dims for x in operands])
    if dims is None:
        found = [x.dims for x in operands]
        raise call.unsupported(f"tensors of one shape, but for axes of size 1, are supported, found {found}")
    return [repeated(call, scope, x, dims) for x in operands]


def _per_channel(
    call: Call, scope: Scope, x: Signal, factor: np.ndarray | None, term: np.ndarray | None
) -> Signal:
    """x * factor + term for constants that are scalars or differ by channel alone; None stands for 1 and for 0."""
    scale = scope.spread(call, x, np.ones(()) if factor is None else factor)
    return _affine(call, scope, x, scale, scope.spread(call, x, np.zeros(()) if term is None else term))


def _affine(call: Call, scope: Scope, x: Signal, scale: np.ndarray, shift: np.ndarray) -> Signal:
    op = Affine(call.parameter(scale, "scale"), call.parameter(shift, "shift"))
    return scope.emit(call, op, x, dims=x.dims)


OPERATORS: Final[Mapping[str, Handler]] = {
    "Add": add,
    "BatchNormalization": batch_normalization,
    "Clip": clip,
    "Div": divide,
    "Max": extreme,
    "Min": extreme,
    "Mul": multiply,
    "Relu": relu,
    "Sub": subtract,
    "Sum": sum_,
}
