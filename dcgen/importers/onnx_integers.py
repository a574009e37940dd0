"""ONNX networks whose input is of integers (int8 or uint8) that are converted to real values right behind it.

The conversion (DequantizeLinear, or Cast, or either of them and a factor and a term for all channels) becomes the
scale and the zero point of the input; the graph begins behind it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers.onnx_constants import tensor_array, type_name
from dcgen.importers.onnx_file import FLOATS, data_inputs
from dcgen.importers.onnx_operators import ON_INTEGERS
from dcgen.inputs.tensor import Given, TensorInput
from dcgen.ir.graph import Affine, Graph

INTEGERS: dict[int, Given] = {TensorProto.INT8: "int8", TensorProto.UINT8: "uint8"}
PASSES_INTEGERS = ON_INTEGERS & {"Concat", "Flatten", "Identity", "MaxPool", "Reshape", "Squeeze", "Transpose"}
READS_INTEGERS = ON_INTEGERS - PASSES_INTEGERS
Quantized = tuple[Given, float, float]
"""Type, scale and zero point of an input of integers."""
LEAST_SCALE = 2.0**-60
"""Least scale of such an input, 1 / the largest, and 1 / the largest zero point: float32 holds their products."""


def take_integer_input(model: onnx.ModelProto, source: str) -> tuple[onnx.ModelProto, Quantized | None]:
    """The model with an input of real values in place of one of integers, and what the integers stood for.

    A model whose inputs are of other types is returned as it is, with None. Raises UnsupportedError where the
    integers are used otherwise than by one DequantizeLinear or Cast, or their scale is not one constant.
    """
    found = [i for i in data_inputs(model.graph) if i.type.tensor_type.elem_type in INTEGERS]
    if not found:
        return model, None
    thing = f"{source}: input {found[0].name}"
    if len(found) > 1:
        raise UnsupportedError(source, f"has {len(found)} inputs of integers", "one input is supported")
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    value = next(i for i in graph.input if i.name == found[0].name)
    given = INTEGERS[value.type.tensor_type.elem_type]
    users = [n for n in graph.node if value.name in n.input]
    if len(users) != 1 or users[0].op_type not in ("DequantizeLinear", "Cast") or users[0].input[0] != value.name:
        if (names := _scale_behind(graph, value.name)) is not None:
            return copy, (given, *_quantizes_input(copy, value, names, source, thing))
        kinds = ", ".join(n.op_type for n in users) or "no node"
        raise UnsupportedError(thing, f"is {given}: supported before one DequantizeLinear or Cast, found {kinds}")
    node = users[0]
    if len(node.output) != 1:
        raise ModelError(thing, f"{node.op_type} has one output, found {len(node.output)}")
    scale, zero_point = _scale(copy, node, source, thing) if node.op_type == "DequantizeLinear" else (1.0, 0.0)
    to = next((a.i for a in node.attribute if a.name == "to"), 0)
    if node.op_type == "Cast" and to not in FLOATS:
        raise UnsupportedError(thing, f"is cast to {type_name(to)}, expected to floats")
    value.type.tensor_type.elem_type = TensorProto.FLOAT
    graph.node.remove(node)
    _reads(graph, node.output[0], value.name)
    return copy, (given, scale, zero_point)


def _quantizes_input(
    model: onnx.ModelProto, value: onnx.ValueInfoProto, names: tuple[str, ...], source: str, thing: str
) -> tuple[float, float]:
    """Change the input of integers to one of floats with a QuantizeLinear behind it; its scale and zero point.

    names : of the constants that are scale and zero point
    """
    graph, quantized = model.graph, f"{value.name}.quantized"
    node = helper.make_node("QuantizeLinear", [value.name, *names], [quantized], name=quantized)
    found = _scale(model, node, source, thing)
    _reads(graph, value.name, quantized)
    value.type.tensor_type.elem_type = TensorProto.FLOAT
    nodes = [node, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return found


def _reads(graph: onnx.GraphProto, before: str, now: str) -> None:
    """Let every node that reads the tensor ``before`` read the tensor ``now``."""
    for user in graph.node:
        for i, name in enumerate(user.input):
            if name == before:
                user.input[i] = now


def _scale_behind(graph: onnx.GraphProto, name: str) -> tuple[str, ...] | None:
    """Names of the scale and zero point with which operators on integers read the tensor ``name``, or what others
    pass on of it; None where they differ."""
    found: set[tuple[str, ...]] = set()
    passed = {name}
    for node in graph.node:
        for i, read in enumerate(node.input):
            if read in passed and node.op_type in PASSES_INTEGERS:
                passed.update(node.output)
            elif read in passed and node.op_type in READS_INTEGERS and i + 1 < len(node.input):
                found.add(tuple(node.input[i + 1 : i + 3]))
            elif read in passed:
                return None
    return found.pop() if len(found) == 1 else None


def with_scale_of_input(graph: Graph, quantized: Quantized) -> tuple[Graph, TensorInput]:
    """The graph without factors and terms of its whole input, which become part of its scale and zero point."""
    given, scale, zero_point = quantized
    while True:
        first = graph.inputs[0]
        users = graph.consumers[first.name]
        if len(users) != 1 or not isinstance(op := users[0].op, Affine) or users[0].name in graph.outputs:
            break
        factor, term = float(op.scale[0]), float(op.shift[0])
        step = scale * factor
        if np.ptp(op.scale) or np.ptp(op.shift) or not LEAST_SCALE <= step <= 1 / LEAST_SCALE:
            break  # it differs by channel, or is out of range
        if abs(zero_point - term / step) > 1 / LEAST_SCALE:
            break
        scale, zero_point = step, zero_point - term / step
        gone = users[0].name
        rest = (n for n in graph.nodes if n.name != gone)
        renamed = (replace(n, inputs=tuple(first.name if i == gone else i for i in n.inputs)) for n in rest)
        graph = graph.with_nodes(renamed)
    nearest = float(round(zero_point))
    zero_point = nearest if abs(zero_point - nearest) < 1e-4 else zero_point
    return graph, TensorInput(given, scale, zero_point, graph.inputs[0].shape)


def _scale(model: onnx.ModelProto, node: onnx.NodeProto, source: str, thing: str) -> tuple[float, float]:
    """Scale and zero point of a DequantizeLinear."""
    values: list[float] = []
    for name in node.input[1:3]:
        array = _constant(model.graph, name, source)
        if array is None or array.size == 0 or array.dtype.kind not in "fiu" or (array != array.flat[0]).any():
            raise UnsupportedError(thing, "its scale and zero point must be one constant each", "for all channels")
        values.append(float(array.flat[0]))
    scale, zero_point = (*values, 0.0, 0.0)[:2]
    if not 0 < scale < np.inf:
        raise UnsupportedError(thing, f"its scale must be positive, found {scale}")
    if not (LEAST_SCALE <= scale <= 1 / LEAST_SCALE and abs(zero_point) <= 1 / LEAST_SCALE):
        raise UnsupportedError(thing, f"a scale {scale:g} and zero point {zero_point:g} are not supported")
    return scale, zero_point


def _constant(graph: onnx.GraphProto, name: str, source: str) -> np.ndarray | None:
    """The initialiser or the Constant node's value of that name; None where there is neither."""
    for tensor in graph.initializer:
        if tensor.name == name:
            return tensor_array(tensor, source)
    for node in graph.node:
        if node.op_type == "Constant" and name in node.output:
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            return None if value is None else tensor_array(value, source)
    return None
