"""Resized planes are imported as what onnxruntime says they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from dcgen.errors import UnsupportedError
from dcgen.importers.onnx_import import import_onnx
from dcgen.ir.graph import Conv, MaxPool, Pad, Upsample
from tests.importers.test_onnx_upsampling import noise, run, same

PLACES = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")


def model(size: tuple[int, int], made: tuple[int, int], **attributes: Any) -> ModelProto:
    """Planes of ``size`` resized to ``made``, their sizes as a constant."""
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], name="made", **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, *size])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    sizes = numpy_helper.from_array(np.array([2, 3, *made]), "sizes")
    graph = helper.make_graph([node], "net", [x], [y], [sizes])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


SIDE = st.integers(1, 5)


@settings(max_examples=100, deadline=None)
@given(st.tuples(SIDE, SIDE), st.sampled_from([1, 2, 3, 0.5, 1.5]), st.sampled_from(PLACES), st.booleans())
def test_any_size(size: tuple[int, int], factor: float, places: str, linear: bool) -> None:
    made = (max(1, int(size[0] * factor)), max(1, int(size[1] * 2)))
    mode = {"mode": "linear"} if linear else {"mode": "nearest", "nearest_mode": "floor"}
    m, x = model(size, made, coordinate_transformation_mode=places, **mode), noise(2, 3, *size)
    try:
        same(m, run(m, x), x)
    except UnsupportedError as e:
        assert "blocks of" in str(e) and places == "align_corners"


@pytest.mark.parametrize(
    ("mode", "places", "made", "kinds"),
    [
        ("nearest", "asymmetric", (8, 12), [Upsample]),
        ("nearest", "asymmetric", (2, 3), [MaxPool]),
        ("linear", "half_pixel", (8, 8), [Pad, Conv, Upsample]),
        ("linear", "half_pixel", (2, 2), [Conv]),
    ],
)
def test_what_it_is_made_of(mode: str, places: str, made: tuple[int, int], kinds: list[type]) -> None:
    size = (4, 6) if mode == "nearest" else (4, 4)
    m = model(size, made, mode=mode, coordinate_transformation_mode=places, nearest_mode="floor")
    assert [type(n.op) for n in import_onnx(m, "net").graph.nodes] == kinds
