"""``evaluate`` on pictures small enough to compute by hand (onnxruntime judges it in test_to_onnx)."""

import numpy as np
import pytest

from dcgen.errors import GraphError
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import (
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Conv,
    Flatten,
    GlobalAvgPool,
    Graph,
    Input,
    MaxPool,
    Node,
    Op,
    Pad,
    Weight,
)

PICTURE = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)  # 1 2 3 / 4 5 6 / 7 8 9


def result(op: Op, *inputs: np.ndarray) -> np.ndarray:
    names = tuple(f"x{i}" for i in range(len(inputs)))
    declared = tuple(Input(n, x.shape[1:]) for n, x in zip(names, inputs, strict=True))
    graph = Graph("one", declared, (Node("y", op, names),), ("y",))
    y = evaluate(graph, dict(zip(names, inputs, strict=True)))["y"]
    assert y.shape[1:] == graph.shapes["y"]
    return y


def conv(weight: list, bias: list[float], **more: object) -> Conv:
    return Conv(Weight(np.array(weight, np.float32)), np.array(bias, np.float32), **more)


def test_convolution_is_cross_correlation_with_zero_padding() -> None:
    op = conv([[[[1, 10], [100, 1000]]]], [0.5], pads=(1, 0, 0, 0), stride=(2, 1))
    # windows at rows -1 and 1: 100*1 + 1000*2, and 4 + 10*5 + 100*7 + 1000*8
    assert result(op, PICTURE).tolist() == [[[[2100.5, 3200.5], [8754.5, 9865.5]]]]


def test_groups_see_only_their_own_channels() -> None:
    x = np.array([3.0, 5.0]).reshape(1, 2, 1, 1)
    op = conv([[[[2]]], [[[7]]]], [0, 1], groups=2)
    assert result(op, x).ravel().tolist() == [6, 36]


def test_maximum_ignores_padding() -> None:
    assert result(MaxPool((2, 2), (2, 2), (1, 1, 0, 0)), -PICTURE).tolist() == [[[[-1, -2], [-4, -5]]]]


def test_ceil_mode_adds_a_partial_window() -> None:
    assert result(MaxPool((2, 2), (2, 2)), PICTURE).tolist() == [[[[5]]]]
    assert result(MaxPool((2, 2), (2, 2), ceil=True), PICTURE).tolist() == [[[[5, 6], [8, 9]]]]


@pytest.mark.parametrize(("counts_padding", "corner"), [(False, 3.0), (True, 12 / 9)])
def test_the_divisor_of_an_average(counts_padding: bool, corner: float) -> None:
    op = AvgPool((3, 3), (2, 2), (1, 1, 1, 1), count_include_pad=counts_padding)
    assert result(op, PICTURE)[0, 0, 0, 0] == pytest.approx(corner)


def test_cells_beyond_the_padding_never_count() -> None:
    op = AvgPool((2, 2), (2, 2), ceil=True, count_include_pad=True)
    assert result(op, PICTURE).tolist() == [[[[3, 4.5], [7.5, 9]]]]


def test_the_simple_operators() -> None:
    two = np.concatenate([PICTURE, -PICTURE], 1)
    assert result(Clip(), two).sum() == 45
    assert result(Clip(-2, 6), two).min() == -2
    assert result(GlobalAvgPool(), two).ravel().tolist() == [5, -5]
    assert result(Concat(), PICTURE, two)[0, :, 0, 1].tolist() == [2, 2, -2]
    assert not result(Add(), PICTURE, -PICTURE).any()
    assert result(Pad((0, 1, 2, 0), 7.0), PICTURE)[0, 0, :, 0].tolist() == [7] * 5
    assert result(Flatten(), two).ravel().tolist() == two.ravel().tolist()
    affine = Affine(np.array([2, 3], np.float32), np.array([0, 1], np.float32))
    assert result(affine, two)[0, :, 0, 0].tolist() == [2, -2]


def test_an_input_of_the_wrong_shape_is_refused() -> None:
    graph = Graph("one", (Input("x", (1, 3, 3)),), (), ("x",))
    with pytest.raises(GraphError, match=r"x: is an input of shape .*3, 3.*found \(1, 1, 2, 2\)"):
        evaluate(graph, {"x": np.zeros((1, 1, 2, 2))})
    with pytest.raises(GraphError, match="found nothing"):
        evaluate(graph, {})
