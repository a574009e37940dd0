"""Writes small TFLite files, by the builders that the FlatBuffer compiler makes of TFLite's schema."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import tflite

ELEMENTS = {
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
    np.dtype(np.float16): tflite.TensorType.FLOAT16,
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.uint8): tflite.TensorType.UINT8,
    np.dtype(np.int32): tflite.TensorType.INT32,
    np.dtype(np.int64): tflite.TensorType.INT64,
    np.dtype(np.bool_): tflite.TensorType.BOOL,
}
LEAST_VERSIONS = {"BROADCAST_TO": 2}
"""Of operators whose first version the interpreter does not know."""


@dataclass(frozen=True, eq=False)
class T:
    """A tensor: its shape and element type, or its values; how its integers stand for real values."""

    name: str
    shape: Sequence[int] = ()
    dtype: Any = np.float32
    data: np.ndarray | None = None
    scale: Sequence[float] = ()
    zero_point: Sequence[int] = ()
    axis: int = 0


@dataclass(frozen=True, eq=False)
class Op:
    """An operator: its kind, the names of its tensors ("" for an omitted one), its options by name."""

    kind: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    form: str = ""
    options: Mapping[str, Any] | None = None


def constant(
    name: str, data: Any, scale: Sequence[float] = (), zero_point: Sequence[int] = (), axis: int = 0
) -> T:
    array = np.asarray(data)
    return T(name, array.shape, array.dtype, array, scale, zero_point, axis)


def build(tensors: Sequence[T], operators: Sequence[Op], inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The bytes of a TFLite file."""
    b = flatbuffers.Builder(1024)
    places = {t.name: i for i, t in enumerate(tensors)} | {"": -1}
    buffers, made = [_table(b, "Buffer")], []
    for t in tensors:
        if t.data is None:
            buffer = 0
        else:
            raw = b.CreateNumpyVector(np.frombuffer(t.data.tobytes(), np.uint8))
            buffer = len(buffers)
            buffers.append(_table(b, "Buffer", Data=raw))
        quantization = None
        if len(t.scale):
            scale = b.CreateNumpyVector(np.array(t.scale, np.float32))
            zero_point = b.CreateNumpyVector(np.array(t.zero_point or [0] * len(t.scale), np.int64))
            quantization = _table(
                b, "QuantizationParameters", Scale=scale, ZeroPoint=zero_point, QuantizedDimension=t.axis
            )
        shape, name = b.CreateNumpyVector(np.array(t.shape, np.int32)), b.CreateString(t.name)
        more = {} if quantization is None else {"Quantization": quantization}
        made.append(
            _table(b, "Tensor", Shape=shape, Type=ELEMENTS[np.dtype(t.dtype)], Buffer=buffer, Name=name, **more)
        )
    kinds = list(dict.fromkeys(o.kind for o in operators))
    codes = [
        _table(
            b,
            "OperatorCode",
            DeprecatedBuiltinCode=min(code, 127),
            BuiltinCode=code,
            Version=LEAST_VERSIONS.get(kind, 1),
        )
        for kind, code in ((k, getattr(tflite.BuiltinOperator, k)) for k in kinds)
    ]
    nodes = []
    for o in operators:
        lists = [
            b.CreateNumpyVector(np.array([places[n] for n in names], np.int32)) for names in (o.inputs, o.outputs)
        ]
        fields: dict[str, Any] = {"OpcodeIndex": kinds.index(o.kind), "Inputs": lists[0], "Outputs": lists[1]}
        if o.form:
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, o.form)
            fields["BuiltinOptions"] = _table(b, o.form, **(o.options or {}))
        nodes.append(_table(b, "Operator", **fields))
    ends = [b.CreateNumpyVector(np.array([places[n] for n in names], np.int32)) for names in (inputs, outputs)]
    name = b.CreateString("small")
    graph = _table(
        b,
        "SubGraph",
        Tensors=_offsets(b, made),
        Inputs=ends[0],
        Outputs=ends[1],
        Operators=_offsets(b, nodes),
        Name=name,
    )
    model = _table(
        b,
        "Model",
        Version=3,
        OperatorCodes=_offsets(b, codes),
        Subgraphs=_offsets(b, [graph]),
        Buffers=_offsets(b, buffers),
    )
    b.Finish(model, b"TFL3")
    return bytes(b.Output())


def _table(b: flatbuffers.Builder, kind: str, **fields: Any) -> int:
    """A table of the schema, of whose fields vectors and strings are there already."""
    functions = vars(importlib.import_module(f"tflite.{kind}"))
    functions[f"{kind}Start"](b)
    for name, value in fields.items():
        functions[f"{kind}Add{name}"](b, value)
    return int(functions[f"{kind}End"](b))


def _offsets(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def small_network(rng: np.random.Generator) -> bytes:
    """A few kilobytes: a convolution, a depthwise one, a sum, a pool, a fully connected layer and a softmax."""

    def weights(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / 3).astype(np.float32)

    tensors = [
        T("x", (1, 9, 7, 3)),
        constant("w1", weights(4, 3, 3, 3)),
        constant("b1", weights(4)),
        T("a", (1, 5, 4, 4)),
        constant("w2", weights(1, 3, 3, 4)),
        constant("b2", weights(4)),
        T("d", (1, 5, 4, 4)),
        T("s", (1, 5, 4, 4)),
        T("p", (1, 2, 2, 4)),
        constant("shape", np.int32([-1, 16])),
        T("f", (1, 16)),
        constant("w3", weights(5, 16)),
        constant("b3", weights(5)),
        T("l", (1, 5)),
        T("y", (1, 5)),
    ]
    same, valid, relu = tflite.Padding.SAME, tflite.Padding.VALID, tflite.ActivationFunctionType.RELU
    two = {"StrideW": 2, "StrideH": 2}
    operators = [
        Op(
            "CONV_2D",
            ["x", "w1", "b1"],
            ["a"],
            "Conv2DOptions",
            {"Padding": same, **two, "FusedActivationFunction": tflite.ActivationFunctionType.RELU6},
        ),
        Op(
            "DEPTHWISE_CONV_2D",
            ["a", "w2", "b2"],
            ["d"],
            "DepthwiseConv2DOptions",
            {"Padding": same, "StrideW": 1, "StrideH": 1, "DepthMultiplier": 1},
        ),
        Op("ADD", ["d", "a"], ["s"], "AddOptions", {"FusedActivationFunction": relu}),
        Op(
            "AVERAGE_POOL_2D",
            ["s"],
            ["p"],
            "Pool2DOptions",
            {"Padding": valid, **two, "FilterWidth": 2, "FilterHeight": 3},
        ),
        Op("RESHAPE", ["p", "shape"], ["f"], "ReshapeOptions"),
        Op("FULLY_CONNECTED", ["f", "w3", "b3"], ["l"], "FullyConnectedOptions"),
        Op("SOFTMAX", ["l"], ["y"], "SoftmaxOptions", {"Beta": 1.0}),
    ]
    return build(tensors, operators, ["x"], ["y"])
