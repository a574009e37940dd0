"""Constants of an ONNX model: initialisers, Constant nodes, and small computations on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from dcgen.errors import ModelError
from dcgen.importers.onnx_scope import Call

MAX_ELEMENTS = 1 << 28
"""Most elements of a constant; one that claims more is taken for damage."""

FOLDABLE = (
    *("Add", "Cast", "Concat", "ConstantOfShape", "Div", "Expand", "Flatten", "Gather", "Identity", "Mul"),
    *("Neg", "Reciprocal", "Reshape", "Shape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
)
"""Operators that are evaluated during import where all inputs are constant, by onnx's reference implementation."""


def tensor_array(tensor: onnx.TensorProto, source: str) -> np.ndarray:
    """The array of a tensor message; ModelError if its dimensions and data disagree. ``source`` names the file."""
    _check_size(tensor.dims, f"{source}: constant {tensor.name}")
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, MemoryError) as e:
        raise ModelError(f"{source}: constant {tensor.name}", f"has faulty data: {e}") from None


def sparse_array(sparse: onnx.SparseTensorProto, source: str) -> np.ndarray:
    """The dense array of a sparse message, whose indices are flat or one coordinate a row; ModelError as above."""
    thing = f"{source}: sparse constant {sparse.values.name}"
    dims = tuple(sparse.dims)
    _check_size(dims, thing)
    values, indices = tensor_array(sparse.values, source), tensor_array(sparse.indices, source)
    dense = np.zeros(dims, values.dtype)
    try:
        if indices.ndim == 2:
            dense[tuple(indices.T)] = values
        else:
            dense.reshape(-1)[indices] = values
    except (IndexError, ValueError) as e:
        raise ModelError(thing, f"has faulty indices: {e}") from None
    return dense


def constant_node(call: Call) -> np.ndarray:
    """The value of a Constant node in any of its spellings."""
    for name, value in call.attributes.items():
        match name:
            case "value":
                return tensor_array(value, call.where)
            case "sparse_value":
                return sparse_array(value, call.where)
            case "value_float" | "value_floats":
                return np.array(value, np.float32)
            case "value_int" | "value_ints":
                return np.array(value, np.int64)
    raise call.unsupported("is a number or a tensor of numbers where supported")


def fold(call: Call, node: onnx.NodeProto, opset: int) -> np.ndarray:
    """The output of a node whose inputs are all constant.

    node : the node itself, of operator set ``opset``; ``call`` has its arguments

    Raises UnsupportedError for an operator that is not ``FOLDABLE``, ModelError where it cannot be computed.
    """
    if call.kind == "Constant":
        return constant_node(call)
    if call.kind not in FOLDABLE:
        raise call.unsupported(
            "all its inputs are constant; of constants only these are computed: " + " ".join(FOLDABLE)
        )
    if call.kind in ("ConstantOfShape", "Expand", "Reshape"):
        _check_size(call.constant(len(call.args) - 1, "shape").reshape(-1).tolist(), call.where)
    # Inputs are matched to names of our own: a node may read one tensor twice.
    names = ["" if a is None else f"in{i}" for i, a in enumerate(call.args)]
    values = {n: a for n, a in zip(names, call.args, strict=True) if isinstance(a, np.ndarray)}
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.ClearField("input")
    copy.input.extend(names)
    inputs = [_value_info(n, a) for n, a in values.items()]
    body = helper.make_graph([copy], "fold", inputs, [onnx.ValueInfoProto(name=node.output[0])])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)])
    try:
        (result,) = ReferenceEvaluator(model).run([node.output[0]], values)
    except (ValueError, TypeError, IndexError, KeyError, RuntimeError, MemoryError, ZeroDivisionError) as e:
        raise ModelError(call.where, f"cannot be computed from its constants: {e}") from None
    return np.asarray(result)


def _value_info(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def _check_size(dims: Any, thing: str) -> None:
    if math.prod(max(1, int(d)) for d in dims) > MAX_ELEMENTS:
        raise ModelError(thing, f"claims shape {tuple(dims)}, expected at most {MAX_ELEMENTS} elements")
