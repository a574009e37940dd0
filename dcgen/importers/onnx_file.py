"""Reads an ONNX file and brings it into the one form that the importer understands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, inliner, numpy_helper, shape_inference, version_converter
from onnx.external_data_helper import load_external_data_for_model

from dcgen.errors import ConfigError, ModelError, UnsupportedError
from dcgen.importers.onnx_constants import sparse_array, tensor_array

OLDEST_OPSET = 9
NEWEST_OPSET = onnx.defs.onnx_opset_version()
SPOKEN_OPSET = 18
"""The operator set that the importer is written for. Models of older sets are converted to it; newer sets spell
dcgen's operators alike."""

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def read(path: Path) -> onnx.ModelProto:
    """The model in the file with its external data; ModelError if there is none."""
    if not path.is_file():
        raise ModelError(path, "no such file")
    try:
        model = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except (DecodeError, ValueError) as e:
        raise ModelError(path, f"is not an ONNX model: {first_line(e)}") from None
    except OSError as e:
        raise ModelError(path, f"cannot be read: {e.strerror or e}") from None
    if not model.HasField("graph") or not model.opset_import:
        raise ModelError(path, "is not an ONNX model: it holds no graph or no operator set")
    try:
        load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as e:
        raise ModelError(path, f"external data cannot be read: {first_line(e)}") from None
    return model


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operator set that the model uses."""
    return next((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)


def normalize(
    model: onnx.ModelProto, source: str, input_size: int | None = None, default_size: int | None = None
) -> onnx.ModelProto:
    """The model checked, its functions inlined, every size fixed, at ``SPOKEN_OPSET`` or newer.

    source : names the model in errors
    input_size : what symbolic heights and widths become. ConfigError where a fixed one differs.
    default_size : the same where ``input_size`` is None; a fixed size may differ

    A symbolic batch becomes one picture. Raises UnsupportedError for operator sets, types and ranks that dcgen
    does not read, ModelError where onnx finds the model invalid.
    """
    opset = opset_of(model)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise UnsupportedError(
            source, f"uses opset {opset}, supported are {OLDEST_OPSET} to {NEWEST_OPSET} (the installed onnx)"
        )
    try:
        onnx.checker.check_model(model)
        model = inliner.inline_local_functions(model) if model.functions else _copy(model)
        _spread_sparse(model.graph, source)
        if opset < SPOKEN_OPSET:
            model = version_converter.convert_version(model, SPOKEN_OPSET)
    except (onnx.checker.ValidationError, shape_inference.InferenceError, RuntimeError, ValueError) as e:
        raise ModelError(source, f"is not a valid ONNX model: {first_line(e)}") from None
    _fix_sizes(model.graph, source, input_size, default_size)
    try:
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError, ValueError) as e:
        raise ModelError(source, f"its shapes or types contradict each other: {first_line(e)}") from None
    return model


def constants(graph: onnx.GraphProto, source: str) -> Iterator[tuple[str, np.ndarray]]:
    """Name and value of every initialiser. ModelError for a float that is not finite."""
    for tensor in graph.initializer:
        name, array = tensor.name, tensor_array(tensor, source)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(source, f"constant {name} holds a NaN or infinite value")
        yield name, array


def data_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that no initialiser gives a value."""
    fixed = {t.name for t in graph.initializer}
    return [i for i in graph.input if i.name not in fixed]


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _spread_sparse(graph: onnx.GraphProto, source: str) -> None:
    """Turn sparse initialisers into dense ones, which shape inference and conversion understand."""
    for sparse in graph.sparse_initializer:
        graph.initializer.append(numpy_helper.from_array(sparse_array(sparse, source), sparse.values.name))
    del graph.sparse_initializer[:]


def _fix_sizes(graph: onnx.GraphProto, source: str, input_size: int | None, default_size: int | None) -> None:
    """Give every axis of every input a number, and let the inner shapes be inferred anew."""
    for value in data_inputs(graph):
        thing = f"{source}: input {value.name}"
        tensor = value.type.tensor_type
        if tensor.elem_type not in FLOATS:
            raise UnsupportedError(thing, f"float tensors are supported, found {type_name(tensor.elem_type)}")
        if not tensor.HasField("shape"):
            raise UnsupportedError(thing, "its rank must be stated")
        dims = tensor.shape.dim
        if not 1 <= len(dims) <= 4:
            raise UnsupportedError(thing, f"rank 1 to 4 is supported, found {len(dims)}")
        for axis, dim in enumerate(dims):
            if dim.HasField("dim_value"):
                if dim.dim_value < 1:
                    raise UnsupportedError(thing, f"axis {axis} has size {dim.dim_value}, expected at least 1")
                if axis >= 2 and len(dims) == 4 and input_size not in (None, dim.dim_value):
                    raise ConfigError(thing, f"is fixed to size {dim.dim_value}, found input size {input_size}")
            elif axis == 0:
                dim.dim_value = 1
            elif axis >= 2 and (size := input_size or default_size):
                dim.dim_value = size
            else:
                raise ConfigError(
                    thing, f"axis {axis} has no fixed size", "state the input size" if axis >= 2 else ""
                )
    del graph.value_info[:]
    for output in graph.output:
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")


def type_name(code: int) -> str:
    """ONNX's name of an element type."""
    known: dict[str, int] = dict(TensorProto.DataType.items())
    return {v: k for k, v in known.items()}.get(code, f"type {code}") if code else "no tensor"


def first_line(error: Exception) -> str:
    """The first line that an exception of another package says, its type if it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
