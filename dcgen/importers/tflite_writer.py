"""A TFLite network as an ONNX model: the tensors, constants and nodes so far.

Tensors keep TFLite's axes, with channels last. Operators on planes stand between Transposes, which the ONNX
importer cancels. Tensors of integers become tensors of the real values that they stand for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers.onnx_order import CHANNEL_LAST, TO_CHANNEL_FIRST
from dcgen.importers.tflite_file import Network, Operator, Tensor
from dcgen.limits import Budget

REAL = ("FLOAT32", "FLOAT16")
INTEGERS: Mapping[str, np.dtype[np.signedinteger | np.unsignedinteger]] = {
    "INT8": np.dtype(np.int8),
    "UINT8": np.dtype(np.uint8),
    "INT16": np.dtype(np.int16),
}
"""Integers that stand for real values in computed tensors."""


@dataclass(eq=False)
class Writer:
    """What is written of a network.

    source : names the file in errors
    made : of each index of a tensor, the name of the ONNX tensor that has its values
    """

    source: str
    network: Network
    budget: Budget
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    made: dict[int, str] = field(default_factory=dict)
    known: dict[tuple[int, str], str] = field(default_factory=dict)

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Append a node; its output is called like a number, as names in files repeat."""
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=name, **attributes))
        return output

    def constant(self, array: np.ndarray) -> str:
        """A constant of any values."""
        name = f"c{len(self.constants)}"
        self.budget.charge(2 * array.nbytes, f"constant {len(self.constants)}")
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def shape_constant(self, values: Sequence[int]) -> str:
        """A constant of integers, as shapes and axes are."""
        return self.constant(np.array(values, np.int64))


@dataclass(frozen=True, eq=False)
class Step:
    """One operator while it is written."""

    writer: Writer
    operator: Operator

    @property
    def name(self) -> str:
        """The operator's name: that of its output, of which TFLite joins several; the first one is kept."""
        outputs = self.operator.outputs
        joined = self.writer.network.tensors[outputs[0]].name if outputs else ""
        return joined.split(";")[0] or self.operator.kind

    @property
    def where(self) -> str:
        """The operator's name in errors."""
        return f"{self.writer.source}: operator {self.name} ({self.operator.kind})"

    def unsupported(self, problem: str, hint: str = "") -> UnsupportedError:
        """The error to raise for what dcgen does not import."""
        return UnsupportedError(self.where, problem, hint)

    def tensor(self, index: int) -> Tensor:
        """Input ``index`` of the operator. ModelError where it has none."""
        inputs = self.operator.inputs
        if index >= len(inputs) or inputs[index] < 0:
            raise ModelError(self.where, f"has no input {index}")
        return self.writer.network.tensors[inputs[index]]

    def has(self, index: int) -> bool:
        """Whether the operator has input ``index``."""
        return index < len(self.operator.inputs) and self.operator.inputs[index] >= 0

    @property
    def result(self) -> Tensor:
        """The operator's output."""
        if len(self.operator.outputs) != 1:
            raise self.unsupported(f"one output is supported, found {len(self.operator.outputs)}")
        return self.writer.network.tensors[self.operator.outputs[0]]

    def computed(self, index: int = 0) -> str:
        """The ONNX tensor of input ``index``, which an operator before this one computes."""
        self.tensor(index)
        made = self.writer.made.get(self.operator.inputs[index])
        if made is None:
            constant = self.tensor(index).data is not None
            problem = (
                "is constant, a computed tensor is supported" if constant else "is made by no operator before it"
            )
            raise (self.unsupported if constant else self._broken)(f"its input {index} {problem}")
        return made

    def _broken(self, problem: str) -> ModelError:
        return ModelError(self.where, problem)

    def is_computed(self, index: int) -> bool:
        """Whether an operator makes input ``index``."""
        return self.operator.inputs[index] in self.writer.made

    def values(self, index: int, what: str) -> np.ndarray:
        """Input ``index``, which must be constant, as it is; ``what`` names it in the error."""
        data = self.tensor(index).data
        if data is None:
            raise self.unsupported(f"its {what} (input {index}) must be constant, found a computed tensor")
        return data

    def integers(self, index: int, what: str) -> list[int]:
        """Input ``index``, a constant list of integers."""
        data = self.values(index, what)
        if data.dtype.kind not in "iu" or data.size > 64:
            raise ModelError(
                self.where, f"its {what} (input {index}) is a short list of integers, found {data.dtype}"
            )
        return [int(n) for n in data.reshape(-1)]

    def real(self, index: int, what: str) -> np.ndarray:
        """Input ``index``, which must be constant, as the real values that it stands for: float32."""
        tensor, data = self.tensor(index), self.values(index, what)
        if tensor.kind in REAL:
            self.writer.budget.charge(0 if data.dtype == np.float32 else 4 * data.size, f"{what} of {self.name}")
            return data.astype(np.float32, copy=False)
        if tensor.quantization is None:
            raise self.unsupported(f"its {what} (input {index}) is {tensor.kind} without a scale")
        self.writer.budget.charge(4 * data.size, f"{what} of {self.name}")
        q, exact = tensor.quantization, np.dtype(np.float32 if data.dtype.itemsize <= 2 else np.float64)
        shape = [1] * data.ndim
        if len(q.scale) > 1:
            if not (0 <= q.axis < data.ndim and data.shape[q.axis] == len(q.scale)):
                raise ModelError(
                    self.where, f"its {what} of shape {data.shape} has {len(q.scale)} scales on axis {q.axis}"
                )
            shape[q.axis] = len(q.scale)
        scale = q.scale.astype(exact).reshape(shape)
        zero_point = q.zero_point.astype(exact).reshape(shape if len(q.zero_point) > 1 else [1] * data.ndim)
        return np.asarray((data.astype(exact) - zero_point) * scale, np.float32)

    def constant(self, index: int, what: str, form: str, array: np.ndarray | None = None) -> str:
        """The ONNX constant of input ``index`` in a form that is named ``form``: ``array``, or its real values."""
        key = self.operator.inputs[index], form
        if key not in self.writer.known:
            self.writer.known[key] = self.writer.constant(self.real(index, what) if array is None else array)
        return self.writer.known[key]

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append an ONNX node that is named like this operator."""
        return self.writer.add(kind, inputs, self.name, **attributes)

    def activation(self, kind: str, *inputs: str) -> str:
        """Append an ONNX node for the activation that is fused with this operator."""
        return self.writer.add(kind, inputs, f"{self.name}.{kind.lower()}")

    def planes(self, name: str, rank: int) -> str:
        """An ONNX tensor of four axes with channels first."""
        if rank != 4:
            raise self.unsupported(f"its input has four axes where supported, found {rank}")
        return self.writer.add("Transpose", [name], f"{self.name}.first", perm=TO_CHANNEL_FIRST)

    def back(self, name: str) -> str:
        """The reverse of ``planes``."""
        return self.writer.add("Transpose", [name], f"{self.name}.last", perm=CHANNEL_LAST)

    def rank(self, index: int = 0) -> int:
        """Number of axes of input ``index``."""
        return len(self.tensor(index).shape)

    def finish(self, made: str | Sequence[str], cuts: bool) -> None:
        """Make ONNX tensors the operator's outputs.

        cuts : whether its integers have a range of their own, which cuts it off where it begins or ends at zero,
            as where a ReLU is folded into them
        """
        names = [made] if isinstance(made, str) else made
        if len(names) != len(self.operator.outputs):
            raise ModelError(self.where, f"makes {len(names)} outputs, found {len(self.operator.outputs)}")
        for name, output in zip(names, self.operator.outputs, strict=True):
            result = self.writer.network.tensors[output]
            self.writer.made[output] = self._cut(name, result) if cuts else name

    def _cut(self, name: str, result: Tensor) -> str:
        """An ONNX tensor cut off where the integers of an output begin or end at zero."""
        q = result.quantization
        if q is None or result.kind not in INTEGERS or len(q.scale) != 1:
            return name
        limits, zero = np.iinfo(INTEGERS[result.kind]), float(q.zero_point[0])
        if not limits.min <= zero <= limits.max or q.scale[0] <= 0:
            return name
        parameters = [
            self.writer.constant(np.array(q.scale[0], np.float32)),
            self.writer.constant(np.array(zero, INTEGERS[result.kind])),
        ]
        integers = self.writer.add("QuantizeLinear", [name, *parameters], f"{self.name}.range")
        return self.writer.add("DequantizeLinear", [integers, *parameters], f"{self.name}.range")


def elements(shape: Sequence[int]) -> int:
    """The number of elements of a shape, in which an open size counts as 1."""
    return math.prod(max(1, n) for n in shape)
