"""The classifiers of torchvision, with random weights: all machines compute what the golden model does."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.process import dcgen, dcgen_json

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SIZE = 96
FORM = ("--mean", "127.5,127.5,127.5", "--std", "64,64,64", "--order", "rgb")
QUICKEST = ("--recipe", "deep-compression", "--set", "density=0.3", "--set", "conv_bits=4", "--set", "fc_bits=4")
"""Settings at which the largest network fits the machine's 4 MB of flash."""
NETWORKS = ("mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0")
NETWORKS += ("resnet18", "mnasnet0_5", "regnet_x_400mf", "regnet_y_400mf", "densenet121", "googlenet")


@pytest.fixture(scope="module")
def architectures() -> Any:
    """``torchvision.models``. A build of torchvision for GPUs cannot load its operators beside a PyTorch for CPUs;
    the networks use none, but importing them takes their names."""
    try:
        yield import_module("torchvision.models")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")  # names last as long as this
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        yield import_module("torchvision.models")


def network(architectures: Any, name: str) -> Any:
    """A network whose batch normalizations have the statistics of random pictures, so that no layer overflows or
    falls silent."""
    torch.manual_seed(1)
    made = getattr(architectures, name)(num_classes=10, **{"init_weights": True} if name == "googlenet" else {})
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics are means over all batches
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    with torch.no_grad():
        made.train()(torch.randn(16, 3, SIZE, SIZE))
    return made.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_compiled_and_verified(architectures: Any, name: str, tmp_path: Path) -> None:
    x = torch.zeros(1, 3, SIZE, SIZE)
    torch.onnx.export(network(architectures, name), x, str(tmp_path / "net.onnx"), dynamo=False, opset_version=17)
    pictures = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3), np.uint8)
    np.savez(tmp_path / "pictures.npz", x=pictures)
    arguments = ("--calibration", tmp_path / "pictures.npz", *FORM, *QUICKEST, "--outputs", "values")
    done = dcgen("compile", tmp_path / "net.onnx", *arguments, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    checks = dcgen_json("verify", tmp_path / "out", "--on", "host", "--on", "qemu-cortex-m4")["checks"]
    assert [check["target"] for check in checks] == ["host", "qemu-cortex-m4"]
    assert all(check["mismatches"] == 0 and check["bytes_compared"] > 100_000 for check in checks), checks
