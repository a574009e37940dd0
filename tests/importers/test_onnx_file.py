"""A file that is no ONNX model, or a damaged one, is refused with one line that names it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgen.errors import DcgenError, ModelError
from dcgen.importers.onnx_import import load_onnx
from dcgen.ir.graph import Clip, Conv, Flatten, Graph, Input, MaxPool, Node, Weight
from dcgen.ir.to_onnx import to_onnx

GRAPH = Graph(
    "small",
    (Input("x", (1, 6, 6)),),
    (
        Node("conv", Conv(Weight(np.ones((2, 1, 3, 3), np.float32)), np.zeros(2, np.float32)), ("x",)),
        Node("relu", Clip(0.0, 6.0), ("conv",)),
        Node("pool", MaxPool((2, 2), (2, 2)), ("relu",)),
        Node("flat", Flatten(), ("pool",)),
    ),
    ("flat",),
)
FILE = to_onnx(GRAPH).SerializeToString()


def refused(path: Path, pattern: str) -> None:
    with pytest.raises(ModelError, match=pattern) as error:
        load_onnx(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_missing_files(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "no such file")


@pytest.mark.parametrize("content", [b"", b"This is not a model.\n" * 9, b"\x00" * 64, b'{"graph": {}}'])
def test_other_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    refused(path, "is not an ONNX model")


def test_missing_external_data(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = onnx.load_from_string(FILE)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert load_onnx(path).graph.outputs == ("flat",)
    (tmp_path / "weights.bin").unlink()
    refused(path, "external data cannot be read")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_end_in_our_errors(tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(FILE)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(FILE) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "m.onnx"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(FILE)))] if data.draw(st.booleans()) else damaged)
    try:
        load_onnx(path)  # damage in a weight or a name is no damage to the format
    except DcgenError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)


def test_a_default_size_fills_open_axes_and_never_contradicts_fixed_ones(tmp_path):
    for dims, wanted in ((["N", 3, "H", "W"], (3, 20, 20)), ([1, 3, 9, 7], (3, 9, 7))):
        node = onnx.helper.make_node("Relu", ["x"], ["y"])
        values = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, dims) for n in ("x", "y")]
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:]))
        path = tmp_path / "m.onnx"
        onnx.save(model, path)
        assert load_onnx(path, default_size=20).graph.inputs[0].shape == wanted
