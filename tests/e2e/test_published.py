"""Published networks: some of few bits are kept as they are, some are sparse. All tests need the shared data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dcgen.ir.graph import Clip, Conv, Flatten, Graph, Input, MaxPool, Node, Weight
from dcgen.ir.to_onnx import to_onnx
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


def lenet(arrays: dict[str, np.ndarray]) -> Graph:
    """The LeNet of Caffe with these weights: LeNet-5 if it has convolutions, else LeNet-300-100."""

    def layer(name: str) -> Conv:
        weight, bias = (arrays[f"{name}.{i}"].astype(np.float32) for i in (0, 1))
        return Conv(Weight(weight.reshape(*weight.shape[:2], *weight.shape[2:] or (1, 1))), bias)

    nodes, last = [], "x"
    for name in (n.removesuffix(".0") for n in arrays if n.endswith(".0")):
        if name == "ip1":
            nodes.append(Node("flat", Flatten(), (last,)))
            last = "flat"
        nodes.append(Node(name, layer(name), (last,)))
        last = f"{name}.after"
        nodes.append(Node(last, MaxPool((2, 2), (2, 2)) if name.startswith("conv") else Clip(), (name,)))
    return Graph("lenet", (Input("x", (1, 28, 28)),), tuple(nodes[:-1]), (nodes[-2].name,))


@pytest.mark.parametrize(
    ("name", "accuracy", "size"), [("dns_lenet5_sparse", 0.988, 3_700), ("dns_lenet300100_sparse", 0.976, 4_900)]
)
def test_networks_of_dynamic_surgery_lose_their_empty_channels(
    shared: Path, tmp_path: Path, name: str, accuracy: float, size: int
) -> None:
    """Guo et al. 2016: LeNets of which 0.9 and 1.8 % of the weights are left. With empty channels, their files had
    5,924 and 5,984 bytes."""
    model = tmp_path / "model.onnx"
    model.write_bytes(to_onnx(lenet(dict(np.load(shared / f"data/published/{name}.npz")))).SerializeToString())
    given = np.load(shared / "data/mnist/mnist.npz")
    some = np.random.default_rng(0).permutation(60000)[:1000]
    np.savez(tmp_path / "some.npz", x=given["x_train"][some][..., None], y=given["y_train"][some])
    np.savez(tmp_path / "test.npz", x=given["x_test"][..., None], y=given["y_test"])
    form = ("--mean", "0", "--std", "256", "--order", "grey")
    found = dcgen_json("compile", model, "--calibration", tmp_path / "some.npz", *form, "-o", tmp_path / "out")
    assert found["blob_bytes"] <= size and found["removed_channels"] > 0
    told = dcgen_json("eval", tmp_path / "out", "--images", tmp_path / "test.npz")
    assert told["n"] == 10_000 and told["compressed"]["top1"] >= accuracy
    checks = dcgen_json("verify", tmp_path / "out", "--on", "host", "--on", "qemu-cortex-m4", "--count", "1")[
        "checks"
    ]
    assert [c["mismatches"] for c in checks] == [0, 0]
