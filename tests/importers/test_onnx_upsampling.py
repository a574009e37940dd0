"""Transposed convolutions and blocks of pixels are imported as what onnxruntime says they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers.onnx_import import import_onnx
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import Conv, Graph, Upsample

RNG = np.random.default_rng(5)


def model(kind: str, shape: tuple[int, ...], *arrays: np.ndarray, **attributes: Any) -> onnx.ModelProto:
    """One operator ``kind`` on a tensor of ``shape``, (C, H, W) or (C, L), and constants."""
    names = [f"c{i}" for i in range(len(arrays))]
    node = helper.make_node(kind, ["x", *names], ["y"], name="made", **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True)]
    graph = helper.make_graph([node], "net", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(m: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return np.asarray(ort.InferenceSession(m.SerializeToString(), options).run(None, {"x": x})[0])


def same(m: onnx.ModelProto, expected: np.ndarray, x: np.ndarray) -> Graph:
    graph = import_onnx(m, "net").graph
    shape = graph.inputs[0].shape
    found = evaluate(graph, {"x": x.reshape(-1, *shape)})[graph.outputs[0]]
    assert found.size == expected.size
    np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-4, atol=1e-4)
    return graph


def noise(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_transposed_convolution(data: st.DataObject) -> None:
    """Of any kernel, stride, dilation, padding, added output, in groups, on planes and signals."""
    draw = data.draw
    axes = draw(st.integers(1, 2))

    def each(low: int, high: int) -> list[int]:
        return [draw(st.integers(low, high)) for _ in range(axes)]

    size, kernel, stride, dilation = each(1, 5), each(1, 5), each(1, 4), each(1, 3)
    attributes: dict[str, Any] = {"strides": stride, "dilations": dilation}
    match draw(st.sampled_from(["pads", "padding", "SAME_UPPER", "SAME_LOWER", "VALID", "shape"])):
        case "pads":
            attributes["pads"] = [*each(0, 3), *each(0, 3)]
        case "padding":
            attributes["output_padding"] = [
                draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
            ]
        case "shape":
            whole = [
                (n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(size, stride, kernel, dilation, strict=True)
            ]
            attributes["output_shape"] = [draw(st.integers(max(1, n - 3), n)) for n in whole]
        case auto:
            attributes["auto_pad"] = auto
    groups, outputs = draw(st.sampled_from([(1, 3), (2, 1), (4, 2)]))
    arrays = [noise(4, outputs, *kernel)] + ([noise(outputs * groups)] if draw(st.booleans()) else [])
    m, x = model("ConvTranspose", (4, *size), *arrays, group=groups, **attributes), noise(2, 4, *size)
    try:
        expected = run(m, x)
    except Exception:  # a shape that onnxruntime refuses
        assume(False)
    assume(expected.size > 0)
    try:
        same(m, expected, x)
    except UnsupportedError as e:
        assert "where kernels reach every pixel" in str(e) and "auto_pad" in attributes


def test_its_phases_are_one_convolution() -> None:
    m = model("ConvTranspose", (3, 4, 4), noise(3, 2, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1])
    graph = import_onnx(m, "net").graph
    conv, blocks = (n.op for n in graph.nodes)
    assert isinstance(conv, Conv) and conv.weight.values.shape == (8, 3, 3, 3)
    assert np.count_nonzero(conv.weight.values) == 3 * 2 * 4 * 4, "as many weights as in the file"
    assert blocks == Upsample((2, 2), 2)
    assert [n.name for n in graph.nodes] == ["made.phases", "made"]


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_blocks_made_of_channels(mode: str) -> None:
    m, x = model("DepthToSpace", (12, 3, 2), blocksize=2, mode=mode), noise(2, 12, 3, 2)
    graph = same(m, run(m, x), x)
    assert [type(n.op) for n in graph.nodes] == ([Conv, Upsample] if mode == "DCR" else [Upsample])


def test_the_order_of_channels_goes_into_the_convolution_that_makes_them() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"]),
        helper.make_node("DepthToSpace", ["a"], ["y"], blocksize=2),
    ]
    m, x = model("Relu", (3, 4, 4)), noise(2, 3, 4, 4)
    m.graph.ClearField("node")
    m.graph.node.extend(nodes)
    m.graph.initializer.extend(
        [numpy_helper.from_array(noise(8, 3, 3, 3), "w"), numpy_helper.from_array(noise(8), "b")]
    )
    assert [type(n.op) for n in same(m, run(m, x), x).nodes] == [Conv, Upsample]


def test_channels_made_of_blocks() -> None:
    m, x = model("SpaceToDepth", (3, 4, 6), blocksize=2), noise(2, 3, 4, 6)
    assert [type(n.op) for n in same(m, run(m, x), x).nodes] == [Conv]


@pytest.mark.parametrize(
    ("m", "problem"),
    [
        (model("ConvTranspose", (3, 4, 4), noise(2, 2, 3, 3)), "has a weight .I, O / groups, KH, KW., has .2, 2"),
        (model("ConvTranspose", (3, 4, 4), noise(3, 2, 3, 3), noise(3)), r"expected a bias of shape \(2,\)"),
        (model("ConvTranspose", (3, 4, 4), noise(3, 2, 3, 3), pads=[4, 4, 4, 4]), "has -2 rows and -2 columns"),
        (model("DepthToSpace", (3, 4, 4), blocksize=2), "cannot make blocks of 2 pixels in mode DCR of 3"),
        (model("SpaceToDepth", (3, 5, 4), blocksize=2), "cannot divide 5 x 4 pixels into blocks of 2"),
    ],
)  # fmt: skip
def test_operators_that_contradict_themselves(m: onnx.ModelProto, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        import_onnx(m, "net")
