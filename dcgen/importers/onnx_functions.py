"""ONNX operators that are a function of one number: activations, roots, powers, quotients.

Each becomes a ``Function``. What is spelled by several of them (x * Sigmoid(x), the Erf of GELU) stays several
nodes; ``compress.functions`` makes one function of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.ir.functions import COMPARISONS
from dcgen.ir.graph import Add, Affine, Clip, Constant, Function, Step, Where

ATTRIBUTES: Final[Mapping[str, Mapping[str, float | str]]] = {
    "Abs": {},
    "Celu": {"alpha": 1.0},
    "Elu": {"alpha": 1.0},
    "Erf": {},
    "Exp": {},
    "Gelu": {"approximate": "none"},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "HardSwish": {},
    "LeakyRelu": {"alpha": 0.01},
    "Log": {},
    "Mish": {},
    "Reciprocal": {},
    "Sign": {},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "Sigmoid": {},
    "Softplus": {},
    "Softsign": {},
    "Sqrt": {},
    "Tanh": {},
    "ThresholdedRelu": {"alpha": 1.0},
}
"""The attributes of each operator without constant inputs, with ONNX's defaults, in the order of a step's."""


def function(call: Call, scope: Scope) -> Signal:
    """Any operator of ``ATTRIBUTES``."""
    found = tuple(
        (name, call.get(name, default) if isinstance(default, str) else _number(call, name, default))
        for name, default in ATTRIBUTES[call.kind].items()
    )
    if call.kind == "Gelu" and found[0][1] not in ("none", "tanh"):
        raise call.unsupported(f"approximate none or tanh is supported, found {found[0][1]}")
    return _emit(call, scope, call.signal(), Step(call.kind, (0,), found))


def negate(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    channels = scope.shapes[x.tensor][0]
    op = Affine(np.full(channels, -1, np.float32), np.zeros(channels, np.float32))
    return scope.emit(call, op, x, dims=x.dims)


def swish(call: Call, scope: Scope) -> Signal:
    alpha = _number(call, "alpha", 1.0)
    return _emit(
        call, scope, call.signal(), Step("Mul", (0, Constant(alpha))), Step("Sigmoid", (1,)), Step("Mul", (0, 2))
    )


def power(call: Call, scope: Scope) -> Signal:
    return _emit(call, scope, call.signal(), Step("Pow", (0, Constant(scalar(call, 1, "exponent")))))


def prelu(call: Call, scope: Scope) -> Signal:
    """A slope for all channels is a LeakyRelu; with one for each, x + (slope - 1) * min(x, 0) is."""
    x, slopes = call.signal(), call.parameter(call.constant(1, "slope"), "slope")
    if slopes.size == 1:
        return _emit(call, scope, x, Step("LeakyRelu", (0,), (("alpha", float(slopes.reshape(()))),)))
    slopes = scope.spread(call, x, slopes).astype(np.float32)
    below = scope.emit(call, Clip(-np.inf, 0.0), x, dims=x.dims, suffix=".below")
    scaled = scope.emit(call, Affine(slopes - 1, np.zeros_like(slopes)), below, dims=x.dims, suffix=".scaled")
    return scope.emit(call, Add(), x, scaled, dims=x.dims)


def compare(call: Call, scope: Scope) -> Signal:
    """A tensor compared with a number: 1 where that holds, else 0."""
    if isinstance(call.args[0], Signal):
        return _emit(call, scope, call.signal(0), Step(call.kind, (0, Constant(scalar(call, 1, "bound")))))
    return _emit(call, scope, call.signal(1), Step(call.kind, (Constant(scalar(call, 0, "bound")), 0)))


def truth(call: Call, scope: Scope) -> Signal:
    """1 where a number is not zero, else 0: a Cast to BOOL."""
    return _emit(call, scope, call.signal(), Step("Where", (0, Constant(1.0), Constant(0.0))))


def where(call: Call, scope: Scope) -> Signal:
    """A choice between tensors or numbers; a number is a tensor that has it everywhere."""
    condition, chosen = call.signal(0), []
    channels = scope.shapes[condition.tensor][0]
    for index, suffix in ((1, ".true"), (2, ".false")):
        if isinstance(call.args[index], Signal):
            chosen.append(call.signal(index))
            continue
        value = np.full(channels, scalar(call, index, "value"), np.float32)
        same = Affine(np.zeros(channels, np.float32), value)
        chosen.append(scope.emit(call, same, condition, dims=condition.dims, suffix=suffix))
    if any(c.dims != condition.dims for c in chosen):
        found = [condition.dims, *(c.dims for c in chosen)]
        raise call.unsupported(f"tensors of one shape are supported, found {found}")
    return scope.emit(call, Where(), condition, *chosen, dims=condition.dims)


def scalar(call: Call, index: int, what: str) -> float:
    """Input ``index``, which must be a constant of one number; ``what`` names it in the error."""
    value = call.parameter(call.constant(index, what), what)
    if value.size != 1:
        raise call.unsupported(f"its {what} (input {index}) is one number where supported, found {value.shape}")
    return float(value.reshape(()))


def _number(call: Call, attribute: str, default: float) -> float:
    return float(call.parameter(call.get(attribute, default), attribute).reshape(()))


def _emit(call: Call, scope: Scope, x: Signal, *steps: Step) -> Signal:
    return scope.emit(call, Function(steps), x, dims=x.dims)


OPERATORS: Final[Mapping[str, Handler]] = {
    **dict.fromkeys(ATTRIBUTES, function),
    **dict.fromkeys(COMPARISONS, compare),
    "Neg": negate,
    "PRelu": prelu,
    "Pow": power,
    "Swish": swish,
    "Where": where,
}
