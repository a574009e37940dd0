"""Networks with filters of zeros, from a file to machines: the channels are gone, the figures tell the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dcgen.ir.graph import Add, Clip, Conv, Flatten, Graph, Input, MaxPool, Node, Weight
from dcgen.ir.to_onnx import to_onnx
from tests.graphs import conv
from tests.process import dcgen_json

FORM = ("--mean", "128,128,128", "--std", "64,64,64", "--order", "rgb")
QUICK = ("--recipe", "deep-compression", "--density", "1")
EMPTY = {"a": [1, 2, 5], "b": [0, 1, 2, 4], "c": [2, 4, 7], "f": [0, 3, 4]}
"""Filters of zeros by convolution. ``b`` and ``c`` are added: channels 2 and 4 are zero in both."""
REMOVED = {"a": 3, "b": 2, "c": 2, "f": 3, "g": 0}


def network() -> Graph:
    """A residual network on 3 x 8 x 8 pictures, in 0.3 of its filters all zeros."""
    rng = np.random.default_rng(3)

    def layer(name: str, out: int, inp: int, size: int, pads: int = 0) -> Conv:
        made = conv(rng, out, inp, (size, size), pads=(pads,) * 4)
        weight, bias = made.weight.values.copy(), made.bias.copy()
        weight[EMPTY.get(name, [])] = 0
        if name != "f":
            bias[EMPTY.get(name, [])] = 0  # what is padded is zero, and a constant must be, too
        return replace(made, weight=Weight(weight), bias=bias)

    nodes = (
        Node("a", layer("a", 8, 3, 3, 1), ("x",)),
        Node("ra", Clip(), ("a",)),
        Node("b", layer("b", 8, 8, 3, 1), ("ra",)),
        Node("c", layer("c", 8, 8, 1), ("ra",)),
        Node("s", Add(), ("b", "c")),
        Node("rs", Clip(), ("s",)),
        Node("m", MaxPool((2, 2), (2, 2)), ("rs",)),
        Node("flat", Flatten(), ("m",)),
        Node("f", layer("f", 12, 8 * 4 * 4, 1), ("flat",)),
        Node("rf", Clip(), ("f",)),
        Node("g", layer("g", 6, 12, 1), ("rf",)),
    )
    return Graph("sparse", (Input("x", (3, 8, 8)),), nodes, ("g",))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The network as ONNX, and pictures of noise."""
    folder = tmp_path_factory.mktemp("sparse")
    (folder / "model.onnx").write_bytes(to_onnx(network()).SerializeToString())
    np.savez(folder / "noise.npz", x=np.random.default_rng(4).integers(0, 256, (60, 8, 8, 3), np.uint8))
    return folder / "model.onnx", folder / "noise.npz"


def test_a_network_loses_its_empty_filters_and_keeps_its_count(files: tuple[Path, Path], tmp_path: Path) -> None:
    model, noise = files
    found = dcgen_json("compile", model, "--calibration", noise, *FORM, *QUICK, "-o", tmp_path / "out")
    assert {a["name"]: a["removed_channels"] for a in found["layers"]} == REMOVED
    assert found["removed_channels"] == sum(REMOVED.values())
    graph = network()
    assert found["parameters"] == sum(op.weight.values.size + len(op.bias) for _, op in graph.convs())
    assert found["macs"] == dcgen_json("inspect", model)["macs"]
    shapes = {t["name"]: t["shape"] for t in found["tensors"]}
    assert shapes["a"] == [5, 8, 8] and shapes["m"] == [6, 4, 4]
    assert found["held_out"]["agreement"] > 0.7
    (check,) = dcgen_json("verify", tmp_path / "out", "--on", "host")["checks"]
    assert check["mismatches"] == 0 < check["bytes_compared"]


@pytest.mark.slow
def test_processor_and_engine_compute_what_is_left(files: tuple[Path, Path], tmp_path: Path) -> None:
    model, noise = files
    dcgen_json(
        "compile", model, "--calibration", noise, *FORM, *QUICK, "--target", "engine-8", "-o", tmp_path / "out"
    )
    checks = dcgen_json("verify", tmp_path / "out", "--on", "qemu-cortex-m4", "--on", "rtl")["checks"]
    assert [c["mismatches"] for c in checks] == [0, 0] and all(c["bytes_compared"] for c in checks)
