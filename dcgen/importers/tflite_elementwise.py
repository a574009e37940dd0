"""How TFLite's operators on single elements, and activations that others are fused with, are written in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import tflite
from onnx import TensorProto

from dcgen.importers.onnx_order import TO_CHANNEL_FIRST
from dcgen.importers.tflite_writer import REAL, Step

One = Callable[[Step], str]
"""Writes an operator and returns the ONNX tensor of its output."""


def arithmetic(kind: str, form: type | None = None) -> One:
    """A handler of two operands, of which one may be constant."""

    def handler(step: Step) -> str:
        on_planes = max(step.rank(0), step.rank(1)) == 4
        names = []
        for i in (0, 1):
            if step.is_computed(i):
                if on_planes and step.rank(i) != 4:
                    raise step.unsupported(
                        f"its inputs have as many axes, found {step.rank(0)} and {step.rank(1)}"
                    )
                names.append(step.planes(step.computed(i), 4) if on_planes else step.computed(i))
            elif on_planes:
                array = step.real(i, "operand")
                spread = array.reshape((1,) * (4 - array.ndim) + array.shape).transpose(TO_CHANNEL_FIRST)
                names.append(step.constant(i, "operand", "on planes", spread))
            else:
                names.append(step.constant(i, "operand", "real"))
        if not any(step.is_computed(i) for i in (0, 1)):
            raise step.unsupported("an operand that is computed is supported, found constants")
        made = step.add(kind, *names)
        made = made if form is None else activated(step, made, step.operator.read(form))
        return step.back(made) if on_planes else made

    return handler


def single(kind: str, **attributes: Any) -> One:
    def handler(step: Step) -> str:
        return step.add(kind, step.computed(), **attributes)

    return handler


def square(step: Step) -> str:
    return step.add("Mul", step.computed(), step.computed())


def reciprocal_root(step: Step) -> str:
    return step.add("Reciprocal", step.add("Sqrt", step.computed()))


def squared_difference(step: Step) -> str:
    difference = arithmetic("Sub")(step)
    return step.add("Mul", difference, difference)


def add_n(step: Step) -> str:
    return step.add("Sum", *(step.computed(i) for i in range(len(step.operator.inputs))))


def select(step: Step) -> str:
    """Element by element, the second input where the first one is true, else the third one."""
    names = (step.computed(i) if step.is_computed(i) else step.constant(i, "operand", "real") for i in (1, 2))
    return step.add("Where", step.computed(), *names)


def cast(step: Step) -> str:
    kinds = step.tensor(0).kind, step.result.kind
    if kinds[1] not in REAL or kinds[0] not in (*REAL, "BOOL"):
        raise step.unsupported(f"casts of FLOAT32, FLOAT16 and BOOL to the former are supported, found {kinds}")
    return step.add("Cast", step.computed(), to=TensorProto.FLOAT)


def leaky_relu(step: Step) -> str:
    return step.add("LeakyRelu", step.computed(), alpha=step.operator.read(tflite.LeakyReluOptions).Alpha())


def gelu(step: Step) -> str:
    approximate = step.operator.read(tflite.GeluOptions).Approximate()
    return step.add("Gelu", step.computed(), approximate="tanh" if approximate else "none")


def clip(low: float, high: float) -> Callable[[Step, str], str]:
    def clipped(step: Step, name: str) -> str:
        bounds = [step.writer.constant(np.array(bound, np.float32)) for bound in (low, high)]
        return step.activation("Clip", name, *bounds)

    return clipped


ACTIVATIONS: Final[Mapping[int, Callable[[Step, str], str]]] = {
    tflite.ActivationFunctionType.NONE: lambda step, name: name,
    tflite.ActivationFunctionType.RELU: lambda step, name: step.activation("Relu", name),
    tflite.ActivationFunctionType.RELU_N1_TO_1: clip(-1, 1),
    tflite.ActivationFunctionType.RELU6: clip(0, 6),
    tflite.ActivationFunctionType.TANH: lambda step, name: step.activation("Tanh", name),
}


def activated(step: Step, name: str, options: Any) -> str:
    """An ONNX tensor behind the activation that is fused with the operator."""
    activation = options.FusedActivationFunction()
    if activation not in ACTIVATIONS:
        raise step.unsupported(f"fused activation {activation} is not supported")
    return ACTIVATIONS[activation](step, name)
