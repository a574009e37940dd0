"""What the TFLite importer makes of each operator agrees with TFLite's own interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite
from ai_edge_litert.interpreter import Interpreter

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers import load
from dcgen.importers.model import ImportedModel
from dcgen.inputs.tensor import TensorInput
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import Clip
from tests.importers.tflite_files import Op, T, build, constant, small_network

RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def numbers_that_do_not_depend_on_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(11))


SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
RELU = {"FusedActivationFunction": tflite.ActivationFunctionType.RELU}
RELU6 = {"FusedActivationFunction": tflite.ActivationFunctionType.RELU6}


def weights(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def interpreted(path: Path, rows: np.ndarray) -> np.ndarray:
    """The real outputs [N, ...] of TFLite's interpreter for real inputs [N, ...]."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for row in rows:
        row = row.reshape(given["shape"])
        if np.issubdtype(given["dtype"], np.integer):
            scale, zero_point = given["quantization"]
            limits = np.iinfo(given["dtype"])
            row = (np.rint(row / scale) + zero_point).clip(limits.min, limits.max)
        interpreter.set_tensor(given["index"], row.astype(given["dtype"]))
        interpreter.invoke()
        result = interpreter.get_tensor(made["index"]).astype(np.float64)
        if np.issubdtype(made["dtype"], np.integer):
            scale, zero_point = made["quantization"]
            result = (result - zero_point) * scale
        found.append(result.ravel())
    return np.array(found)


def imported_outputs(model: ImportedModel, rows: np.ndarray) -> np.ndarray:
    """The outputs of the imported graph, with its head, for the same rows."""
    graph = model.graph
    c, h, w = graph.inputs[0].shape
    planes = rows.reshape(-1, h, w, c).transpose(0, 3, 1, 2)
    found = evaluate(graph, {graph.inputs[0].name: planes})[graph.outputs[0]].reshape(len(rows), -1)
    if model.head == "softmax":
        exponentials = np.exp(found - found.max(1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(1, keepdims=True))
    return 1 / (1 + np.exp(-found)) if model.head == "sigmoid" else found


def same(path: Path, data: bytes, shape: Sequence[int]) -> ImportedModel:
    """The imported model, which gives the interpreter's results."""
    path.write_bytes(data)
    rows = RNG.standard_normal((3, *shape[1:])).astype(np.float32)
    model = load(path)
    np.testing.assert_allclose(imported_outputs(model, rows), interpreted(path, rows), rtol=1e-4, atol=1e-5)
    return model


def kinds(model: ImportedModel) -> list[str]:
    return [type(n.op).__name__ for n in model.graph.nodes]


def network(shape: Sequence[int], output: Sequence[int], *operators: Op, **constants: np.ndarray) -> bytes:
    """A network from x to y whose tensors between are as large as the input."""
    between = {n for o in operators for n in (*o.inputs, *o.outputs)} - {"", "x", "y", *constants}
    tensors = [T("x", shape), T("y", output), *(T(n, shape) for n in sorted(between))]
    return build([*tensors, *(constant(n, a) for n, a in constants.items())], operators, ["x"], ["y"])


def test_a_small_network(tmp_path: Path) -> None:
    model = same(tmp_path / "m.tflite", small_network(RNG), (1, 9, 7, 3))
    assert model.head == "softmax"
    assert [(n.name, type(n.op).__name__) for n in model.graph.nodes] == [
        ("a", "Conv"),
        ("a.clip", "Clip"),
        ("d", "Conv"),
        ("s", "Add"),
        ("s.relu", "Clip"),
        ("p", "AvgPool"),
        ("l.flatten", "Flatten"),
        ("l", "Conv"),
    ]
    assert model.graph.name == "small"
    assert model.graph.inputs[0].shape == (3, 9, 7)


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(("height", "width"), [(9, 8), (10, 7)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_windows(tmp_path: Path, padding: int, height: int, width: int, stride: int) -> None:
    options = {"Padding": padding, "StrideW": stride, "StrideH": 2}
    pool = options | {"FilterWidth": 2, "FilterHeight": 3}
    operators = [
        Op("CONV_2D", ["x", "w", "b"], ["y"], "Conv2DOptions", options | RELU),
        Op(
            "DEPTHWISE_CONV_2D", ["x", "v", "c"], ["y"], "DepthwiseConv2DOptions", options | {"DepthMultiplier": 2}
        ),
        Op("MAX_POOL_2D", ["x"], ["y"], "Pool2DOptions", pool),
        Op("AVERAGE_POOL_2D", ["x"], ["y"], "Pool2DOptions", pool | RELU6),
    ]
    constants = {"w": weights(5, 3, 2, 4), "b": weights(5), "v": weights(1, 3, 3, 8), "c": weights(8)}
    for operator, channels in zip(operators, (5, 8, 4, 4), strict=True):
        # The mean makes a vector of an output whose axes are in another order than the graph's.
        data = with_mean(operator, (1, height, width, 4), channels, constants)
        # The output is made a vector, as its axes are in another order than the graph's.
        sized = (
            data if operator.kind == "nothing" else with_mean(operator, (1, height, width, 4), channels, constants)
        )
        same(tmp_path / "m.tflite", sized, (1, height, width, 4))


def with_mean(operator: Op, shape: Sequence[int], channels: int, constants: dict[str, np.ndarray]) -> bytes:
    """The operator, and the mean of each channel that it makes."""
    first = Op(operator.kind, operator.inputs, ["m"], operator.form, operator.options)
    mean = Op("MEAN", ["m", "axes"], ["y"], "ReducerOptions", {"KeepDims": False})
    return network(shape, (1, channels), first, mean, axes=np.int32([1, 2]), **constants)


@pytest.mark.parametrize("keep", [False, True])
def test_a_mean(tmp_path: Path, keep: bool) -> None:
    operators = [
        Op("CONV_2D", ["x", "w", "b"], ["a"], "Conv2DOptions", {"Padding": SAME, "StrideW": 1, "StrideH": 1}),
        Op("MEAN", ["a", "axes"], ["y"], "ReducerOptions", {"KeepDims": keep}),
    ]
    constants = {"w": weights(3, 1, 1, 2), "b": weights(3), "axes": np.int32([-2, 1])}
    model = same(tmp_path / "m.tflite", network((1, 4, 5, 2), (1, 3), *operators, **constants), (1, 4, 5, 2))
    assert kinds(model) == ["Conv", "GlobalAvgPool"]


def test_arithmetic_with_constants_and_concatenation(tmp_path: Path) -> None:
    operators = [
        Op("SUB", ["x", "mean"], ["a"], "SubOptions"),
        Op("MUL", ["k", "a"], ["b"], "MulOptions", RELU6),
        Op("DIV", ["b", "two"], ["c"], "DivOptions"),
        Op("ADD", ["c", "x"], ["d"], "AddOptions", RELU),
        Op("CONCATENATION", ["d", "b"], ["e"], "ConcatenationOptions", {"Axis": 3}),
        Op("PAD", ["e", "pads"], ["f"]),
        Op(
            "AVERAGE_POOL_2D",
            ["f"],
            ["y"],
            "Pool2DOptions",
            {"Padding": VALID, "FilterWidth": 8, "FilterHeight": 7},
        ),
    ]
    operators[-1] = Op("MEAN", ["f", "axes"], ["y"], "ReducerOptions")
    constants = {"mean": weights(3), "k": np.abs(weights(1, 1, 1, 3)), "two": np.float32([2])}
    constants |= {"pads": np.int32([[0, 0], [1, 2], [0, 3], [0, 0]]), "axes": np.int32([1, 2])}
    data = network((1, 4, 5, 3), (1, 6), *operators, **constants)
    model = same(tmp_path / "m.tflite", data, (1, 4, 5, 3))
    assert kinds(model) == ["Affine", "Affine", "Clip", "Affine", "Add", "Clip", "Concat", "Pad", "GlobalAvgPool"]


def test_flattened_pictures(tmp_path: Path) -> None:
    operators = [
        Op("CONV_2D", ["x", "w", "b"], ["a"], "Conv2DOptions", {"Padding": VALID, "StrideW": 1, "StrideH": 1}),
        Op("RELU", ["a"], ["c"]),
        Op("FULLY_CONNECTED", ["c", "v", ""], ["d"], "FullyConnectedOptions", RELU),
        Op("FULLY_CONNECTED", ["d", "u", "e"], ["g"], "FullyConnectedOptions"),
        Op("LOGISTIC", ["g"], ["y"]),
    ]
    tensors = [T("x", (1, 5, 6, 2)), T("y", (1, 2)), T("a", (1, 3, 4, 4)), T("c", (1, 3, 4, 4)), T("d", (1, 7))]
    constants = {
        "w": weights(4, 3, 3, 2),
        "b": weights(4),
        "v": weights(7, 48),
        "u": weights(2, 7),
        "e": weights(2),
    }
    tensors += [T("g", (1, 2)), *(constant(n, a) for n, a in constants.items())]
    model = same(tmp_path / "m.tflite", build(tensors, operators, ["x"], ["y"]), (1, 5, 6, 2))
    assert model.head == "sigmoid"


def test_slices_and_transpositions(tmp_path: Path) -> None:
    operators = [
        Op("STRIDED_SLICE", ["x", "s", "e", "t"], ["a"], "StridedSliceOptions", {"BeginMask": 15, "EndMask": 7}),
        Op("TRANSPOSE", ["a", "p"], ["b"]),
        Op("TRANSPOSE", ["b", "q"], ["c"]),
        Op("MEAN", ["c", "axes"], ["y"], "ReducerOptions"),
    ]
    constants = {"s": np.int32([0] * 4), "e": np.int32([0, 0, 0, 3]), "t": np.int32([1, 2, 1, 1])}
    constants |= {"p": np.int32([0, 3, 1, 2]), "q": np.int32([0, 2, 3, 1]), "axes": np.int32([1, 2])}
    tensors = [
        T("x", (1, 5, 6, 4)),
        T("y", (1, 3)),
        T("a", (1, 3, 6, 3)),
        T("b", (1, 3, 3, 6)),
        T("c", (1, 3, 6, 3)),
    ]
    data = build([*tensors, *(constant(n, a) for n, a in constants.items())], operators, ["x"], ["y"])
    assert kinds(same(tmp_path / "m.tflite", data, (1, 5, 6, 4))) == ["MaxPool", "Select", "GlobalAvgPool"]


def test_functions_gates_and_dilated_kernels(tmp_path: Path) -> None:
    window = {"Padding": SAME, "StrideW": 1, "StrideH": 1, "DilationWFactor": 2, "DilationHFactor": 2}
    operators = [
        Op("CONV_2D", ["x", "w", "b"], ["a"], "Conv2DOptions", window),
        Op("HARD_SWISH", ["a"], ["h"]),
        Op("MEAN", ["h", "axes"], ["m"], "ReducerOptions", {"KeepDims": True}),
        Op("LOGISTIC", ["m"], ["g"]),
        Op("MUL", ["h", "g"], ["s"], "MulOptions"),
        Op("LEAKY_RELU", ["s"], ["l"], "LeakyReluOptions", {"Alpha": 0.1}),
        Op("MUL", ["g", "l"], ["t"], "MulOptions"),
        Op("MAXIMUM", ["t", "s"], ["k"]),
        Op("MEAN", ["k", "axes"], ["y"], "ReducerOptions"),
    ]
    tensors = [T("x", (1, 8, 7, 3)), T("y", (1, 4)), *(T(n, (1, 8, 7, 4)) for n in "ahsltk")]
    tensors += [T(n, (1, 1, 1, 4)) for n in "mg"]
    constants = {"w": weights(4, 3, 3, 3), "b": weights(4), "axes": np.int32([1, 2])}
    data = build([*tensors, *(constant(n, a) for n, a in constants.items())], operators, ["x"], ["y"])
    found = kinds(same(tmp_path / "m.tflite", data, (1, 8, 7, 3)))
    functions = ["Function", "GlobalAvgPool", "Function", "Pairwise", "Function", "Pairwise", "Pairwise"]
    assert found == ["Conv", *functions, "GlobalAvgPool"]


@pytest.mark.parametrize(
    ("padding", "made"), [(SAME, (10, 8)), (SAME, (9, 7)), (VALID, (11, 8)), (VALID, (12, 9))]
)
def test_a_transposed_convolution(tmp_path: Path, padding: int, made: tuple[int, int]) -> None:
    window = {"Padding": padding, "StrideW": 2, "StrideH": 2}
    operators = [
        Op("TRANSPOSE_CONV", ["s", "w", "x", "b"], ["a"], "TransposeConvOptions", window),
        Op("MUL", ["a", "k"], ["m"], "MulOptions"),
        Op("MEAN", ["m", "axes"], ["y"], "ReducerOptions"),
    ]
    shape = (1, *made, 4)
    constants = {"s": np.int32(shape), "w": weights(4, 3, 2, 3), "b": weights(4), "k": weights(4)}
    constants["axes"] = np.int32([2])
    tensors = [T("x", (1, 5, 4, 3)), T("y", (1, made[0], 4)), T("a", shape), T("m", shape)]
    tensors += [constant(n, a) for n, a in constants.items()]
    data = build(tensors, [*operators[:2], *vector(operators[2], tensors)], ["x"], ["y"])
    same(tmp_path / "m.tflite", data, (1, 5, 4, 3))


def vector(last: Op, tensors: list[T]) -> list[Op]:
    """The operator, and a matrix that makes a vector of its output, whose axes are in another order."""
    index = next(i for i, t in enumerate(tensors) if t.name == "y")
    features = int(np.prod(tensors[index].shape[1:]))
    tensors += [T("v", tensors[index].shape), constant("matrix", weights(3, features))]
    tensors[index] = T("y", (1, 3))
    return [
        Op(last.kind, last.inputs, ["v"], last.form, last.options),
        Op("FULLY_CONNECTED", ["v", "matrix", ""], ["y"], "FullyConnectedOptions"),
    ]


@pytest.mark.parametrize("kind", ["ResizeBilinear", "ResizeNearestNeighbor"])
@pytest.mark.parametrize("places", [{}, {"HalfPixelCenters": True}, {"AlignCorners": True}])
def test_other_sizes(tmp_path: Path, kind: str, places: dict[str, bool]) -> None:
    tensors = [T("x", (1, 3, 4, 2)), T("y", (1, 6, 8, 2)), constant("size", np.int32([6, 8]))]
    name = "RESIZE_BILINEAR" if kind == "ResizeBilinear" else "RESIZE_NEAREST_NEIGHBOR"
    operators = vector(Op(name, ["x", "size"], ["y"], f"{kind}Options", places), tensors)
    same(tmp_path / "m.tflite", build(tensors, operators, ["x"], ["y"]), (1, 3, 4, 2))


@pytest.mark.parametrize("kind", ["DEPTH_TO_SPACE", "SPACE_TO_DEPTH"])
def test_blocks_of_pixels(tmp_path: Path, kind: str) -> None:
    shape, made = (1, 4, 6, 8), (1, 8, 12, 2) if kind == "DEPTH_TO_SPACE" else (1, 2, 3, 32)
    form = {"DEPTH_TO_SPACE": "DepthToSpaceOptions", "SPACE_TO_DEPTH": "SpaceToDepthOptions"}[kind]
    tensors = [T("x", shape), T("y", made)]
    operators = vector(Op(kind, ["x"], ["y"], form, {"BlockSize": 2}), tensors)
    same(tmp_path / "m.tflite", build(tensors, operators, ["x"], ["y"]), shape)


@pytest.mark.parametrize("row", [True, False])
def test_a_convolution_along_one_axis(tmp_path: Path, row: bool) -> None:
    """Keras spells it as one on planes of one row; one column is a column."""
    between, size = ((1, 1, 12, 3), {"StrideW": 2, "StrideH": 1}) if row else ((1, 12, 1, 3), {"StrideW": 1})
    operators = [
        Op("EXPAND_DIMS", ["x", "axis"], ["a"]),
        Op("CONV_2D", ["a", "w", "b"], ["c"], "Conv2DOptions", {"Padding": SAME, "StrideH": 2, **size} | RELU),
        Op("RESHAPE", ["c", "s"], ["d"]),
        Op("MEAN", ["d", "axes"], ["y"], "ReducerOptions"),
    ]
    kernel = (1, 5) if row else (5, 1)
    tensors = [T("x", (1, 12, 3)), T("a", between), T("c", (1, 1, 6, 4) if row else (1, 6, 1, 4))]
    tensors += [T("d", (1, 6, 4)), T("y", (1, 4))]
    constants = {"axis": np.int32(1 if row else 2), "w": weights(4, *kernel, 3), "b": weights(4)}
    constants |= {"axes": np.int32([1]), "s": np.int32([1, 6, 4])}
    data = build([*tensors, *(constant(n, a) for n, a in constants.items())], operators, ["x"], ["y"])
    model = same(tmp_path / "m.tflite", data, (1, 12, 3))
    assert model.graph.inputs[0].shape == ((3, 1, 12) if row else (3, 12, 1))


def load_bytes(path: Path, data: bytes) -> ImportedModel:
    path.write_bytes(data)
    return load(path)


def quantized(per_channel: bool, activation: Any, zero_point: int) -> bytes:
    """An int8 convolution, whose output begins at zero where ``zero_point`` is -128, and a dense layer."""
    scales = [0.001, 0.002, 0.0004] if per_channel else [0.001]
    bias_scale = [0.05 * s for s in scales]
    w, v = (RNG.integers(-127, 128, s).astype(np.int8) for s in ((3, 3, 3, 2), (4, 3)))
    bias = [RNG.integers(-900, 900, n).astype(np.int32) for n in (3, 4)]
    tensors = [
        T("x", (1, 6, 5, 2), np.int8, None, [0.05], [7]),
        constant("w", w, scales, [0] * len(scales), 0),
        constant("b", bias[0], bias_scale, [0] * len(scales), 0),
        T("a", (1, 6, 5, 3), np.int8, None, [0.03], [zero_point]),
        T("m", (1, 3), np.int8, None, [0.03], [zero_point]),
        constant("axes", np.int32([1, 2])),
        constant("v", v, [0.02], [0]),
        constant("c", bias[1], [0.02 * 0.03], [0]),
        T("y", (1, 4), np.int8, None, [0.02], [3]),
    ]
    operators = [
        Op(
            "CONV_2D",
            ["x", "w", "b"],
            ["a"],
            "Conv2DOptions",
            {"Padding": SAME, "StrideW": 1, "StrideH": 1, **activation},
        ),
        Op("MEAN", ["a", "axes"], ["m"], "ReducerOptions"),
        Op("FULLY_CONNECTED", ["m", "v", "c"], ["y"], "FullyConnectedOptions"),
    ]
    return build(tensors, operators, ["x"], ["y"])


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("activation", "zero_point", "clips"), [({}, 5, 0), (RELU, -128, 1), ({}, -128, 1)])
def test_integers_are_real_values(
    tmp_path: Path, per_channel: bool, activation: dict[str, int], zero_point: int, clips: int
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(quantized(per_channel, activation, zero_point))
    model = load(path)
    assert model.own_input == TensorInput("int8", float(np.float32(0.05)), 7.0, (2, 6, 5))
    found = [n.op for n in model.graph.nodes if isinstance(n.op, Clip)]
    assert len(found) == clips
    rows = RNG.uniform(-2, 2, (8, 6, 5, 2)).astype(np.float32)
    rows = (np.rint(rows / 0.05) * 0.05).astype(np.float32)  # what the input can hold
    expected = interpreted(path, rows)
    assert np.abs(imported_outputs(model, rows) - expected).max() < 0.01 + 0.1 * np.abs(expected).max()


def test_weights_of_integers_among_real_values(tmp_path: Path) -> None:
    """A hybrid file: the interpreter makes integers of the activations while it runs, dcgen does not."""
    w = RNG.integers(-127, 128, (3, 20)).astype(np.int8)
    half = weights(3).astype(np.float16)
    tensors = [
        T("x", (1, 20)),
        constant("w", w, [0.01]),
        constant("h", half),
        T("b", (3,)),
        T("y", (1, 3)),
    ]
    operators = [
        Op("DEQUANTIZE", ["h"], ["b"]),
        Op("FULLY_CONNECTED", ["x", "w", "b"], ["y"], "FullyConnectedOptions"),
    ]
    path = tmp_path / "m.tflite"
    with pytest.raises(
        UnsupportedError, match=r"operator y \(FULLY_CONNECTED\): its bias \(input 2\) must be constant"
    ):
        load_bytes(path, build(tensors, operators, ["x"], ["y"]))
    operators = [Op("FULLY_CONNECTED", ["x", "w", "h"], ["y"], "FullyConnectedOptions")]
    (only,) = load_bytes(path, build(tensors, operators, ["x"], ["y"])).graph.nodes
    assert np.allclose(only.op.weight.values[:, :, 0, 0], w * 0.01)  # type: ignore[union-attr]
    assert np.allclose(only.op.bias, half)  # type: ignore[union-attr]


CONV = {"Padding": SAME, "StrideW": 1, "StrideH": 1}


@pytest.mark.parametrize(
    ("operators", "problem"),
    [
        (
            [Op("SPACE_TO_BATCH_ND", ["x"], ["y"])],
            r"operator y \(SPACE_TO_BATCH_ND\): the operator is not supported \(supp",
        ),
        (
            [Op("CONV_2D", ["x", "x", "b"], ["y"], "Conv2DOptions", CONV)],
            r"its weight \(input 1\) must be constant",
        ),
        ([Op("SOFTMAX", ["x"], ["y"], "SoftmaxOptions", {"Beta": 2.0})], "beta 1 is supported, found 2"),
        (
            [Op("RELU", ["w"], ["y"])],
            r"operator y \(RELU\): its input 0 is constant, a computed tensor is supported",
        ),
        (
            [Op("ADD", ["x", "x"], ["y"], "AddOptions", {"FusedActivationFunction": 5})],
            "fused activation 5 is not supported",
        ),
        (
            [Op("FULLY_CONNECTED", ["x", "v", ""], ["y"], "FullyConnectedOptions", {"WeightsFormat": 1})],
            "weights in their default format are supported",
        ),
    ],
)
def test_other_operators_are_refused(tmp_path: Path, operators: list[Op], problem: str) -> None:
    constants = {"w": weights(2, 1, 1, 2), "b": weights(2), "v": weights(2, 24)}
    with pytest.raises(UnsupportedError, match=rf"m.tflite: .*{problem}") as error:
        load_bytes(tmp_path / "m.tflite", network((1, 3, 4, 2), (1, 3, 4, 2), *operators, **constants))
    assert type(error.value) is UnsupportedError


@pytest.mark.parametrize(
    ("operators", "problem"),
    [
        ([Op("RELU", ["z"], ["y"])], r"operator y \(RELU\): its input 0 is made by no operator before it"),
        ([Op("CONV_2D", ["x", "v", "b"], ["y"], "Conv2DOptions", CONV)], "has a weight of four axes, found shape"),
        ([Op("CONV_2D", ["x"], ["y"], "Conv2DOptions", CONV)], r"operator y \(CONV_2D\): has no input 1"),
        ([Op("CONV_2D", ["x", "w", "b"], ["z"], "Conv2DOptions", CONV)], "output y is made by no operator"),
        (
            [Op("CONV_2D", ["x", "w", "b"], ["y"], "Conv2DOptions", CONV | {"Padding": 7})],
            "padding is SAME or VALID, found 7",
        ),
    ],
)
def test_networks_that_contradict_themselves(tmp_path: Path, operators: list[Op], problem: str) -> None:
    constants = {"w": weights(2, 1, 1, 2), "b": weights(2), "v": weights(2, 24)}
    with pytest.raises(ModelError, match=rf"m.tflite: .*{problem}") as error:
        load_bytes(tmp_path / "m.tflite", network((1, 3, 4, 2), (1, 3, 4, 2), *operators, **constants))
    assert type(error.value) is ModelError


NETWORKS = ["ad01_autoencoder", "ic01_resnet8", "kws01_dscnn", "vww01_mobilenet"]


@pytest.mark.parametrize("kind", ["float", "int8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks(shared: Path, name: str, kind: str) -> None:
    folder = shared / "data/mlperf_tiny"
    path = folder / "tflite" / f"{name}_{kind}.tflite"
    if name == "ad01_autoencoder":
        rows = np.clip(-25 + 12 * RNG.standard_normal((20, 640)), -84, 14).astype(np.float32)
    else:
        data = {"ic01": "ic01_200", "kws0": "kws01_300", "vww0": "vww01_250"}[name[:4]]
        rows = np.load(folder / f"{data}.npz")["x"][:20].astype(np.float32) / (255 if name[0] == "v" else 1)
    model = load(path)
    assert (model.own_input is None) == (kind == "float")
    expected, found = interpreted(path, rows), imported_outputs(model, rows)
    if kind == "float" and name != "kws01_dscnn":
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    elif name == "ad01_autoencoder":
        error = np.sqrt(((found - expected) ** 2).mean(0)) / expected.std(0).clip(1e-6)
        assert np.median(error) < 0.25
    else:
        assert model.head == "softmax"
        assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.95
        assert np.abs(found - expected).max() < 0.2
