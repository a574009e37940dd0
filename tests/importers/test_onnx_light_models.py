"""The ``light_*`` models of the onnx package, real architectures, are imported as what they compute."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from dcgen.errors import ModelError
from dcgen.importers.onnx_import import import_onnx, load_onnx
from dcgen.ir.evaluate import evaluate
from dcgen.ir.to_onnx import to_onnx

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"

CONVOLUTIONS = {"squeezenet": 26, "resnet50": 54, "densenet121": 121, "inception_v1": 60, "inception_v2": 70}
CONVOLUTIONS |= {"shufflenet": 50}
"""Convolutions with those that stand for a Gemm or the sum of an LRN."""

AS_SHIPPED = [
    "squeezenet",
    *(
        pytest.param(n, marks=pytest.mark.slow)
        for n in ("resnet50", "densenet121", "inception_v1", "inception_v2", "shufflenet")
    ),
]

TOO_LARGE = "bvlc_alexnet", "vgg19", "zfnet512"
"""Networks of 60 to 144 million weights, which a file of 10 KB fills with one value each."""


def with_random_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The light models fill each weight with one value; random ones tell channels apart."""
    rng = np.random.default_rng(7)
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    fills = [n for n in model.graph.node if n.op_type == "ConstantOfShape"]
    for node in fills:
        size = tuple(int(n) for n in shapes[node.input[0]])
        fan_in = np.prod(size[1:]) if len(size) > 1 else 1
        array = rng.normal(size=size) * (2 / fan_in) ** 0.5 if len(size) > 1 else rng.uniform(0.5, 1.5, size)
        model.graph.node.remove(node)
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), node.output[0]))
        value = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, size)
        model.graph.input.append(value)  # files of IR version 3 list initialisers as inputs
    return model


def scores(model: onnx.ModelProto | Path, picture: str, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    file = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(file, options).run(None, {picture: x})[0].ravel().astype(np.float64)


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_with_random_weights_it_computes_what_onnxruntime_does(name: str) -> None:
    model = with_random_weights(onnx.load(LIGHT / f"light_{name}.onnx"))
    imported = import_onnx(model, name)
    graph = imported.graph
    assert sum(1 for _ in graph.convs()) == CONVOLUTIONS[name]
    x = np.random.default_rng(6).normal(size=(1, *graph.inputs[0].shape)).astype(np.float32)
    theirs = scores(model, graph.inputs[0].name, x)
    ours = scores(to_onnx(graph), graph.inputs[0].name, x)
    assert theirs.std() > 1e-5
    if imported.head == "softmax":
        ours = softmax(ours)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * abs(theirs).max())


@pytest.mark.parametrize("name", AS_SHIPPED)
def test_as_it_ships_it_computes_what_onnxruntime_does(name: str) -> None:
    path = LIGHT / f"light_{name}.onnx"
    imported = load_onnx(path)
    graph = imported.graph
    x = np.random.default_rng(6).random((1, *graph.inputs[0].shape), dtype=np.float32)
    ours = evaluate(graph, {graph.inputs[0].name: x})[graph.outputs[0]].ravel()
    if imported.head == "softmax":
        ours = softmax(ours)
    np.testing.assert_allclose(ours, scores(path, graph.inputs[0].name, x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", TOO_LARGE)
def test_more_weights_than_the_file_can_hold_are_refused(name: str) -> None:
    with pytest.raises(
        ModelError, match=rf"light_{name}.onnx: node .* would take [\d,]+ bytes more, expected at most"
    ):
        load_onnx(LIGHT / f"light_{name}.onnx")


def test_every_light_model_is_tried() -> None:
    assert {p.stem.removeprefix("light_") for p in LIGHT.glob("*.onnx")} == {*CONVOLUTIONS, *TOO_LARGE}
