"""What the ONNX importer makes of each operator, and the one line with which it refuses what it cannot import."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dcgen.errors import ConfigError, ModelError, UnsupportedError
from dcgen.importers.onnx_file import NEWEST_OPSET
from dcgen.importers.onnx_import import import_onnx, load_onnx
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import Add, Affine, Clip, Conv, Flatten, GlobalAvgPool, MaxPool, Pad

WEIGHT = np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), output.split(), name=f"the_{kind}", **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    dims: Sequence[int | str] = ("N", 1, 6, 6),
    outputs: str = "y",
    opset: int = 18,
    **constants: Any,
) -> onnx.ModelProto:
    """A model with input x and outputs of unknown shape; ``constants`` become initialisers."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, [None] * 4) for o in outputs.split()],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )
    for output in graph.output:
        output.type.tensor_type.shape.SetInParent()
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def ops(m: onnx.ModelProto) -> list[str]:
    return [type(n.op).__name__ for n in import_onnx(m, "m.onnx").graph.nodes]


def refusal(m: onnx.ModelProto, kind: type[Exception] = UnsupportedError) -> str:
    with pytest.raises(kind) as error:
        import_onnx(m, "m.onnx")
    assert type(error.value) is kind
    assert str(error.value).startswith("m.onnx: ")
    assert "\n" not in str(error.value)
    return str(error.value)


# What becomes of the operators --------------------------------------------------------------------


def test_nodes_keep_their_names() -> None:
    graph = import_onnx(model([node("Conv", "x w", "c"), node("Relu", "c", "y")], w=WEIGHT), "m.onnx").graph
    assert [n.name for n in graph.nodes] == ["the_Conv", "the_Relu"]
    assert graph.outputs == ("the_Relu",)
    assert isinstance(graph.nodes[0].op, Conv)
    assert graph.nodes[1].op == Clip(0.0, float("inf"))


def test_a_dilation_along_an_axis_of_one_tap_means_nothing() -> None:
    def dilation(kernel: tuple[int, int]) -> tuple[int, int]:
        conv = node("Conv", "x w", "y", dilations=[2, 3], auto_pad="SAME_UPPER")
        graph = import_onnx(model([conv], w=np.ones((2, 1, *kernel), np.float32)), "m.onnx").graph
        assert graph.shapes[graph.outputs[0]] == (2, 6, 6)
        assert isinstance(graph.nodes[0].op, Conv)
        return graph.nodes[0].op.dilation

    assert dilation((3, 3)) == (2, 3)
    assert dilation((3, 1)) == (2, 1)
    assert dilation((1, 1)) == (1, 1)


def test_equal_node_names_are_told_apart() -> None:
    graph = import_onnx(model([node("Relu", "x", "a"), node("Relu", "a", "y")]), "m.onnx").graph
    assert [n.name for n in graph.nodes] == ["the_Relu", "the_Relu_1"]


def test_a_sum_of_three_is_a_chain() -> None:
    graph = import_onnx(model([node("Sum", "x x x", "y")]), "m.onnx").graph
    assert [(n.name, n.op, n.inputs) for n in graph.nodes] == [
        ("the_Sum.1", Add(), ("x", "x")),
        ("the_Sum", Add(), ("the_Sum.1", "x")),
    ]


def test_same_padding_puts_the_odd_pixel_where_it_says() -> None:
    def pads(auto_pad: str) -> tuple[int, ...]:
        pool = node("MaxPool", "x", "y", kernel_shape=[3, 2], strides=[2, 1], auto_pad=auto_pad)
        op = import_onnx(model([pool]), "m.onnx").graph.nodes[0].op
        assert isinstance(op, MaxPool)
        return op.pads

    assert pads("SAME_UPPER") == (0, 0, 1, 1)
    assert pads("SAME_LOWER") == (1, 1, 0, 0)
    assert pads("VALID") == (0, 0, 0, 0)


def test_a_gemm_is_a_convolution_of_the_flattened_tensor() -> None:
    matrix = np.arange(72, dtype=np.float32).reshape(36, 2)
    m = model([node("Flatten", "x", "f"), node("Gemm", "f b c", "y", alpha=2.0)], b=matrix, c=np.float32(3))
    flatten, gemm = import_onnx(m, "m.onnx").graph.nodes
    assert flatten.op == Flatten()
    assert isinstance(gemm.op, Conv)
    assert np.array_equal(gemm.op.weight.values[:, :, 0, 0], 2 * matrix.T)
    assert gemm.op.bias.tolist() == [3, 3]


def test_batch_normalisation_and_constants_per_channel_are_affine() -> None:
    per_channel = np.array([2, 4], np.float32).reshape(2, 1, 1)
    dims = ("N", 2, 3, 3)

    def affine(kind: str, inputs: str) -> tuple[list[float], list[float]]:
        (only,) = import_onnx(model([node(kind, inputs, "y")], dims, c=per_channel), "m.onnx").graph.nodes
        assert isinstance(only.op, Affine)
        return only.op.scale.tolist(), only.op.shift.tolist()

    assert affine("Add", "c x") == ([1, 1], [2, 4])
    assert affine("Sub", "x c") == ([1, 1], [-2, -4])
    assert affine("Sub", "c x") == ([-1, -1], [2, 4])
    assert affine("Mul", "x c") == ([2, 4], [0, 0])
    assert affine("Div", "x c") == ([0.5, 0.25], [0, 0])


@pytest.mark.parametrize("opset", [7, 8, 9, 13, 18, NEWEST_OPSET])
def test_a_mean_over_the_planes_is_a_global_average(opset: int) -> None:
    if opset < 18:
        m = model([node("ReduceMean", "x", "y", axes=[-1, -2], keepdims=0)], opset=opset)
    else:
        m = model([node("ReduceMean", "x a", "y", keepdims=0)], opset=opset, a=np.array([2, 3]))
    assert [n.op for n in import_onnx(m, "m.onnx").graph.nodes] == [GlobalAvgPool()]


@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 18, NEWEST_OPSET])
@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_a_softmax_at_the_end_is_left_to_the_host(opset: int, kind: str) -> None:
    m = model([node("GlobalAveragePool", "x", "a"), node(kind, "a", "y", axis=1)], ("N", 5, 3, 3), opset=opset)
    imported = import_onnx(m, "m.onnx")
    assert imported.head == {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[kind]
    assert imported.graph.outputs == ("the_GlobalAveragePool",)


def test_a_sigmoid_at_the_end_is_left_to_the_host() -> None:
    nodes = [node("GlobalAveragePool", "x", "a"), node("Sigmoid", "a", "s"), node("Flatten", "s", "y")]
    imported = import_onnx(model(nodes), "m.onnx")
    assert (imported.head, imported.graph.outputs) == ("sigmoid", ("the_GlobalAveragePool",))
    between = import_onnx(model([node("Sigmoid", "x", "s"), node("Relu", "s", "y")]), "m.onnx")
    assert (between.head, between.graph.outputs) == ("none", ("the_Relu",))
    twice = model([node("Relu", "x", "s"), node("Sigmoid", "s", "y"), node("Relu", "y", "z")], outputs="y z")
    assert import_onnx(twice, "m.onnx").graph.outputs == ("y", "z")


@pytest.mark.parametrize("kind", ["Sigmoid", "Softmax", "LogSoftmax"])
def test_of_two_heads_the_last_one_is_left_to_the_host(kind: str) -> None:
    nodes = [node("GlobalAveragePool", "x", "a"), node("Sigmoid", "a", "s")]
    nodes.append(node(kind, "s", "y", **({} if kind == "Sigmoid" else {"axis": 1})))
    imported = import_onnx(model(nodes, ("N", 5, 3, 3)), "m.onnx")
    head = {"Sigmoid": "sigmoid", "Softmax": "softmax", "LogSoftmax": "log_softmax"}[kind]
    assert (imported.head, imported.graph.outputs) == (head, ("the_Sigmoid",))


def test_the_class_of_a_softmax_is_that_of_its_scores() -> None:
    nodes = [node("Flatten", "x", "f"), node("Softmax", "f", "s"), node("ArgMax", "s", "i", axis=1, keepdims=0)]
    imported = import_onnx(model([*nodes, node("Cast", "i", "y", to=TensorProto.FLOAT)]), "m.onnx")
    assert (imported.head, imported.graph.outputs) == ("argmax", ("the_Flatten",))


def test_what_feeds_no_output_is_left_out() -> None:
    nodes = [node("Relu", "x", "y"), node("Erf", "x", "unused"), node("Identity", "y", "also_unused")]
    assert ops(model(nodes)) == ["Clip"]


def test_dropout_identity_and_casts_vanish() -> None:
    nodes = [node("Dropout", "x", "a"), node("Identity", "a", "b"), node("Cast", "b", "c", to=TensorProto.FLOAT)]
    assert ops(model([*nodes, node("Relu", "c", "y")])) == ["Clip"]


def test_squeezed_planes_come_back() -> None:
    nodes = [node("GlobalAveragePool", "x", "a"), node("Squeeze", "a", "b"), node("Reshape", "b s", "c")]
    m = model([*nodes, node("Conv", "c w", "y")], s=np.array([1, 1, 1, 1]), w=WEIGHT[:, :, :1, :1])
    assert ops(m) == ["GlobalAvgPool", "Conv"]


@pytest.mark.parametrize(
    "spelling",
    [
        {"value": numpy_helper.from_array(np.float32(0.5))},
        {"value_float": 0.5},
        {"value_floats": [0.5]},
        {
            "sparse_value": helper.make_sparse_tensor(
                numpy_helper.from_array(np.array([0.5], np.float32)), numpy_helper.from_array(np.array([0])), [1]
            )
        },
    ],
    ids=lambda s: next(iter(s)),
)
def test_constant_nodes_in_every_spelling(spelling: dict[str, Any]) -> None:
    (only,) = import_onnx(model([node("Constant", "", "c", **spelling), node("Mul", "x c", "y")]), "m").graph.nodes
    assert isinstance(only.op, Affine)
    assert only.op.scale.tolist() == [0.5]


def test_constants_computed_from_constants() -> None:
    fill = numpy_helper.from_array(np.array([0.25], np.float32))
    nodes = [
        node("ConstantOfShape", "shape", "ones", value=fill),
        node("Unsqueeze", "ones axes", "w"),
        node("Conv", "x w", "y"),
    ]
    m = model(nodes, shape=np.array([1, 2, 2]), axes=np.array([0]))
    (only,) = import_onnx(m, "m.onnx").graph.nodes
    assert isinstance(only.op, Conv)
    assert np.array_equal(only.op.weight.values, np.full((1, 1, 2, 2), 0.25))


def test_a_sparse_initialiser() -> None:
    m = model([node("Conv", "x w", "y")])
    values = numpy_helper.from_array(np.array([3.0, 5.0], np.float32), "w")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([1, 2])), [1, 1, 2, 2])
    m.graph.sparse_initializer.append(sparse)
    (only,) = import_onnx(m, "m.onnx").graph.nodes
    assert isinstance(only.op, Conv)
    assert only.op.weight.values.ravel().tolist() == [0, 3, 5, 0]


def test_functions_are_inlined() -> None:
    m = model([helper.make_node("Twice", ["x"], ["y"], domain="own")])
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    m.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], body, m.opset_import))
    m.opset_import.append(helper.make_opsetid("own", 1))
    assert ops(m) == ["Add"]


def test_padding_of_the_planes() -> None:
    m = model([node("Pad", "x p v a", "y")], p=np.array([1, 2, 3, 4]), v=np.float32(7), a=np.array([3, -2]))
    assert import_onnx(m, "m.onnx").graph.nodes[0].op == Pad((2, 1, 4, 3), 7.0)


def test_two_inputs_and_two_outputs() -> None:
    m = model([node("Add", "x z", "y"), node("Relu", "y", "r")], outputs="y r")
    m.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 1, 6, 6]))
    graph = import_onnx(m, "m.onnx").graph
    assert [i.name for i in graph.inputs] == ["x", "z"]
    assert graph.outputs == ("y", "r")  # of several outputs each keeps its name
    ones = np.ones((2, 1, 6, 6))
    assert (evaluate(graph, {"x": ones, "z": ones})["r"] == 2).all()


# The size of the input ----------------------------------------------------------------------------


def test_open_sizes_take_the_input_size(tmp_path: Path) -> None:
    onnx.save(model([node("Relu", "x", "y")], ("N", 3, "H", "W")), tmp_path / "m.onnx")
    assert load_onnx(tmp_path / "m.onnx", 32).graph.inputs[0].shape == (3, 32, 32)
    with pytest.raises(ConfigError, match=r"m.onnx: input x: axis 2 has no fixed size \(state the input size\)"):
        load_onnx(tmp_path / "m.onnx")


def test_fixed_sizes_are_not_changed() -> None:
    m = model([node("Relu", "x", "y")])
    assert import_onnx(m, "m.onnx", 6).graph.inputs[0].shape == (1, 6, 6)
    with pytest.raises(ConfigError, match=r"m.onnx: input x: is fixed to size 6, found input size 7"):
        import_onnx(m, "m.onnx", 7)


# What is refused ----------------------------------------------------------------------------------


def test_unknown_operators_are_named_with_what_is_supported() -> None:
    message = refusal(model([node("Sin", "x", "y")]))
    assert message.startswith("m.onnx: node the_Sin (Sin): the operator is not supported (supported: Abs Add ")
    assert message.endswith(" Unsqueeze Where)")


def test_operators_of_other_domains_are_named() -> None:
    m = model([helper.make_node("FusedConv", ["x", "w"], ["y"], domain="com.microsoft")], w=WEIGHT)
    m.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert "node y (com.microsoft.FusedConv): the operator is not supported" in refusal(m)


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        (
            [node("MaxPool", "x", "y", kernel_shape=[2, 2], dilations=[1, 2], strides=[1, 3])],
            {},
            "a stride of 1 or of multiples of dilation 2 is supported, without partial windows, found stride 3",
        ),
        (
            [node("ReduceMax", "x c", "y")],
            {"c": np.array([0, 1])},
            "the maximum over all of channels, height or width is supported, found axes [0, 1]",
        ),
        (
            [node("Less", "x c", "b"), node("Where", "b x x", "y")],
            {"c": np.ones(6, np.float32)},
            "its bound (input",
        ),
        ([node("Conv", "x x", "y")], {}, "its weight (input 1) must be constant"),
        ([node("Clip", "x v", "r"), node("Conv", "r w", "y")], {"w": WEIGHT, "v": np.float32("nan")}, ""),
        ([node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[2, 0, 0, 0])], {}, "pads smaller than the kernel"),
        ([node("Pad", "x p", "y", mode="reflect")], {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, "found reflect"),
        ([node("Pad", "x p", "y")], {"p": np.array([0, 0, -1, 0, 0, 0, 0, 0])}, "non-negative padding"),
        (
            [node("ReduceMean", "x a", "p", keepdims=0), node("Sub", "x p", "y")],
            {"a": np.array([1, 2])},
            "tensors of one shape, but for axes of size 1, are supported",
        ),
        (
            [node("Pow", "x c", "y")],
            {"c": np.ones((1, 6))},
            "its exponent (input 1) is one number where supported",
        ),
        (
            [node("Max", "x c", "y")],
            {"c": np.ones((1, 6), np.float32)},
            "its bound (input 1) is one number where supported",
        ),
        ([node("Add", "x c", "y")], {"c": np.ones(6, np.float32)}, "a constant per channel (1) or a scalar"),
        ([node("Softmax", "x", "y", axis=1)], {}, "an axis of all scores of a picture"),
        (
            [node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Conv", "t w", "y")],
            {"w": WEIGHT},
            "reads a transposed tensor (a Transpose is supported where others undo it, and before",
        ),
        (
            [node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Reshape", "t s", "y")],
            {"s": np.array([0, 4, 9])},
            "a reshape of transposed planes keeps or joins whole axes, found (1, 1, 6, 6) to (1, 4, 9)",
        ),
        ([node("Cast", "x", "i", to=TensorProto.INT8), node("Cast", "i", "y", to=1)], {}, "found INT8"),
        (
            [node("Flatten", "x", "f"), node("Softmax", "f", "s"), node("Relu", "s", "y")],
            {},
            "reads a softmax, which is supported at the end of the graph only",
        ),
        (
            [node("Reshape", "x s", "r"), node("GlobalAveragePool", "r", "y")],
            {"s": np.array([0, 4, 3, 3])},
            "is a reshaped (1, 6, 6) tensor",
        ),
    ],
)
def test_forms_beyond_ours_are_refused(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], message: str
) -> None:
    kind = UnsupportedError if message else ModelError
    found = refusal(model(nodes, **constants), kind)
    assert (message or "constant v holds a NaN or infinite value") in found
    if message:
        assert any(f"node {n.name} ({n.op_type})" in found for n in nodes)


def test_opsets_out_of_range_are_refused() -> None:
    assert "uses opset 6, supported are 7 to" in refusal(model([node("Relu", "x", "y")], opset=6))
    newer = model([node("Relu", "x", "y")], opset=NEWEST_OPSET + 1)
    assert f"uses opset {NEWEST_OPSET + 1}" in refusal(newer)


def test_faulty_parameters_are_model_errors() -> None:
    bad = WEIGHT.copy()
    bad[1, 0, 2, 2] = np.nan
    assert "constant w holds a NaN" in refusal(model([node("Conv", "x w", "y")], w=bad), ModelError)
    zero = model([node("Div", "x c", "y")], c=np.float32(0))
    assert "node the_Div (Div): its scale holds a NaN or infinite" in refusal(zero, ModelError)
    wrong = model([node("Conv", "x w", "y")], w=np.ones((2, 3, 3, 3), np.float32))
    assert "does not fit 1 channels" in refusal(wrong, ModelError)
    large = model([node("Conv", "x w", "y")], w=np.ones((1, 1, 7, 7), np.float32))
    assert "node the_Conv" in refusal(large, ModelError)


def test_missing_tensors_are_model_errors() -> None:
    assert "nope" in refusal(model([node("Conv", "x nope", "y")]), ModelError)


def test_forged_sizes_are_not_believed() -> None:
    nodes = [node("ConstantOfShape", "s", "w"), node("Conv", "x w", "y")]
    assert "expected at most" in refusal(model(nodes, s=np.array([1 << 20, 1, 1 << 10, 1 << 10])), ModelError)
    m = model([node("Conv", "x w", "y")], w=WEIGHT)
    m.graph.initializer[0].dims[0] = 1 << 40
    assert "m.onnx" in refusal(m, ModelError)
