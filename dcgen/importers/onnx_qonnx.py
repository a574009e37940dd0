"""QONNX: weights and activations of any number of bits, as Brevitas exports them.

Constants are computed as the package ``qonnx`` defines the operators. A computed tensor of eight bits or more is
real; one of fewer bits takes few values, and which of them is a function of each number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from dcgen.errors import ModelError
from dcgen.importers.onnx_quantized import cut, number
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.ir.graph import Constant, Function, Step

ENOUGH_BITS = 8
"""Activations of fewer bits are a function of their own, of as many or more the same as real values."""


def quant(call: Call, scope: Scope) -> Signal:
    """QONNX's Quant of a computed tensor."""
    x = call.signal()
    scale, zero_point, bits = (number(call, i, what) for i, what in QUANT_PARAMETERS)
    low, high = _limits(call, bits)
    if bits >= ENOUGH_BITS:
        return cut(call, scope, x, scale * (low - zero_point), scale * (high - zero_point))
    if bits == 1 and call.get("signed", 1):
        integers = _signs(Step("Div", (0, Constant(scale))), Step("Add", (1, Constant(zero_point))))
    else:
        integers = (
            Step("Div", (0, Constant(scale))),
            Step("Add", (1, Constant(zero_point))),
            Step("Clip", (2, Constant(low), Constant(high))),
            Step(_rounding(call).capitalize(), (3,)),
        )
    last = len(integers)
    real = Step("Sub", (last, Constant(zero_point))), Step("Mul", (last + 1, Constant(scale)))
    return scope.emit(call, Function((*integers, *real)), x, dims=x.dims)


def bipolar_quant(call: Call, scope: Scope) -> Signal:
    """QONNX's BipolarQuant of a computed tensor."""
    x, scale = call.signal(), number(call, 1, "scale")
    signs = _signs()
    steps = (*signs, Step("Mul", (len(signs), Constant(scale))))
    return scope.emit(call, Function(steps), x, dims=x.dims)


def _signs(*before: Step) -> tuple[Step, ...]:
    """Steps behind ``before`` that make 1 of what is not negative, and -1 of what is."""
    last = len(before)
    below, doubled = Step("Less", (last, Constant(0.0))), Step("Mul", (last + 1, Constant(-2.0)))
    return *before, below, doubled, Step("Add", (last + 2, Constant(1.0)))


QUANT_PARAMETERS = ((1, "scale"), (2, "zero point"), (3, "bit width"))
ROUNDINGS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "ROUND": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
}


def constant_quant(call: Call) -> np.ndarray:
    """QONNX's Quant or BipolarQuant of a constant: float32 of its shape."""
    x, scale = call.constant(0, "tensor").astype(np.float64), call.constant(1, "scale").astype(np.float64)
    call.budget.charge(5 * x.nbytes, f"node {call.name} ({call.kind})")
    if np.broadcast_shapes(x.shape, scale.shape) != x.shape:
        raise ValueError(f"a scale of shape {scale.shape} is no factor of {x.shape}")
    if call.kind == "BipolarQuant":
        return (np.where(x >= 0, 1.0, -1.0) * scale).astype(np.float32)
    zero_point, bits = call.constant(2, "zero point").astype(np.float64), number(call, 3, "bit width")
    if np.broadcast_shapes(x.shape, zero_point.shape) != x.shape:
        raise ValueError(f"a zero point of shape {zero_point.shape} is no term of {x.shape}")
    rounding = _rounding(call)
    steps = x / scale + zero_point
    if bits == 1 and call.get("signed", 1):
        steps = np.where(steps >= 0, 1.0, -1.0)
    else:
        steps = ROUNDINGS[rounding](steps.clip(*_limits(call, bits)))
    return np.asarray((steps - zero_point) * scale, np.float32)


def _rounding(call: Call) -> str:
    """How a Quant rounds: a key of ``ROUNDINGS``."""
    rounding = str(call.get("rounding_mode", "ROUND")).upper()
    if rounding not in ROUNDINGS:
        raise call.unsupported(f"rounding_mode {', '.join(ROUNDINGS)} is supported, found {rounding}")
    return rounding


def _limits(call: Call, bits: float) -> tuple[float, float]:
    """The smallest and the largest integer of a Quant."""
    if not 1 <= bits <= 32 or bits != int(bits):
        raise ModelError(call.where, f"its bit width is 1 to 32, found {bits:g}")
    narrow = int(bool(call.get("narrow", 0)))
    if call.get("signed", 1):
        return -(2.0 ** (bits - 1)) + narrow, 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1 - narrow


OPERATORS: Final[Mapping[str, Handler]] = {"BipolarQuant": bipolar_quant, "Quant": quant}
CONSTANTS: Final[Mapping[str, Callable[[Call], np.ndarray]]] = {
    "BipolarQuant": constant_quant,
    "Quant": constant_quant,
}
"""What computes an operator's output from constants."""
DOMAINS: Final = ("onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general")
"""Under these names the operators have been published."""
