"""Reads an ONNX file and brings it into the one form that the importer understands."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import (
    TensorProto,
    external_data_helper,
    inliner,
    numpy_helper,
    shape_inference,
    version_converter,
)

from dcgen.errors import ConfigError, DcgenError, ModelError, UnsupportedError
from dcgen.importers.onnx_constants import sparse_array, tensor_array, type_name
from dcgen.importers.onnx_wire import count_fields
from dcgen.limits import LIMITS, Budget
from dcgen.reading import damage, read_bytes

OLDEST_OPSET = 7
NEWEST_OPSET = onnx.defs.onnx_opset_version()
SPOKEN_OPSET = 18
"""The operator set that the importer is written for. Models of older sets are converted to it; newer sets spell
dcgen's operators alike."""

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def read(path: Path) -> tuple[onnx.ModelProto, int]:
    """The model in the file, without its external data, and the file's size in bytes. Raises ModelError."""
    data = read_bytes(path, ModelError)
    with damage(path, ModelError, "is not an ONNX model"):
        if count_fields(data, onnx.ModelProto.DESCRIPTOR, LIMITS.fields) > LIMITS.fields:
            raise ModelError(path, f"has more than {LIMITS.fields:,} fields, which is the most that is read")
        try:
            model = onnx.ModelProto.FromString(data)
        except DecodeError as e:
            raise ValueError(first_line(e)) from None
    if not model.HasField("graph") or not model.opset_import:
        raise ModelError(path, "is not an ONNX model: it holds no graph or no operator set")
    return model, len(data)


def load_external_data(model: onnx.ModelProto, path: Path) -> int:
    """Read the external data of every tensor into the model of the file ``path``; the number of its bytes.

    Raises ModelError where a file is missing, is no regular one or too large, or lies outside the model's folder.
    """
    size = 0
    for tensor in external_data_helper._get_all_tensors(model):
        if not external_data_helper.uses_external_data(tensor):
            continue
        with damage(path, ModelError, "external data cannot be read"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the package onnx, about keys that it does not know
            about = external_data_helper.ExternalDataInfo(tensor)
            file = path.parent / about.location
            if not file.is_file():
                raise ModelError(path, f"external data cannot be read: {about.location} is no file beside it")
            size += min(about.length or file.stat().st_size, file.stat().st_size)
            if size > LIMITS.file_bytes:
                raise ModelError(path, f"external data has more than {LIMITS.file_bytes:,} bytes")
            try:
                external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
            except onnx.checker.ValidationError as e:
                raise ValueError(first_line(e)) from None
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    return size


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operator set that the model uses."""
    return next((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)


def normalize(
    model: onnx.ModelProto,
    source: str,
    budget: Budget,
    input_size: int | None = None,
    default_size: int | None = None,
) -> onnx.ModelProto:
    """The model checked, its functions inlined, every size fixed, at ``SPOKEN_OPSET`` or newer.

    model : is changed
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
    with _faults(source, "is not a valid ONNX model"):
        _spread_sparse(model.graph, source, budget)
        model = _with_output_shapes(model, source)
        onnx.checker.check_model(model)
        model = inliner.inline_local_functions(model) if model.functions else model
    if opset < SPOKEN_OPSET:
        problem = f"cannot be converted from opset {opset} to {SPOKEN_OPSET}"
        with _faults(source, problem, f"export it with opset {SPOKEN_OPSET}"):
            model = version_converter.convert_version(model, SPOKEN_OPSET)
    if not model.graph.output:
        raise ModelError(source, "has no output")
    _fix_sizes(model.graph, source, input_size, default_size)
    with _faults(source, "its shapes or types contradict each other"):
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    return model


@contextmanager
def _faults(source: str, problem: str, hint: str = "") -> Iterator[None]:
    """Turns what the package onnx raises for a faulty model into ModelError."""
    try:
        yield
    except DcgenError:
        raise
    except Exception as e:  # onnx documents none of the exceptions of its C++ code, and has classes of its own
        raise ModelError(source, f"{problem}: {first_line(e)}", hint) from None


def _with_output_shapes(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """The model, with the shapes of outputs inferred where the file states none. ModelError where none follows."""

    def lacking() -> list[str]:
        tensors = [o for o in model.graph.output if o.type.WhichOneof("value") in (None, "tensor_type")]
        types = {o.name: o.type.tensor_type for o in tensors}
        return [name for name, t in types.items() if not t.elem_type or not t.HasField("shape")]

    if lacking():
        model = shape_inference.infer_shapes(model)
    if names := lacking():
        raise ModelError(source, f"output {names[0]} has no type and shape, and none can be inferred")
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


def _spread_sparse(graph: onnx.GraphProto, source: str, budget: Budget) -> None:
    """Turn sparse constants into dense ones, which shape inference and conversion understand."""
    for sparse in graph.sparse_initializer:
        dense = sparse_array(sparse, source, budget)
        graph.initializer.append(numpy_helper.from_array(dense, sparse.values.name))
    del graph.sparse_initializer[:]
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "sparse_value":
                dense = numpy_helper.from_array(sparse_array(attribute.sparse_tensor, source, budget))
                attribute.CopyFrom(onnx.helper.make_attribute("value", dense))


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


def first_line(error: Exception) -> str:
    """The first line that an exception of another package says, its type if it says nothing."""
    lines = (_PLACE.sub("", line.strip()) for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


_PLACE = re.compile(r"^/\S+:\d+: (\w+: )?|^\[\w+\] ?")
"""A place in onnx's own C++ sources, or a kind of error, at the beginning of its messages."""
