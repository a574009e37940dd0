"""TFLite models to ``ir.Graph``, by way of ONNX.

Every operator of the ONNX importer is tested against the ONNX project's node tests. Here a TFLite file is written
in these operators, so that layouts, integers, heads and limits are treated once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers.model import ImportedModel
from dcgen.importers.onnx_file import SPOKEN_OPSET
from dcgen.importers.onnx_import import import_onnx
from dcgen.importers.onnx_order import CHANNEL_LAST, TO_CHANNEL_FIRST
from dcgen.importers.tflite_file import Network, Operator, read
from dcgen.importers.tflite_operators import CUTS, OPERATORS
from dcgen.importers.tflite_writer import INTEGERS, REAL, Step, Writer
from dcgen.limits import LIMITS, Budget
from dcgen.reading import damage

IR_VERSION = 8
ELEMENTS = {"INT8": TensorProto.INT8, "UINT8": TensorProto.UINT8}


def load_tflite(path: str | Path, input_size: int | None = None, default_size: int | None = None) -> ImportedModel:
    """The network in a TFLite file; sizes as in ``onnx_file.normalize``, of which TFLite leaves none open."""
    path = Path(path)
    network, size = read(path)
    budget = Budget(path, size, ModelError)
    with damage(path, ModelError, "is not a readable TFLite model"), np.errstate(all="ignore"):
        model = to_onnx(network, str(path), budget)
    return import_onnx(model, str(path), input_size, default_size)


def to_onnx(network: Network, source: str, budget: Budget) -> onnx.ModelProto:
    """The network in ONNX operators; ``source`` names the file in errors.

    Raises UnsupportedError for the first operator that dcgen does not import, ModelError for one that contradicts
    itself. Operators that no output depends on are left out.
    """
    operators = _live(network, source)
    writer = Writer(source, network, budget)
    inputs = [_input(writer, index) for index in network.inputs]
    for operator in operators:
        budget.charge(0, f"operator {operator.kind}")
        step = Step(writer, operator)
        step.finish(OPERATORS[operator.kind](step), cuts=operator.kind in CUTS)
    outputs = []
    for index in dict.fromkeys(network.outputs):
        if index not in writer.made:
            raise ModelError(source, f"output {network.tensors[index].name} is made by no operator")
        value = helper.make_tensor_value_info(writer.made[index], TensorProto.FLOAT, [])
        outputs.append(value)
    name = network.name or Path(source).stem
    graph = helper.make_graph(writer.nodes, name, inputs, outputs, writer.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", SPOKEN_OPSET)], ir_version=IR_VERSION)


def _live(network: Network, source: str) -> list[Operator]:
    """The operators that some output depends on, in order, all of them known."""
    if len(network.operators) > LIMITS.nodes:
        raise ModelError(source, f"has {len(network.operators):,} operators, expected at most {LIMITS.nodes:,}")
    needed, found = set(network.outputs), []
    for operator in reversed(network.operators):
        if needed.intersection(operator.outputs):
            found.append(operator)
            needed.update(operator.inputs)
    for operator in reversed(found):
        if operator.kind not in OPERATORS:
            name = network.tensors[operator.outputs[0]].name.split(";")[0]
            raise UnsupportedError(
                f"{source}: operator {name} ({operator.kind})",
                "the operator is not supported",
                f"supported: {' '.join(OPERATORS)}",
            )
    return found[::-1]


def _input(writer: Writer, index: int) -> onnx.ValueInfoProto:
    """An input of the network. One of integers is followed by what they stand for.

    Behind one of four axes, two Transposes that undo each other say that its channels are last.
    """
    tensor = writer.network.tensors[index]
    thing = f"{writer.source}: input {tensor.name}"
    name = tensor.name or f"input{index}"
    dims = [max(1, n) if axis == 0 else n for axis, n in enumerate(tensor.shape)]
    if tensor.data is not None or index in writer.made or min(dims, default=1) < 1:
        raise ModelError(thing, f"is an input of shape {tensor.shape}, expected one whose sizes are known")
    if tensor.kind in REAL:
        writer.made[index] = _with_channels_last(writer, name, len(dims))
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    q = tensor.quantization
    if tensor.kind not in ELEMENTS or q is None or len(q.scale) != 1:
        problem = f"FLOAT32, and INT8 or UINT8 with one scale are supported, found {tensor.kind}"
        raise UnsupportedError(thing, problem)
    element = INTEGERS[tensor.kind]
    parameters = [
        writer.constant(np.array(q.scale[0], np.float32)),
        writer.constant(np.array(q.zero_point[0], element)),
    ]
    real = writer.add("DequantizeLinear", [name, *parameters], f"{name}.real")
    writer.made[index] = _with_channels_last(writer, real, len(dims))
    return helper.make_tensor_value_info(name, ELEMENTS[tensor.kind], dims)


def _with_channels_last(writer: Writer, name: str, rank: int) -> str:
    if rank != 4:
        return name
    first = writer.add("Transpose", [name], "input.first", perm=TO_CHANNEL_FIRST)
    return writer.add("Transpose", [first], "input.last", perm=CHANNEL_LAST)
