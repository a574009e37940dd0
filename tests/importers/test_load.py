"""``load`` takes the name of a network, or a file."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dcgen.errors import ConfigError, DcgenError, ModelError, WeightsError
from dcgen.importers import load
from dcgen.ir.to_onnx import to_onnx
from dcgen.models.build import build_graph
from dcgen.models.catalogue import DIGITS


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    rng = np.random.default_rng(8)
    path = tmp_path / "w.npz"
    np.savez(path, **{k: rng.normal(size=s).astype(np.float32) for k, s in DIGITS.parameters().items()})
    return path


def test_a_name_with_weights(weights: Path) -> None:
    imported = load("digits", weights)
    assert (imported.source, imported.head, imported.preprocess_hint) == ("digits", "none", "digits")
    assert imported.graph.inputs[0].shape == (1, 16, 16)


def test_a_name_at_another_size(weights: Path) -> None:
    assert load("digits", weights, input_size=24).graph.inputs[0].shape == (1, 24, 24)
    with pytest.raises(ConfigError, match="pictures of 4x4 are too small"):
        load("digits", weights, input_size=4)
    with pytest.raises(ConfigError, match="input size: is at least 1, found 0"):
        load("digits", weights, input_size=0)


def test_a_shipped_checkpoint_needs_no_weights() -> None:
    assert load("digits").graph.name == "digits"


def test_an_onnx_file(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "net.ONNX"
    path.write_bytes(to_onnx(load("digits", weights).graph).SerializeToString())
    imported = load(path)
    assert imported.source == str(path)
    assert imported.preprocess_hint is None
    assert len(imported.graph.nodes) == len(load("digits", weights).graph.nodes)


@pytest.mark.parametrize(
    ("model", "with_weights", "kind", "message"),
    [
        ("squeezenet", False, ConfigError, "squeezenet: is not a known model, expected one of squeezenet1_0, "),
        ("squeezenet1_1", False, ConfigError, "squeezenet1_1: needs a file of trained weights"),
        ("squeezenet1_1", True, WeightsError, "array features.0.weight of squeezenet1_1 has shape (64, 3, 3, 3)"),
        ("nowhere/m.onnx", False, ModelError, "nowhere/m.onnx: no such file"),
        ("m.tflite", False, ModelError, "m.tflite: no such file"),
        (__file__, False, ModelError, "found suffix '.py'"),
    ],
)
def test_what_cannot_be_found(weights: Path, model: str, with_weights: bool, kind: type, message: str) -> None:
    with pytest.raises(DcgenError) as error:
        load(model, weights if with_weights else None)
    assert type(error.value) is kind
    assert message in str(error.value)


def test_a_state_dict_is_not_a_model(weights: Path) -> None:
    hint = "a state dict goes with a name: give the model's name, and the file as `weights`"
    with pytest.raises(ModelError, match=hint):
        load(weights)


def test_a_file_takes_no_weights(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "m.onnx"
    spec = replace(DIGITS, size=16)
    params = dict(np.load(weights))
    path.write_bytes(to_onnx(build_graph(spec, params)).SerializeToString())
    with pytest.raises(ConfigError, match="holds its own weights"):
        load(path, weights)


def test_importing_the_importers_imports_no_torch_and_no_tflite() -> None:
    found = "sys.exit(not sys.modules.keys().isdisjoint(('torch', 'tflite')))"
    code = f"import sys, dcgen.importers, dcgen.ir.to_onnx, dcgen.ir.evaluate; {found}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
