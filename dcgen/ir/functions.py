"""Functions of one real number: a list of steps, each an ONNX operator that treats every element alike.

A step is called like the ONNX operator that it stands for and means the same. ``MEANINGS`` lists all of them, in
plain NumPy on float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dcgen.errors import GraphError
from dcgen.ir.weights import F64

MAX_STEPS: Final = 64
"""Most steps of one function; spellings of known functions have a dozen at most."""


@dataclass(frozen=True)
class Constant:
    """An operand that does not depend on the function's argument."""

    value: float


@dataclass(frozen=True)
class Step:
    """One operator of a function.

    kind : the ONNX operator
    operands : of each, its number, 0 for the function's argument and n + 1 for the result of step n; or a constant
    attributes : ONNX attributes by name, in the order in which the meaning takes them; none is left to a default
    """

    kind: str
    operands: tuple[int | Constant, ...] = (0,)
    attributes: tuple[tuple[str, float | str], ...] = ()


def check(name: str, steps: Sequence[Step]) -> None:
    """Raise GraphError naming ``name`` unless the steps are a function."""
    if not 1 <= len(steps) <= MAX_STEPS:
        raise GraphError(name, f"a function has 1 to {MAX_STEPS} steps, found {len(steps)}")
    for number, step in enumerate(steps):
        if step.kind not in MEANINGS:
            raise GraphError(name, f"{step.kind!r} is no function of single numbers")
        if any(isinstance(o, int) and not 0 <= o <= number for o in step.operands):
            raise GraphError(name, f"step {number} reads a value that no earlier step makes: {step.operands}")


def compute(steps: Sequence[Step], x: F64) -> F64:
    """The function's values at ``x``."""
    values = [np.asarray(x, np.float64)]
    with np.errstate(all="ignore"):  # a value beyond float64 is refused where it is used
        for step in steps:
            operands = (values[o] if isinstance(o, int) else np.float64(o.value) for o in step.operands)
            found = MEANINGS[step.kind](*operands, *(value for _, value in step.attributes))
            values.append(np.asarray(found, np.float64))
    return values[-1]


def _sigmoid(x: F64) -> F64:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


def _softplus(x: F64) -> F64:
    return np.asarray(np.logaddexp(0.0, x))


def _elu(x: F64, alpha: float) -> F64:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _hard_sigmoid(x: F64, alpha: float, beta: float) -> F64:
    return np.asarray(np.clip(alpha * x + beta, 0, 1))


def _erf(x: F64) -> F64:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


def _gelu(x: F64, approximate: str) -> F64:
    if approximate == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))))


MEANINGS: Final[Mapping[str, Callable[..., Any]]] = {
    "Abs": np.abs,
    "Add": np.add,
    "Celu": lambda x, alpha: _elu(x / alpha, 1.0) * alpha,
    "Clip": lambda x, lo, hi: np.minimum(np.maximum(x, lo), hi),
    "Div": np.divide,
    "Elu": _elu,
    "Erf": _erf,
    "Exp": np.exp,
    "Greater": lambda x, y: np.greater(x, y) * 1.0,
    "GreaterOrEqual": lambda x, y: np.greater_equal(x, y) * 1.0,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda x: x * _hard_sigmoid(x, 1 / 6, 0.5),
    "Less": lambda x, y: np.less(x, y) * 1.0,
    "LessOrEqual": lambda x, y: np.less_equal(x, y) * 1.0,
    "LeakyRelu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "Log": np.log,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mish": lambda x: x * np.tanh(_softplus(x)),
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pow": np.power,
    "Reciprocal": np.reciprocal,
    "Sign": np.sign,
    "Selu": lambda x, alpha, gamma: gamma * _elu(x, alpha),
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Tanh": np.tanh,
    "ThresholdedRelu": lambda x, alpha: np.where(x > alpha, x, 0.0),
    "Where": lambda condition, x, y: np.where(condition != 0, x, y),
}
"""What each kind of step computes of its operands, and then its attributes' values. Truth is a number: 1, or 0."""
COMPARISONS: Final = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")
"""Kinds of steps whose ONNX operators give truth values."""
