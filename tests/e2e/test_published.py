"""Published networks of few bits, kept as they are; every test is slow and needs the shared data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.process import dcgen_json

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files of 1,000 training digits, and of the 10,000 test digits, as the networks read them: byte / 255."""
    folder, given = tmp_path_factory.mktemp("digits"), np.load(shared / "data/mnist/mnist.npz")
    some = np.random.default_rng(0).permutation(60000)[:1000]
    files = folder / "some.npz", folder / "test.npz"
    np.savez(files[0], x=given["x_train"][some, None].astype(np.float32) / 255)
    np.savez(files[1], x=given["x_test"][:, None].astype(np.float32) / 255, y=given["y_test"])
    return files


@pytest.mark.parametrize(("name", "oracle"), [("TFC_1W1A", 0.9296), ("TFC_1W2A", 0.9474), ("TFC_2W2A", 0.9660)])
def test_activations_of_one_and_two_bits_are_exact_enough(
    shared: Path, digits: tuple[Path, Path], tmp_path: Path, name: str, oracle: float
) -> None:
    """QONNX files; ``oracle`` is the top-1 accuracy that the package qonnx computes."""
    model, (some, test) = shared / f"data/published/{name}.onnx", digits
    dcgen_json("compile", model, "--calibration", some, "--recipe", "keep", "-o", tmp_path / "out")
    found = dcgen_json("eval", tmp_path / "out", "--images", test)
    assert found["n"] == 10_000 and abs(found["compressed"]["top1"] - oracle) <= 0.002
    assert (tmp_path / "out/model.dcb").stat().st_size <= 12_000  # of 59,008 weights of one or two bits
    (check,) = dcgen_json("verify", tmp_path / "out", "--on", "host", "--count", "1")["checks"]
    assert check["mismatches"] == 0 < check["bytes_compared"]
