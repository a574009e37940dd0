"""Operators of TFLite on single elements, and on parts of tensors, agree with TFLite's own interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite

from dcgen.errors import ModelError, UnsupportedError
from dcgen.ir.evaluate import evaluate
from tests.importers.test_tflite_import import interpreted, kinds, load_bytes, same, vector, weights
from tests.importers.tflite_files import Op, T, build, constant

SHAPE = (1, 4, 5, 6)
POSITIVE = [Op("ABS", ["x"], ["a"]), Op("ADD", ["a", "half"], ["p"], "AddOptions")]
"""A tensor p that is positive."""


def check(path: Path, operators: Sequence[Op], made: Sequence[int] = SHAPE, **more: Any) -> list[str]:
    """Assert that operators from x to y and a fully connected layer behind them are imported as what they compute.

    made : shape of y
    more : constants; and shapes, perhaps with types, of tensors between, where they are not those of x

    Returns the kinds of nodes.
    """
    constants = {n: a for n, a in more.items() if isinstance(a, np.ndarray | np.generic)} | {
        "half": np.float32([0.5])
    }
    between = {n for o in operators for n in (*o.inputs, *o.outputs)} - {"", "x", "y", *constants}
    tensors = [T("x", SHAPE), *(T(n, *more.get(n, (SHAPE,))) for n in sorted(between)), T("y", made)]
    tensors += [constant(n, a) for n, a in constants.items()]
    *first, last = operators
    data = build(tensors, [*first, *vector(last, tensors)], ["x"], ["y"])
    return kinds(same(path / "m.tflite", data, SHAPE))


@pytest.mark.parametrize("kind", ["ABS", "CEIL", "FLOOR", "NEG", "ROUND", "SIGN", "SQUARE"])
def test_a_function_of_one_number(kind: str, tmp_path: Path) -> None:
    assert "Function" in check(tmp_path, [Op(kind, ["x"], ["y"])]) or kind in ("NEG", "SQUARE")


@pytest.mark.parametrize("kind", ["EXP", "LOG", "RSQRT", "SQRT"])
def test_a_function_of_positive_numbers(kind: str, tmp_path: Path) -> None:
    check(tmp_path, [*POSITIVE, Op(kind, ["p"], ["y"])])


def test_powers_slopes_and_differences(tmp_path: Path) -> None:
    operators = [
        *POSITIVE,
        Op("POW", ["p", "three"], ["c"]),
        Op("PRELU", ["x", "slopes"], ["d"]),
        Op("SQUARED_DIFFERENCE", ["c", "d"], ["e"]),
        Op("ADD_N", ["c", "d", "e"], ["y"]),
    ]
    check(tmp_path, operators, three=np.float32([3]), slopes=weights(1, 1, 6))


@pytest.mark.parametrize("kind", ["GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"])
@pytest.mark.parametrize("select", ["SELECT", "SELECT_V2"])
def test_comparisons_and_choices(kind: str, select: str, tmp_path: Path) -> None:
    operators = [
        Op(kind, ["x", "half"], ["c"]),
        Op("NEG", ["x"], ["n"]),
        Op(select, ["c", "x", "n"], ["d"]),
        Op("CAST", ["c"], ["e"], "CastOptions", {"InDataType": tflite.TensorType.BOOL}),
        Op("MUL", ["d", "e"], ["f"], "MulOptions"),
        Op("ADD", ["f", "d"], ["y"], "AddOptions"),
    ]
    check(tmp_path, operators, c=(SHAPE, np.bool_))


@pytest.mark.parametrize("kind", ["SUM", "REDUCE_MAX", "MEAN"])
@pytest.mark.parametrize("axes", [[1], [2], [3], [1, 2], [-1, 1, 2]])
def test_reductions(kind: str, axes: list[int], tmp_path: Path) -> None:
    made = tuple(1 if i in axes or i - 4 in axes else n for i, n in enumerate(SHAPE))
    reduced = Op(kind, ["x", "axes"], ["y"], "ReducerOptions", {"KeepDims": True})
    check(tmp_path, [reduced], made, axes=np.int32(axes))


def test_a_gate_for_each_row(tmp_path: Path) -> None:
    operators = [
        Op("MEAN", ["x", "axes"], ["m"], "ReducerOptions", {"KeepDims": True}),
        Op("LOGISTIC", ["m"], ["g"]),
        Op("MUL", ["g", "x"], ["y"], "MulOptions"),
    ]
    assert "Upsample" in check(tmp_path, operators, axes=np.int32([2, 3]), m=((1, 4, 1, 1),), g=((1, 4, 1, 1),))


def test_local_response_normalization(tmp_path: Path) -> None:
    numbers = {"Radius": 2, "Alpha": 0.3, "Beta": 0.75, "Bias": 1.5}
    check(
        tmp_path,
        [Op("LOCAL_RESPONSE_NORMALIZATION", ["x"], ["y"], "LocalResponseNormalizationOptions", numbers)],
    )


def test_slices_and_splits_of_channels_rows_and_columns(tmp_path: Path) -> None:
    part = ((1, 4, 5, 2),)
    operators = [
        Op("SPLIT", ["last", "x"], ["a", "b", "c"], "SplitOptions", {"NumSplits": 3}),
        Op("SPLIT_V", ["x", "sizes", "last"], ["d", "e"], "SplitVOptions", {"NumSplits": 2}),
        Op("SLICE", ["e", "begin", "size"], ["f"]),
        Op("GATHER", ["x", "indices"], ["g"], "GatherOptions", {"Axis": -1}),
        Op("ADD_N", ["c", "a", "d", "g"], ["s"]),
        Op("SLICE", ["s", "row", "rest"], ["t"]),
        Op("ADD", ["t", "f"], ["y"], "AddOptions"),
    ]
    more = {"last": np.int32(3), "sizes": np.int32([2, -1]), "indices": np.int32([5, 0])}
    more |= {"begin": np.int32([0, 1, 2, 1]), "size": np.int32([1, 2, 2, 2])}
    more |= {"row": np.int32([0, 0, 3, 0]), "rest": np.int32([-1, 2, -1, -1])}
    shapes = dict.fromkeys("abcdgs", part) | {"e": ((1, 4, 5, 4),), "f": ((1, 2, 2, 2),), "t": ((1, 2, 2, 2),)}
    check(tmp_path, operators, (1, 2, 2, 2), **more, **shapes)


def test_rows_are_taken_apart_and_joined_as_channels(tmp_path: Path) -> None:
    row = ((1, 5, 6),)
    operators = [
        Op("UNPACK", ["x"], ["a", "b", "c", "d"], "UnpackOptions", {"Axis": 1, "Num": 4}),
        Op("ADD_N", ["a", "b", "c", "d"], ["y"]),
    ]
    check(tmp_path, operators, (1, 5, 6), **dict.fromkeys("abcd", row))


def test_means_are_packed(tmp_path: Path) -> None:
    operators = [
        Op("MEAN", ["x", "last"], ["a"], "ReducerOptions"),
        Op("REDUCE_MAX", ["x", "last"], ["b"], "ReducerOptions"),
        Op("PACK", ["a", "b"], ["y"], "PackOptions", {"Axis": 3, "ValuesCount": 2}),
    ]
    check(tmp_path, operators, (1, 4, 5, 2), last=np.int32([3]), a=((1, 4, 5),), b=((1, 4, 5),))


def test_a_tensor_is_broadcast(tmp_path: Path) -> None:
    operators = [
        Op("MEAN", ["x", "axes"], ["m"], "ReducerOptions", {"KeepDims": True}),
        Op("BROADCAST_TO", ["m", "shape"], ["y"]),
    ]
    check(tmp_path, operators, axes=np.int32([1, 2]), shape=np.int32(SHAPE), m=((1, 1, 1, 6),))


def test_a_pixel_is_mirrored(tmp_path: Path) -> None:
    padding, form = np.int32([[0, 0], [1, 1], [0, 1], [0, 0]]), "MirrorPadOptions"
    symmetric = Op("MIRROR_PAD", ["x", "padding"], ["y"], form, {"Mode": tflite.MirrorPadMode.SYMMETRIC})
    assert check(tmp_path, [symmetric], (1, 6, 6, 6), padding=padding)[0] == "Pad"
    reflecting = Op("MIRROR_PAD", ["x", "padding"], ["y"], form, {"Mode": tflite.MirrorPadMode.REFLECT})
    with pytest.raises(UnsupportedError, match=r"y \(MIRROR_PAD\): symmetric padding .* found reflecting one"):
        load_bytes(tmp_path / "n.tflite", written(reflecting, padding=padding))


def test_a_network_that_segments(tmp_path: Path) -> None:
    """Its output has channels last and a softmax for each pixel; here it is planes, and the host applies that."""
    same_size, two = {"Padding": tflite.Padding.SAME}, {"StrideW": 2, "StrideH": 2}
    one = {"StrideW": 1, "StrideH": 1}
    operators = [
        Op("CONV_2D", ["x", "w", "b"], ["a"], "Conv2DOptions", same_size | two),
        Op("RESIZE_NEAREST_NEIGHBOR", ["a", "size"], ["r"], "ResizeNearestNeighborOptions"),
        Op("CONCATENATION", ["r", "x"], ["c"], "ConcatenationOptions", {"Axis": -1}),
        Op("CONV_2D", ["c", "v", "b"], ["l"], "Conv2DOptions", same_size | one),
        Op("SOFTMAX", ["l"], ["y"], "SoftmaxOptions", {"Beta": 1.0}),
    ]
    tensors = [
        T("x", (1, 4, 6, 3)),
        T("a", (1, 2, 3, 5)),
        T("c", (1, 4, 6, 8)),
        constant("size", np.int32([4, 6])),
    ]
    tensors += [T(n, (1, 4, 6, 5)) for n in "rly"]
    tensors += [constant("w", weights(5, 3, 3, 3)), constant("v", weights(5, 3, 3, 8)), constant("b", weights(5))]
    path = tmp_path / "m.tflite"
    model = load_bytes(path, build(tensors, operators, ["x"], ["y"]))
    assert (model.head, model.graph.shapes[model.graph.outputs[0]]) == ("softmax", (5, 4, 6))
    rows = np.random.default_rng(0).standard_normal((2, 4, 6, 3)).astype(np.float32)
    planes = evaluate(model.graph, {"x": rows.transpose(0, 3, 1, 2)})[model.graph.outputs[0]]
    shares = np.exp(planes) / np.exp(planes).sum(1, keepdims=True)
    found = shares.transpose(0, 2, 3, 1).reshape(2, -1)
    np.testing.assert_allclose(found, interpreted(path, rows), rtol=1e-4, atol=1e-5)


def written(operator: Op, outputs: Sequence[str] = ("y",), **constants: np.ndarray) -> bytes:
    tensors = [T("x", SHAPE), *(T(n, SHAPE) for n in outputs), *(constant(n, a) for n, a in constants.items())]
    return build(tensors, [operator], ["x"], outputs)


@pytest.mark.parametrize(
    ("operator", "error", "problem"),
    [
        (Op("SPLIT", ["axis", "x"], ["y", "z"]), ModelError, "splits 5 into 2 equal parts"),
        (Op("SPLIT", ["nine", "x"], ["y", "z"]), ModelError, "has axis 9 of 4"),
        (Op("SPLIT", ["sizes", "x"], ["y", "z"]), ModelError, r"has one axis, found \[2, 2\]"),
        (Op("SPLIT_V", ["x", "sizes", "axis"], ["y"]), ModelError, "and has 1 outputs"),
        (Op("SLICE", ["x", "sizes", "axis"], ["y"]), ModelError, r"begins at \[2, 2\] with a size of \[2\]"),
        (Op("GATHER", ["x", "axis"], ["y"], "GatherOptions", {"BatchDims": 1}), UnsupportedError, "batch_dims 0"),
        (Op("GATHER", ["x", "half"], ["y"], "GatherOptions"), ModelError, "its indices are integers"),
        (Op("ABS", ["x"], ["y", "z"]), ModelError, "makes 1 outputs, found 2"),
    ],
)
def test_others_are_refused(operator: Op, error: type[Exception], problem: str, tmp_path: Path) -> None:
    constants = {"axis": np.int32(2), "nine": np.int32(9), "sizes": np.int32([2, 2]), "half": np.float32([0.5])}
    with pytest.raises(error, match=rf"operator y \({operator.kind}\): .*{problem}"):
        load_bytes(tmp_path / "m.tflite", written(operator, operator.outputs, **constants))
