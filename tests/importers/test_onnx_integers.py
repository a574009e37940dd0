"""Inputs of integers: what converts them to real values becomes the input's scale and zero point."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dcgen.errors import DcgenError, UnsupportedError
from dcgen.importers import load
from dcgen.inputs.tensor import TensorInput
from dcgen.ir.runner import FloatRunner
from tests.inputs.nets import planes_net

SHAPE = (2, 6, 4)
FLOAT = {"to": TensorProto.FLOAT}


def net(folder: Path, element: int, *front: onnx.NodeProto, **constants: Any) -> Path:
    return planes_net(folder / "net.onnx", SHAPE, front, element, **constants)


def node(kind: str, *names: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, list(names[:-1]), [names[-1]], **attributes)


def dequantize(**attributes: Any) -> onnx.NodeProto:
    return node("DequantizeLinear", "x", "s", "z", "d", **attributes)


def same_scores(path: Path, element: Any) -> None:
    """The graph gives onnxruntime's scores on the real values that its input says the integers stand for."""
    import onnxruntime

    model = load(path)
    assert model.own_input is not None
    low, high = np.iinfo(element).min, np.iinfo(element).max
    x = np.random.default_rng(0).integers(low, high + 1, (3, *SHAPE)).astype(element)
    expected = onnxruntime.InferenceSession(path.read_bytes()).run(None, {"x": x})[0]
    found = FloatRunner(model.graph).run(model.own_input.normalise(model.own_input.bytes_of(x)))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


CASES: dict[str, tuple[int, Any, list[onnx.NodeProto], dict[str, Any], tuple[float, float]]] = {
    "dequantized int8": (
        TensorProto.INT8,
        np.int8,
        [dequantize()],
        {"s": np.float32(0.25), "z": np.int8(-7)},
        (0.25, -7.0),
    ),
    "dequantized uint8, a scale for each channel": (
        TensorProto.UINT8,
        np.uint8,
        [dequantize(axis=1)],
        {"s": np.float32([0.5, 0.5]), "z": np.uint8([9, 9])},
        (0.5, 9.0),
    ),
    "without a zero point": (
        TensorProto.INT8,
        np.int8,
        [node("DequantizeLinear", "x", "s", "d")],
        {"s": np.float32(2)},
        (2.0, 0.0),
    ),
    "cast": (TensorProto.UINT8, np.uint8, [node("Cast", "x", "d", **FLOAT)], {}, (1.0, 0.0)),
    "cast, minus, times": (
        TensorProto.UINT8,
        np.uint8,
        [node("Cast", "x", "i1", **FLOAT), node("Sub", "i1", "m", "i2"), node("Mul", "i2", "k", "d")],
        {"m": np.float32(127.5), "k": np.float32(1 / 64)},
        (1 / 64, 127.5),
    ),
    "cast, over, plus": (
        TensorProto.INT8,
        np.int8,
        [node("Cast", "x", "i1", **FLOAT), node("Div", "i1", "k", "i2"), node("Add", "i2", "m", "d")],
        {"m": np.float32(0.5), "k": np.float32(128)},
        (1 / 128, -64.0),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_conversion_is_the_input_s_scale(tmp_path: Path, case: str) -> None:
    element, dtype, front, constants, (scale, zero_point) = CASES[case]
    path = net(tmp_path, element, *front, **constants)
    model = load(path)
    given = "int8" if dtype is np.int8 else "uint8"
    assert model.own_input == TensorInput(given, scale, zero_point, SHAPE)  # type: ignore[arg-type]
    assert [type(n.op).__name__ for n in model.graph.nodes][:2] == ["Conv", "Clip"]
    same_scores(path, dtype)


def test_what_differs_by_channel_stays_in_the_network(tmp_path: Path) -> None:
    factors = {"k": np.float32([0.5, 0.25]).reshape(1, 2, 1, 1)}
    front = [node("Cast", "x", "i1", **FLOAT), node("Mul", "i1", "k", "d")]
    path = net(tmp_path, TensorProto.UINT8, *front, **factors)
    model = load(path)
    assert model.own_input == TensorInput("uint8", 1.0, 0.0, SHAPE)
    assert [type(n.op).__name__ for n in model.graph.nodes][:2] == ["Affine", "Conv"]
    same_scores(path, np.uint8)


@pytest.mark.parametrize(
    ("front", "constants", "problem"),
    [
        (
            [dequantize(axis=1)],
            {"s": np.float32([1, 2]), "z": np.int8([0, 0])},
            "its scale and zero point must be one constant each",
        ),
        ([dequantize()], {"s": np.float32(0), "z": np.int8(0)}, "its scale must be positive, found 0.0"),
        (
            [node("Cast", "x", "i1", to=TensorProto.INT32), node("Cast", "i1", "d", **FLOAT)],
            {},
            "is cast to INT32, expected to floats",
        ),
        (
            [node("Cast", "x", "i1", **FLOAT), node("Cast", "x", "i2", **FLOAT), node("Add", "i1", "i2", "d")],
            {},
            "is int8: supported before one DequantizeLinear or Cast, found Cast, Cast",
        ),
        (
            [node("Flatten", "x", "i1"), node("Cast", "i1", "d", **FLOAT)],
            {},
            "is int8: supported before one DequantizeLinear or Cast, found Flatten",
        ),
    ],
)
def test_other_uses_of_integers_are_refused(
    tmp_path: Path, front: list[onnx.NodeProto], constants: dict[str, Any], problem: str
) -> None:
    path = net(tmp_path, TensorProto.INT8, *front, **constants)
    with pytest.raises(UnsupportedError, match=f"net.onnx: input x: {problem}"):
        load(path)


def test_other_integers_are_refused(tmp_path: Path) -> None:
    path = net(tmp_path, TensorProto.INT32, node("Cast", "x", "d", **FLOAT))
    with pytest.raises(UnsupportedError, match="float tensors are supported, found INT32"):
        load(path)


@pytest.mark.parametrize(
    ("front", "constants", "problem"),
    [
        (helper.make_node("Cast", ["x"], ["d"], to="text"), {}, "is cast to no tensor, expected to floats"),
        (helper.make_node("Cast", ["x"], [], **FLOAT), {}, "Cast has one output, found 0"),
        (node("DequantizeLinear", "x", "d"), {}, "its scale must be positive, found 0.0"),
        (dequantize(), {"s": np.array(["a"], object), "z": np.int8(0)}, "must be one constant each"),
        (dequantize(), {"s": np.complex64(1), "z": np.int8(0)}, "must be one constant each"),
        (dequantize(), {"s": np.float32(np.inf), "z": np.int8(0)}, "its scale must be positive, found inf"),
        (
            dequantize(),
            {"s": np.float32(1e-30), "z": np.int8(0)},
            "a scale 1e-30 and zero point 0 are not supported",
        ),
    ],
)
def test_forged_conversions_are_refused(
    tmp_path: Path, front: onnx.NodeProto, constants: dict[str, Any], problem: str
) -> None:
    path = net(tmp_path, TensorProto.INT8, front, **constants)
    with pytest.raises(DcgenError, match=problem):
        load(path)


def test_factors_stay_in_the_graph_where_the_scale_would_become_nothing(tmp_path: Path) -> None:
    """Each factor of 1e-30 alone is a float32 number, all together are below the least float64 one."""
    names = ["d0", *(f"d{i}" for i in range(1, 12)), "d"]
    front = [node("DequantizeLinear", "x", "s", "z", "d0")]
    front += [node("Mul", a, "k", b) for a, b in pairwise(names)]
    model = load(net(tmp_path, TensorProto.INT8, *front, s=np.float32(1), z=np.int8(0), k=np.float32(1e-30)))
    assert model.own_input is not None and model.own_input.scale == 1
