"""Reads a TFLite file (a FlatBuffer) into plain records. What it says is checked before it is used.

The package ``tflite`` has the classes that the FlatBuffer compiler makes of TFLite's schema. They follow offsets
within the file's bytes only, and copy nothing; how long a list may be is checked here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tflite
from flatbuffers.table import Table

from dcgen.errors import ModelError
from dcgen.limits import LIMITS
from dcgen.reading import damage, read_bytes

IDENTIFIER = b"TFL3"
TYPES: Mapping[int, type[np.generic]] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT8: np.int8,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT16: np.int16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
    tflite.TensorType.BOOL: np.bool_,
}
MOST_AXES = 8
MOST_TENSORS = 4 * LIMITS.nodes


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


OPERATOR_NAMES = _names(tflite.BuiltinOperator)
TYPE_NAMES = _names(tflite.TensorType)


@dataclass(frozen=True, eq=False)
class Quantization:
    """How integers stand for real values: scale * (integer - zero point).

    scale, zero_point : float64 of one element, or of one for each index of ``axis``
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the file.

    kind : name of its element type
    data : its values where it is constant
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    data: np.ndarray | None
    quantization: Quantization | None


@dataclass(frozen=True, eq=False)
class Operator:
    """An operator: name of its kind, indices of its tensors (-1 for an omitted input), and its options."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None

    def read(self, form: type) -> Any:
        """The options as a class of the package ``tflite``; where there are none, each has its default."""
        options = form()
        table = self.options or Table(bytearray(_NO_FIELDS), 4)
        options.Init(table.Bytes, table.Pos)
        return options


_NO_FIELDS = b"\x04\x00\x04\x00\x04\x00\x00\x00"
"""A vtable without fields, and a table of it at 4."""


@dataclass(frozen=True, eq=False)
class Network:
    """The first graph of a file, its operators in order."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read(path: Path) -> tuple[Network, int]:
    """The network in the file, and the file's size in bytes. Raises ModelError."""
    data = read_bytes(path, ModelError)
    with damage(path, ModelError, "is not a readable TFLite model"), np.errstate(all="ignore"):
        if data[4:8] != IDENTIFIER:
            raise ModelError(path, "is not a TFLite model: it does not begin as one")
        return _network(path, data), len(data)


def _network(path: Path, data: bytes) -> Network:
    model = tflite.Model.GetRootAs(data, 0)
    if model.SubgraphsLength() < 1:
        raise ModelError(path, "holds no graph")
    graph = model.Subgraphs(0)
    tensors = tuple(_tensor(path, model, t) for t in _list(path, "tensors", graph.TensorsLength, graph.Tensors))
    codes = [
        max(c.BuiltinCode(), c.DeprecatedBuiltinCode())
        for c in _list(path, "operator codes", model.OperatorCodesLength, model.OperatorCodes)
    ]
    operators = []
    for operator in _list(path, "operators", graph.OperatorsLength, graph.Operators):
        if operator.OpcodeIndex() >= len(codes):
            raise ModelError(path, f"names operator code {operator.OpcodeIndex()} of {len(codes)}")
        code = codes[operator.OpcodeIndex()]
        inputs = _indices(path, operator.InputsLength(), operator.InputsAsNumpy(), len(tensors), -1)
        outputs = _indices(path, operator.OutputsLength(), operator.OutputsAsNumpy(), len(tensors), 0)
        kind = OPERATOR_NAMES.get(code, f"operator {code}")
        operators.append(Operator(kind, inputs, outputs, operator.BuiltinOptions()))
    ends = [(graph.InputsLength(), graph.InputsAsNumpy()), (graph.OutputsLength(), graph.OutputsAsNumpy())]
    inputs, outputs = (_indices(path, n, array, len(tensors), 0) for n, array in ends)
    return Network(_text(graph.Name()), tensors, tuple(operators), inputs, outputs)


def _list(path: Path, what: str, length: Callable[[], int], item: Callable[[int], Any]) -> Iterator[Any]:
    if length() > MOST_TENSORS:
        raise ModelError(path, f"has {length():,} {what}, expected at most {MOST_TENSORS:,}")
    return (item(i) for i in range(length()))


def _indices(path: Path, length: int, array: Any, count: int, least: int) -> tuple[int, ...]:
    """A list of indices of tensors, from ``least`` to ``count`` - 1."""
    if length == 0:
        return ()
    if length > MOST_TENSORS:
        raise ModelError(path, f"lists {length:,} tensors of an operator, expected at most {MOST_TENSORS:,}")
    found = tuple(int(i) for i in array)
    for i in found:
        if not least <= i < count:
            raise ModelError(path, f"names tensor {i} of {count}")
    return found


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace")[: LIMITS.name_characters]


def _tensor(path: Path, model: Any, tensor: Any) -> Tensor:
    name = _text(tensor.Name())
    thing = f"{path}: tensor {name}"
    if tensor.ShapeLength() > MOST_AXES:
        raise ModelError(thing, f"has {tensor.ShapeLength():,} axes, expected at most {MOST_AXES}")
    shape = tuple(int(n) for n in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    kind = TYPE_NAMES.get(tensor.Type(), f"type {tensor.Type()}")
    data = None
    if tensor.Buffer() >= model.BuffersLength():
        raise ModelError(thing, f"names buffer {tensor.Buffer()} of {model.BuffersLength()}")
    buffer = model.Buffers(tensor.Buffer())
    if buffer.Offset() > 1:
        raise ModelError(thing, "has its data behind the FlatBuffer, which is not supported")
    if buffer.DataLength() and tensor.Type() in TYPES:
        if tensor.Sparsity() is not None:
            raise ModelError(
                thing, "is stored as a sparse one, which is not supported", "convert it without sparsity"
            )
        dtype, raw = np.dtype(TYPES[tensor.Type()]), buffer.DataAsNumpy()
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(raw):
            raise ModelError(thing, f"holds {len(raw):,} bytes, which {dtype} of shape {shape} does not have")
        data = raw.view(dtype).reshape(shape)
    return Tensor(name, shape, kind, data, _quantization(thing, tensor))


def _quantization(thing: str, tensor: Any) -> Quantization | None:
    found = tensor.Quantization()
    if found is None or not found.ScaleLength():
        return None
    longest = max(tensor.ShapeAsNumpy(), default=1) if tensor.ShapeLength() else 1
    if found.ScaleLength() > max(1, longest) or found.ZeroPointLength() > max(1, longest):
        raise ModelError(thing, f"has {found.ScaleLength():,} scales and {found.ZeroPointLength():,} zero points")
    scale = found.ScaleAsNumpy().astype(np.float64)
    zero_point = found.ZeroPointAsNumpy().astype(np.float64) if found.ZeroPointLength() else np.zeros(1)
    if not np.isfinite(scale).all():
        raise ModelError(thing, "has a scale that is NaN or infinite")
    if len(zero_point) not in (1, len(scale)):
        raise ModelError(thing, f"has {len(scale)} scales and {len(zero_point)} zero points")
    return Quantization(scale, zero_point, int(found.QuantizedDimension()))
