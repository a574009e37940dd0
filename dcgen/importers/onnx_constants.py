"""Constants of an ONNX model: initialisers, Constant nodes, and small computations on them."""

from __future__ import annotations

import math
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from dcgen.errors import ModelError
from dcgen.importers.onnx_scope import Call
from dcgen.limits import Budget
from dcgen.reading import damage

FOLDABLE = (
    *("Add", "Cast", "Concat", "ConstantOfShape", "DequantizeLinear", "Div", "Expand", "Flatten", "Gather"),
    *("Identity", "Mul", "Neg", "Pow", "QuantizeLinear", "Reciprocal", "Reshape", "Shape", "Slice", "Sqrt"),
    *("Squeeze", "Sub", "Transpose", "Unsqueeze"),
)
"""Operators that are evaluated during import where all inputs are constant, by onnx's reference implementation."""

NUMBERS = (
    *(TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16, TensorProto.BOOL),
    *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
)
"""Types that a Cast of constants may give."""


def type_name(code: int) -> str:
    """ONNX's name of an element type."""
    known: dict[str, int] = dict(TensorProto.DataType.items())
    return {v: k for k, v in known.items()}.get(code, f"type {code}") if code else "no tensor"


def tensor_array(tensor: onnx.TensorProto, source: str) -> np.ndarray:
    """The array of a tensor message; ModelError if its dimensions and data disagree. ``source`` names the file."""
    with damage(f"{source}: constant {tensor.name}", ModelError, "has faulty data"):
        if min(tensor.dims, default=0) < 0:
            raise ValueError(f"its shape is {tuple(tensor.dims)}")
        if tensor.data_location == TensorProto.EXTERNAL:
            raise ValueError("its data lies in another file")
        return numpy_helper.to_array(tensor)


def sparse_array(sparse: onnx.SparseTensorProto, source: str, budget: Budget) -> np.ndarray:
    """The dense array of a sparse message, whose indices are flat or one coordinate a row; ModelError as above."""
    thing = f"{source}: sparse constant {sparse.values.name}"
    dims = tuple(sparse.dims)
    values, indices = tensor_array(sparse.values, source), tensor_array(sparse.indices, source)
    with damage(thing, ModelError, "has faulty indices"):
        if min(dims, default=0) < 0:
            raise ValueError(f"its shape is {dims}")
        budget.charge(2 * math.prod(dims) * values.itemsize, f"sparse constant {sparse.values.name}")
        dense = np.zeros(dims, values.dtype)
        if indices.ndim == 2:
            dense[tuple(indices.T)] = values
        else:
            dense.reshape(-1)[indices] = values
    return dense


def constant_node(call: Call) -> np.ndarray:
    """The value of a Constant node in any of its spellings."""
    for name, value in call.attributes.items():
        match name:
            case "value":
                return tensor_array(value, call.where)
            case "sparse_value":
                return sparse_array(value, call.where, call.budget)
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
    return computed(call, node, opset)


def computed(call: Call, node: onnx.NodeProto, opset: int) -> np.ndarray:
    """``fold``, also of Where and of operators whose output has no more elements than their first input."""
    with damage(call.where, ModelError, NOT_COMPUTED):
        call.budget.charge(_size(call), f"node {call.name} ({call.kind})")
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
    with damage(call.where, ModelError, NOT_COMPUTED), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of overflows; where they matter, NaN is refused later
        (result,) = ReferenceEvaluator(model).run([node.output[0]], values)
        return np.asarray(result)


NOT_COMPUTED = "cannot be computed from its constants"


def _size(call: Call) -> int:
    """Bytes of the output of a node whose inputs are all constant, known before it is computed.

    Raises UnsupportedError where the output holds no numbers, ValueError where inputs do not go together.
    """
    arrays = [a for a in call.args if isinstance(a, np.ndarray)]
    width = max((a.itemsize for a in arrays), default=8)
    match call.kind:
        case "Add" | "Div" | "Mul" | "Pow" | "Sub" | "Where":
            elements = math.prod(_broadcast(*(a.shape for a in arrays)))
        case "Expand":
            elements = math.prod(_broadcast(arrays[0].shape, _dims(call)))
        case "ConstantOfShape":
            elements = math.prod(_dims(call))
            width = numpy_helper.to_array(value).itemsize if (value := call.get("value", None)) else 4
        case "Gather":
            data, indices = arrays
            axis = call.get("axis", 0) % max(1, data.ndim)
            elements = indices.size * math.prod(n for i, n in enumerate(data.shape) if i != axis)
        case "Concat":
            elements = sum(a.size for a in arrays)
        case "Cast":
            elements = arrays[0].size
            if (wanted := call.get("to", 0)) not in NUMBERS:
                raise call.unsupported(f"numbers are computed, found a cast to {type_name(wanted)}")
            width = helper.tensor_dtype_to_np_dtype(wanted).itemsize
        case "Shape":
            elements, width = arrays[0].ndim, 8
        case _:
            elements = arrays[0].size
    return elements * width


def _dims(call: Call) -> tuple[int, ...]:
    """The shape that the last input of a node asks for."""
    dims = tuple(call.constant(len(call.args) - 1, "shape").reshape(-1).tolist())
    if min(dims, default=0) < 0:
        raise ValueError(f"its shape is {dims}")
    return dims


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an element-wise result. Raises ValueError where there is none."""
    rank = max(map(len, shapes))
    columns = zip(*((1,) * (rank - len(s)) + s for s in shapes), strict=True)
    sizes = [{n for n in column if n != 1} or {1} for column in columns]
    if any(len(s) > 1 for s in sizes):
        raise ValueError(f"shapes {', '.join(map(str, shapes))} do not go together")
    return tuple(s.pop() for s in sizes)


def _value_info(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
