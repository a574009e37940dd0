"""``ir.Graph`` as an ONNX model: what onnxruntime runs, and the float model that an output holds.

One ONNX node per IR node, named like it, so that importing the file gives the graph back; a function of several
steps becomes one ONNX node a step. Tensors are [N, C, H, W] with a symbolic batch ``N``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dcgen import __version__
from dcgen.errors import GraphError
from dcgen.ir.functions import COMPARISONS
from dcgen.ir.graph import (
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Conv,
    Crop,
    Flatten,
    Function,
    GlobalAvgPool,
    Graph,
    MaxPool,
    Node,
    Pad,
    Pairwise,
    Select,
    Shape,
    Step,
    Upsample,
    Where,
)

OPSET = 22  # the first to define what a pool does with a window that starts in the end padding
IR_VERSION = 10  # the oldest file version that may hold that opset


def to_onnx(graph: Graph, outputs: Sequence[str] | None = None) -> onnx.ModelProto:
    """The graph as a checked ONNX model.

    outputs : names of the tensors that become the model's outputs, default ``graph.outputs``. GraphError names
        one that the graph does not have.
    """
    wanted = tuple(graph.outputs if outputs is None else outputs)
    unknown = [name for name in wanted if name not in graph.shapes]
    if unknown:
        raise GraphError(graph.name, f"has no tensor {unknown[0]!r} to export")
    inputs = [_tensor(i.name, i.shape) for i in graph.inputs]
    nodes, constants, taken = [], [], set(graph.shapes)
    for node in graph.nodes:
        match node.op:
            case Function(steps):
                protos, arrays = _export_steps(node, steps, taken)
            case Where():
                protos, arrays = _export_steps(node, (Step("Where", (0, 1, 2)),), taken)
            case _:
                protos, arrays = _export(node, graph.shapes[node.inputs[0]])
        nodes += protos
        for name, array in arrays.items():
            constants.append(numpy_helper.from_array(array, name))
    body = helper.make_graph(nodes, graph.name, inputs, [_tensor(n, graph.shapes[n]) for n in wanted], constants)
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="dcgen",
        producer_version=__version__,
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def _tensor(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])


def _export_steps(
    node: Node, steps: Sequence[Step], taken: set[str]
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """A function as one ONNX node a step, the last of them named like the IR node, and their constants by name.

    taken : names that other tensors have; those of further tensors are added
    """

    def unused(name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    values = list(node.inputs)
    protos, constants = [], {}
    for number, step in enumerate(steps, 1):
        name = node.name if number == len(steps) else unused(f"{node.name}.step{number}")
        values.append(name)
        operands: list[str] = []
        for position, operand in enumerate(step.operands):
            if isinstance(operand, int):
                operands.append(values[operand])
            else:
                operands.append(unused(f"{name}.constant{position}"))
                constants[operands[-1]] = np.array(operand.value, np.float32)
        if step.kind == "Where":
            condition = unused(f"{name}.condition")
            protos.append(_cast(operands[0], condition, TensorProto.BOOL))
            operands[0] = condition
        made = unused(f"{name}.truth") if step.kind in COMPARISONS else name
        attributes: dict[str, Any] = dict(step.attributes)
        protos.append(helper.make_node(step.kind, operands, [made], name=made, **attributes))
        if made != name:
            protos.append(_cast(made, name, TensorProto.FLOAT))
    return protos, constants


def _cast(source: str, name: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [name], name=name, to=kind)


def _export(node: Node, source: Shape) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Any other IR node as an ONNX node and the constants it reads, by name.

    source : shape of its first input
    """
    kind, attributes, constants = _spell(node, source)
    names = {f"{node.name}.{key}": array for key, array in constants.items() if array is not None}
    # An absent optional input is spelled as an empty name, and not at all at the end.
    operands = [*node.inputs, *(f"{node.name}.{k}" if a is not None else "" for k, a in constants.items())]
    while operands[-1] == "":
        operands.pop()
    return [helper.make_node(kind, operands, [node.name], name=node.name, **attributes)], names


def _spell(node: Node, source: Shape) -> tuple[str, dict[str, Any], dict[str, np.ndarray | None]]:
    """ONNX operator type, attributes, and the constant operands by name, in ONNX's order, None where omitted."""
    match node.op:
        case Conv() as op:
            spelled = dict(kernel_shape=op.kernel, strides=op.stride, pads=op.pads, group=op.groups)
            spelled |= dict(dilations=op.dilation) if op.dilation != (1, 1) else {}
            return "Conv", spelled, {"weight": op.weight.values, "bias": op.bias}
        case Affine(scale, shift):
            zero, one = np.zeros_like(scale), np.ones_like(scale)
            parameters = {"scale": scale, "shift": shift, "mean": zero, "var": one}
            return "BatchNormalization", dict(epsilon=0.0), dict(parameters)
        case Clip(0.0, math.inf):
            return "Relu", {}, {}
        case Clip(lo, hi):
            return "Clip", {}, {"min": _bound(lo), "max": _bound(hi)}
        case MaxPool() as op:
            return "MaxPool", dict(_window(op)), {}
        case AvgPool() as op:
            return "AveragePool", dict(_window(op), count_include_pad=int(op.count_include_pad)), {}
        case GlobalAvgPool():
            return "GlobalAveragePool", {}, {}
        case Concat():
            return "Concat", dict(axis=1), {}
        case Add():
            return "Add", {}, {}
        case Pairwise(kind):
            return kind, {}, {}
        case Pad((top, left, bottom, right), value, edge):
            pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
            if edge:
                return "Pad", dict(mode="edge"), {"pads": pads}
            return "Pad", dict(mode="constant"), {"pads": pads, "value": np.array(value, np.float32)}
        case Select(channels):
            return "Gather", dict(axis=1), {"channels": np.array(channels, np.int64)}
        case Crop() as op:
            firsts, counts, steps = (
                np.array(values, np.int64) for values in zip(op.rows, op.columns, strict=True)
            )
            ends = firsts + (counts - 1) * steps + 1
            return (
                "Slice",
                {},
                {"starts": firsts, "ends": ends, "axes": np.array([2, 3], np.int64), "steps": steps},
            )
        case Flatten():
            return "Reshape", {}, {"shape": np.array([0, -1, 1, 1], np.int64)}
        case Upsample(factor, channels, cut) as op:
            attributes = dict(kernel_shape=factor, strides=factor, pads=(0, 0, *cut), group=channels)
            return "ConvTranspose", attributes, {"weight": _blocks(op, source[0])}
        case Function() | Where():
            raise TypeError("a function has a spelling for each of its steps")


def _blocks(op: Upsample, inputs: int) -> np.ndarray:
    """The weight float32 [I, 1, KH, KW] of the transposed convolution that ``op`` is on ``inputs`` channels."""
    pixels = op.factor[0] * op.factor[1]
    if inputs == op.channels:
        return np.ones((inputs, 1, *op.factor), np.float32)
    return np.tile(np.eye(pixels, dtype=np.float32), (op.channels, 1)).reshape(-1, 1, *op.factor)


def _bound(value: float) -> np.ndarray | None:
    """A bound of a Clip, None if it is infinite."""
    return np.array(value, np.float32) if math.isfinite(value) else None


def _window(op: MaxPool | AvgPool) -> Iterator[tuple[str, Any]]:
    yield from dict(kernel_shape=op.kernel, strides=op.stride, pads=op.pads, ceil_mode=int(op.ceil)).items()
