"""Graphs whose tensors have channels last, as Keras's exporters write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from dcgen.errors import UnsupportedError
from dcgen.importers import load
from dcgen.importers.model import ImportedModel
from dcgen.importers.onnx_import import import_onnx
from dcgen.importers.onnx_order import in_order, places, reshaped, transposed
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import AvgPool, Concat, Conv, Crop, GlobalAvgPool, MaxPool, Select

RNG = np.random.default_rng(3)
FIRST, LAST = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}


def node(kind: str, names: str, **attributes: object) -> onnx.NodeProto:
    *inputs, output = names.split()
    return helper.make_node(kind, inputs, [output], name=f"the_{output}", **attributes)


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def model(
    nodes: Sequence[onnx.NodeProto], dims: Sequence[int], opset: int = 17, **constants: object
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def same(m: onnx.ModelProto, channel_last: bool = True) -> ImportedModel:
    """The imported model, which gives onnxruntime's results. Its input is [N, C, H, W]."""
    imported = import_onnx(m, "m.onnx")
    x = RNG.standard_normal([d.dim_value for d in m.graph.input[0].type.tensor_type.shape.dim]).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    (expected,) = onnxruntime.InferenceSession(m.SerializeToString(), options).run(["y"], {"x": x})
    graph = imported.graph
    planes = x.transpose(0, 3, 1, 2) if channel_last else x.reshape(-1, *graph.inputs[0].shape)
    assert planes.shape[1:] == graph.inputs[0].shape
    found = evaluate(graph, {graph.inputs[0].name: planes})[graph.outputs[0]]
    np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-4, atol=1e-5)
    return imported


def kinds(imported: ImportedModel) -> list[str]:
    return [type(n.op).__name__ for n in imported.graph.nodes]


def test_an_input_with_channels_last() -> None:
    nodes = [
        node("Div", "x k a"),
        node("Transpose", "a b", **FIRST),
        node("Conv", "b w c"),
        node("Transpose", "c d", **LAST),
        node("Add", "d bias e"),
        node("Relu", "e f"),
        node("Transpose", "f g", **FIRST),
        node("GlobalAveragePool", "g h"),
        node("Transpose", "h i", **LAST),
        node("Reshape", "i s y"),
    ]
    constants = {"k": np.float32([1, 2, 3]), "w": weights(5, 3, 3, 3), "bias": weights(5)}
    imported = same(model(nodes, [1, 9, 7, 3], s=np.array([1, 5]), **constants))
    assert imported.graph.inputs[0].shape == (3, 9, 7)
    assert kinds(imported) == ["Affine", "Conv", "Affine", "Clip", "GlobalAvgPool"]


def test_a_flattened_tensor_with_channels_last_permutes_the_weights() -> None:
    nodes = [
        node("Conv", "x w a"),
        node("Transpose", "a b", **LAST),
        node("Relu", "b c"),
        node("Reshape", "c s d"),
        node("Relu", "d e"),
        node("Gemm", "e v y"),
    ]
    imported = same(
        model(nodes, [1, 2, 6, 5], w=weights(4, 2, 3, 3), s=np.array([-1, 48]), v=weights(48, 7)), False
    )
    assert kinds(imported) == ["Conv", "Clip", "Clip", "Flatten", "Conv"]


def test_sums_and_concatenations_with_channels_last() -> None:
    nodes = [
        node("Transpose", "x a", **FIRST),
        node("Conv", "a w b"),
        node("Transpose", "b c", **LAST),
        node("MaxPool", "a d", kernel_shape=[1, 1]),
        node("Transpose", "d e", **LAST),
        node("Add", "c x f"),
        node("Concat", "f e c g", axis=-1),
        node("Transpose", "g h", **FIRST),
        node("GlobalAveragePool", "h y"),
    ]
    imported = same(model(nodes, [1, 4, 6, 3], w=weights(3, 3, 1, 1)))
    assert [type(n.op) for n in imported.graph.nodes][-2:] == [Concat, GlobalAvgPool]
    assert imported.graph.shapes[imported.graph.nodes[-2].name] == (9, 4, 6)


@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_gate_and_a_maximum_with_channels_last(keepdims: int) -> None:
    nodes = [
        node("Transpose", "x a", **FIRST),
        node("Conv", "a w b"),
        node("Transpose", "b c", **LAST),
        node("ReduceMean", "c d", axes=[1, 2], keepdims=1),
        node("Sigmoid", "d e"),
        node("Mul", "e c f"),
        node("ReduceMax", "f g", axes=[2, 1], keepdims=keepdims),
        node("Relu", "g y"),
    ]
    imported = same(model(nodes, [1, 4, 6, 3], w=weights(5, 3, 1, 1)))
    assert kinds(imported) == ["Conv", "GlobalAvgPool", "Function", "Pairwise", "MaxPool", "Clip"]


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[1, 2], [-2, -3]])
@pytest.mark.parametrize("opset", [7, 11, 18])
def test_a_mean_with_channels_last(keepdims: int, axes: list[int], opset: int) -> None:
    named: dict[str, object] = {"axes": axes} if opset < 18 else {}
    mean = node("ReduceMean", "b a c" if opset >= 18 else "b c", keepdims=keepdims, **named)
    nodes = [node("Transpose", "x p", **FIRST), node("Conv", "p w q"), node("Transpose", "q b", **LAST), mean]
    constants = {"a": np.array(axes)} if opset >= 18 else {}
    m = model([*nodes, node("Relu", "c y")], [1, 5, 4, 3], opset, w=weights(2, 3, 1, 1), **constants)
    m.ir_version = 4
    assert kinds(same(m)) == ["Conv", "GlobalAvgPool", "Clip"]


@pytest.mark.parametrize(("first", "second"), [([3], [2]), ([2], [2]), ([-1], [-1])])
def test_two_means_in_a_row_are_one(first: list[int], second: list[int]) -> None:
    nodes = [
        node("Relu", "x r"),
        node("ReduceMean", "r a b", keepdims=0),
        node("ReduceMean", "b c d", keepdims=0),
        node("Gemm", "d w y"),
    ]
    m = model(nodes, [1, 3, 4, 5], 18, a=np.array(first), c=np.array(second), w=weights(3, 2))
    assert kinds(same(m, False)) == ["Clip", "GlobalAvgPool", "Conv"]


@pytest.mark.parametrize(("axis", "kernel"), [(2, (4, 1)), (3, (1, 5))])
def test_a_mean_of_one_axis_is_a_pool(axis: int, kernel: tuple[int, int]) -> None:
    m = model([node("ReduceMean", "x a b"), node("Relu", "b y")], [1, 3, 4, 5], 18, a=np.array([axis]))
    (pool, _) = same(m, False).graph.nodes
    assert pool.op == AvgPool(kernel, (1, 1))


def test_a_matrix_times_channels_that_are_last_is_a_convolution() -> None:
    nodes = [node("Transpose", "x p", **FIRST), node("Conv", "p v q"), node("Transpose", "q r", **LAST)]
    nodes += [node("MatMul", "r w s"), node("Transpose", "s t", **FIRST), node("GlobalAveragePool", "t y")]
    m = model(nodes, [1, 5, 4, 3], v=weights(2, 3, 1, 1), w=weights(2, 6))
    assert kinds(same(m)) == ["Conv", "Conv", "GlobalAvgPool"]


def test_a_vector_that_is_reshaped_to_planes_is_planes() -> None:
    nodes = [node("Reshape", "x s p"), node("Conv", "p w q"), node("Flatten", "q y")]
    m = model(nodes, [1, 40], s=np.array([0, 1, 8, -1]), w=weights(2, 1, 3, 3))
    assert same(m, False).graph.inputs[0].shape == (1, 8, 5)


def test_pictures_into_a_fully_connected_layer() -> None:
    imported = same(model([node("Flatten", "x f"), node("Gemm", "f w y")], [1, 8, 9, 3], w=weights(216, 4)))
    assert imported.graph.inputs[0].shape == (3, 8, 9)


def test_every_second_pixel_and_more_channels() -> None:
    """A shortcut of a residual network without weights: option A of the paper."""
    nodes = [node("Relu", "x r"), node("Slice", "r s e a t b"), node("Pad", "b p c"), node("Relu", "c y")]
    constants = {"s": [0, 0], "e": [2**31 - 1] * 2, "a": [2, 3], "t": [2, 2], "p": [0, 2, 0, 0, 0, 3, 0, 0]}
    m = model(nodes, [1, 4, 7, 6], **{k: np.array(v) for k, v in constants.items()})
    _, pool, select, _ = same(m, False).graph.nodes
    assert pool.op == MaxPool((1, 1), (2, 2))
    assert isinstance(select.op, Conv)
    assert select.op.weight.values.sum() == 4


def test_channels_are_taken_out() -> None:
    nodes = [node("Transpose", "x p", **FIRST), node("Conv", "p w q"), node("Transpose", "q r", **LAST)]
    nodes += [node("Slice", "r s e a t u"), node("Transpose", "u v", **FIRST), node("Relu", "v y")]
    constants = {"s": [4], "e": [0], "a": [-1], "t": [-2]}
    m = model(nodes, [1, 3, 4, 5], w=weights(6, 5, 1, 1), **{k: np.array(v) for k, v in constants.items()})
    assert kinds(same(m)) == ["Conv", "Select", "Clip"]


@pytest.mark.parametrize("head", [None, "Softmax", "Sigmoid"])
def test_an_output_is_planes_in_whatever_order_the_file_lists_them(head: str | None) -> None:
    """As in segmentation networks of Keras, with a head for each pixel."""
    nodes = [node("Conv", "x w a"), node("Transpose", "a b" if head else "a y", **LAST)]
    nodes += [node(head, "b y", **({} if head == "Sigmoid" else {"axis": -1}))] if head else []
    w = weights(3, 2, 1, 1)
    imported = import_onnx(model(nodes, [1, 2, 4, 5], w=w), "m.onnx")
    assert imported.graph.shapes[imported.graph.outputs[0]] == (3, 4, 5)
    assert imported.head == (head or "none").lower()
    x = RNG.standard_normal((1, 2, 4, 5)).astype(np.float32)
    found = evaluate(imported.graph, {"x": x})[imported.graph.outputs[0]]
    np.testing.assert_allclose(found, np.einsum("oi,nihw->nohw", w[:, :, 0, 0], x), rtol=1e-5, atol=1e-6)


def test_slices_of_the_batch_are_refused() -> None:
    m = model([node("Slice", "x s e y")], [2, 2, 4, 4], s=np.array([0, 0, 1]), e=np.array([1, 2, 4]))
    said = r"node the_y \(Slice\): channels in any order, .* found other parts of the batch"
    with pytest.raises(UnsupportedError, match=said):
        import_onnx(m, "m.onnx")


def test_a_crop_and_a_shuffle_with_channels_last() -> None:
    nodes = [
        node("Transpose", "x a", **FIRST),
        node("Conv", "a w b"),
        node("Transpose", "b c", **LAST),
        node("Slice", "c s e z t d"),
        node("Reshape", "d q f"),
        node("Transpose", "f g", perm=[0, 1, 2, 4, 3]),
        node("Reshape", "g r h"),
        helper.make_node("Split", ["h"], ["i", "j"], name="the_parts", axis=3),
        node("Concat", "j i k", axis=3),
        node("Transpose", "k l", **FIRST),
        node("Relu", "l y"),
    ]
    constants = {"s": [1, 2], "e": [-1, 6], "z": [1, 2], "t": [1, 2], "q": [1, 3, 2, 2, 3], "r": [1, 3, 2, 6]}
    m = model(nodes, [1, 5, 7, 3], w=weights(6, 3, 1, 1), **{k: np.array(v) for k, v in constants.items()})
    imported = same(m)
    assert kinds(imported) == ["Conv", "Crop", "Select", "Select", "Select", "Concat", "Clip"]
    assert imported.graph.nodes[1].op == Crop((1, 3, 1), (2, 2, 2))
    assert imported.graph.nodes[2].op == Select((0, 3, 1, 4, 2, 5))


def test_orders_follow_numpy() -> None:
    shape = (2, 3, 4, 6)
    flat = np.arange(144)
    axes = transposed(in_order(shape), (0, 2, 3, 1))
    assert np.array_equal(places(axes), flat.reshape(shape).transpose(0, 2, 3, 1).ravel())
    for dims in [(2, 72), (2, 24, 3), (2, 2, 2, 18), (2, 4, 3, 2, 3)]:
        again = reshaped(axes, dims)
        assert again is not None
        assert np.array_equal(places(again), places(axes))
        back = reshaped(transposed(again, range(len(dims))), (2, 4, 6, 3))
        assert back is not None
        assert transposed(back, (0, 3, 1, 2)) == in_order(shape)
    assert reshaped(axes, (2, 9, 8)) is None


@pytest.mark.parametrize("case", ["nhwc_in", "nhwc_flatten", "opset7", "mean_mean"])
def test_published_spellings(shared: Path, case: str) -> None:
    path = shared / "cases" / f"{case}.onnx"
    graph = load(path).graph
    shape = [d.dim_value for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]
    x = RNG.standard_normal(shape).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(path.read_bytes()).run(None, {"input": x})
    planes = x.transpose(0, 3, 1, 2) if case == "nhwc_in" else x
    found = evaluate(graph, {"input": planes})[graph.outputs[0]].ravel()
    if case == "opset7":
        found = np.exp(found) / np.exp(found).sum()  # it ends in a Softmax
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("file", ["mlperf_tiny/vww01_mobilenet_float_tflite2onnx", "published/resnet20_cifar10"])
def test_published_networks(shared: Path, file: str) -> None:
    path = shared / "data" / f"{file}.onnx"
    imported = load(path)
    x = RNG.uniform(0, 1, (1, *imported.graph.inputs[0].shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(path.read_bytes())
    (expected,) = session.run(None, {session.get_inputs()[0].name: x})
    found = evaluate(imported.graph, {imported.graph.inputs[0].name: x})[imported.graph.outputs[0]].ravel()
    if imported.head == "softmax":
        found = np.exp(found) / np.exp(found).sum()
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("perm", [(0, 1, 2, 3), (0, 2, 3, 1)])
@pytest.mark.parametrize("axes", [[1], [2], [3], [1, 2], [-1, 2], [1, 3], [1, 2, 3]])
def test_a_mean_over_any_axes(axes: list[int], perm: tuple[int, ...], keepdims: int) -> None:
    """Of planes in either order; a mean over channels is a convolution."""
    size = np.zeros((2, 3, 4, 5)).transpose(perm).mean(tuple(axes))[0].size
    nodes = [
        node("Relu", "x a"),
        node("Conv", "a k p"),
        node("Transpose", "p b", perm=perm),
        node("ReduceMean", "b axes c", keepdims=keepdims),
        node("Reshape", "c flat d"),
        node("MatMul", "d matrix y"),
    ]
    constants = {"k": weights(3, 2, 1, 1), "axes": axes, "flat": [-1, size], "matrix": weights(size, 6)}
    same(model(nodes, (2, 2, 4, 5), opset=18, **constants), channel_last=False)
