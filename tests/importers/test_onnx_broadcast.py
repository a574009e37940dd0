"""Tensors are repeated along axes of size 1, and made of channels or planes, as onnxruntime does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto

from dcgen.errors import UnsupportedError
from dcgen.importers.onnx_import import import_onnx
from dcgen.ir.graph import Conv, Graph
from dcgen.ir.runner import FloatRunner
from tests.e2e.test_operators import Writer, compiled, goes_through_every_stage


def read(model: ModelProto, shape: tuple[int, ...] = (3, 16, 16)) -> Graph:
    """The graph of a model, which gives onnxruntime's results."""
    graph = import_onnx(model, "net").graph
    x = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
    (expected,) = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    found = FloatRunner(graph).run(x.reshape(2, *graph.inputs[0].shape))
    np.testing.assert_allclose(found, expected.reshape(2, -1), rtol=1e-4, atol=1e-5)
    return graph


def means(w: Writer, x: str, *axes: int) -> str:
    return w.add("ReduceMean", x, w.constant(axes, np.int64), keepdims=1)


def spatial(w: Writer, x: str) -> None:
    """The gate of CBAM: one number a pixel, of the channels' average and maximum."""
    largest = w.add("ReduceMax", x, w.constant([1], np.int64), keepdims=1)
    w.add("Concat", means(w, x, 1), largest, axis=1)
    gate = w.add("Sigmoid", w.conv(w.last, 2, 1, 7, pads=[3, 3, 3, 3]))
    w.add("Mul", x, gate)


def coordinates(w: Writer, x: str) -> None:
    """The gates of coordinate attention: one number a row, and one a column, of each channel."""
    rows, columns = (w.add("Sigmoid", w.conv(means(w, x, axis), 12, 12, 1)) for axis in (3, 2))
    w.add("Mul", w.add("Mul", x, rows), columns)


def outer(w: Writer, x: str) -> None:
    w.add("Add", means(w, x, 3), means(w, x, 2))


def centred(w: Writer, x: str) -> None:
    w.add("Sub", x, means(w, x, 1, 2, 3))


def largest(w: Writer, x: str) -> None:
    w.add("Max", x, means(w, x, 2, 3))


def expanded(w: Writer, x: str) -> None:
    w.add("Concat", x, w.add("Expand", means(w, x, 1, 2), w.constant([1, 5, 8, 1], np.int64)), axis=1)
    w.conv(w.last, 17, 12, 1)


@pytest.mark.parametrize(
    "attend", [spatial, coordinates, outer, centred, largest, expanded], ids=lambda f: f.__name__
)
def test_a_tensor_is_repeated(attend: Callable[[Writer, str], None], tmp_path: Path) -> None:
    w = Writer()
    attend(w, w.add("Relu", w.conv("x", 3, 12, 3, pads=[1, 1, 1, 1], strides=[2, 2])))
    w.conv(w.last, 12, 4, 3, strides=[2, 2])
    goes_through_every_stage(read(w.model()), tmp_path)


@pytest.mark.parametrize("first", [False, True])
def test_an_expanded_gate_is_a_gate(first: bool) -> None:
    """As in the usual code of squeeze-and-excite, whose planes would else be made for nothing."""
    w = Writer()
    x = w.conv("x", 3, 12, 3)
    gate = w.add("Expand", w.add("Sigmoid", means(w, x, 2, 3)), w.constant([1, 12, 14, 14], np.int64))
    w.add("Mul", *((gate, x) if first else (x, gate)))
    assert [type(n.op).__name__ for n in read(w.model()).nodes] == [
        "Conv",
        "GlobalAvgPool",
        "Function",
        "Pairwise",
    ]


def test_a_filter_is_computed_once_however_often_its_channel_is_selected() -> None:
    w = Writer()
    spatial(w, w.conv("x", 3, 12, 1))
    graph = read(w.model())
    found, _ = compiled(graph, np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8))
    gate = next(n.name for n in graph.nodes if isinstance(n.op, Conv) and n.op.kernel == (7, 7))
    assert found.tensors[gate].shape == (1, 16, 16)


@pytest.mark.parametrize("axes", [[1], [2], [3], [1, 2], [2, 3], [1, 2, 3]])
@pytest.mark.parametrize("kind", ["ReduceMax", "ReduceSum"])
@pytest.mark.parametrize("keep", [0, 1])
def test_maxima_and_sums(kind: str, axes: list[int], keep: int) -> None:
    w = Writer()
    w.add(kind, "x", w.constant(axes, np.int64), keepdims=keep)
    read(w.model(shape=(7, 5, 6)), (7, 5, 6))


@pytest.mark.parametrize("axis", [2, -1])
def test_rows_or_columns_are_joined(axis: int, tmp_path: Path) -> None:
    w = Writer()
    parts = [w.conv("x", 3, 6, 3, strides=[2, 2]), w.conv("x", 3, 6, 4, strides=[2, 2])]
    w.add("Concat", *parts, parts[0], axis=axis)
    w.conv(w.last, 6, 4, 3, strides=[3, 3])
    goes_through_every_stage(read(w.model()), tmp_path)


def test_what_only_the_batch_joins_is_left_to_the_host() -> None:
    w = Writer()
    w.add("Concat", "x", "x", axis=0)
    with pytest.raises(UnsupportedError, match=r"concatenation of channels, rows or columns .* \(what only joins"):
        import_onnx(w.model(), "net")


def test_predictions_of_all_boxes_are_left_to_the_host() -> None:
    """As detectors make them of the planes of several sizes."""
    w = Writer()
    rows = []
    for stride in (2, 4):
        w.add("Transpose", w.conv("x", 3, 12, stride, strides=[stride] * 2), perm=[0, 2, 3, 1])
        rows.append(w.add("Reshape", w.last, w.constant([0, -1, 4], np.int64)))
    w.add("Concat", *rows, axis=1)
    said = r"planes are joined where supported, found .*\(1, 192, 4\).* \(what only joins outputs the host can do"
    with pytest.raises(UnsupportedError, match=said):
        import_onnx(w.model(), "net")


@pytest.mark.parametrize("attributes", [{"pads": [1, 1]}, {"strides": [2], "pads": [0, 2]}, {"dilations": [2]}])
def test_a_convolution_along_channels(attributes: dict[str, object]) -> None:
    w = Writer()
    w.add("GlobalAveragePool", w.conv("x", 3, 9, 1))
    w.add("Reshape", w.last, w.constant([0, 1, 9], np.int64))
    w.add("Conv", w.last, w.constant(w.rng.normal(size=(1, 1, 3))), w.constant([0.5]), **attributes)
    read(w.model())


def test_a_batch_is_not_repeated() -> None:
    w = Writer()
    w.add("Expand", "x", w.constant([4, 3, 16, 16], np.int64))
    with pytest.raises(UnsupportedError, match=r"expand1 \(Expand\): a repeated tensor has the network's batch"):
        import_onnx(w.model(), "net")
