"""Dilated pools are what onnxruntime makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dcgen.errors import UnsupportedError
from dcgen.importers.onnx_import import import_onnx
from dcgen.ir.runner import FloatRunner
from tests.e2e.test_operators import Writer, goes_through_every_stage


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int, int, int, int]:
    """Size, kernel, dilation, stride and pads of an axis."""
    kernel, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    stride = draw(st.sampled_from([1, dilation, 2 * dilation]))
    extent = (kernel - 1) * dilation + 1
    begin, end = (draw(st.integers(0, kernel - 1)) for _ in range(2))
    return draw(st.integers(extent, 14)), kernel, dilation, stride, begin, end


@given(axes(), axes(), st.sampled_from(["MaxPool", "AveragePool", "count_include_pad"]))
@settings(max_examples=40, deadline=None)
def test_any_dilation(rows: tuple[int, ...], columns: tuple[int, ...], kind: str) -> None:
    height, width = rows[0], columns[0]
    kernel, dilations, strides, begin, end = (list(pair) for pair in zip(rows[1:], columns[1:], strict=True))
    w, padded = Writer(), kind == "count_include_pad"
    w.add(
        "AveragePool" if padded else kind,
        kernel_shape=kernel, dilations=dilations, strides=strides, pads=begin + end,
        **({"count_include_pad": 1} if padded else {}),
    )  # fmt: skip
    model = w.model(opset=19, shape=(3, height, width))
    try:
        graph = import_onnx(model, "net").graph
    except UnsupportedError as e:
        assume("windows with pixels in them" not in str(e))
        raise
    x = np.random.default_rng(0).normal(size=(2, 3, height, width)).astype(np.float32)
    (expected,) = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(FloatRunner(graph).run(x), expected.reshape(2, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_every_stage(kind: str, tmp_path: Path) -> None:
    w = Writer()
    w.conv("x", 3, 6, 3)
    w.add(kind, kernel_shape=[3, 2], dilations=[2, 3], pads=[2, 0, 2, 1])
    w.conv(w.last, 6, 4, 3, strides=[3, 3])
    goes_through_every_stage(import_onnx(w.model(opset=19), "net").graph, tmp_path)
