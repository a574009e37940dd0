"""dcgen's main job on published weights and real photographs; every test is slow and needs the shared data.

The limits are those that the project promises. The photographs serve neither calibration nor any choice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dcgen.targets import TARGETS
from dcgen.targets.engines import ULX3S_85F
from tests.conftest import Once
from tests.process import MAIN, ROOT, dcgen_json

pytestmark = pytest.mark.slow

MACHINES = [t.check_name for t in TARGETS if t.emulator]


@dataclass(frozen=True)
class Case:
    """A compilation; paths are relative to the shared data folder."""

    model: str
    weights: str | None
    preprocess: str
    calibration: str
    recipe: str = "second-order"
    target: str | None = None
    settings: tuple[str, ...] = ()
    ram: str | None = None

    def arguments(self, data: Path) -> list[object]:
        model = data / self.model if self.model.endswith(".net") else self.model
        chosen = ["--weights", data / self.weights] if self.weights else []
        fixed = ["--preprocess", self.preprocess, "--recipe", self.recipe]
        target = ["--target", self.target] if self.target else []
        target += ["--ram", self.ram] if self.ram else []
        settings = [word for setting in self.settings for word in ("--set", setting)]
        return ["compile", model, *chosen, *fixed, *target, *settings, "--calibration", data / self.calibration]


QUICK = ("pictures=250", "density=0.99")
"""Settings that take a tenth of the time: a quarter of the pictures, and a density instead of a goal. It takes one
quantization, at the price that the default goal is expected to have, instead of a search."""

V1_1 = Case(
    "squeezenet1_1",
    "squeezenet1_1_caffe_f16.npz",
    "caffe",
    "imagenet_sample256_squash",
    target=ULX3S_85F.name,
    settings=(*QUICK, "work=0"),  # work on the target does not count, as if none were named
)
V1_1_IN_144K = replace(
    V1_1, recipe="deep-compression", target="cortex-m7", settings=("pictures=250", "coding=joint"), ram="144K"
)
V1_1_TORCHVISION = Case(
    "squeezenet1_1",
    "squeezenet1_1_torchvision_f16.npz",
    "torchvision",
    "imagenet_sample256_crop",
    settings=QUICK,
)
V1_0 = Case(
    "squeezenet1_0_caffe",
    "squeezenet1_0_caffe_f32.npz",
    "caffe",
    "imagenet_sample256_squash",
    settings=QUICK,
)
HAN = Case("deep_compression/compressed_SqueezeNet.net", None, "caffe", "imagenet_sample256_squash", "keep")
NAMES = {V1_1: "v11", V1_1_IN_144K: "v11-144k", V1_1_TORCHVISION: "v11-torchvision", V1_0: "v10", HAN: "han"}


MEASURE = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[2:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump({"seconds": used.ru_utime + used.ru_stime, "bytes": used.ru_maxrss * 1024}, file)
"""
"""Program that runs a command and writes the time and memory of that command alone into a JSON file."""


@dataclass(frozen=True)
class Result:
    """An output folder, what compiling it took, and its fidelity on the photographs.

    seconds : processor time of the compilation, which tests that run at the same time do not change
    peak_bytes : largest memory in use
    """

    out: Path
    seconds: float
    peak_bytes: int
    manifest: dict[str, Any]
    fidelity: dict[str, Any]

    @property
    def blob_bytes(self) -> int:
        return (self.out / "model.dcb").stat().st_size


@pytest.fixture(scope="module")
def result(once: Once, shared: Path) -> Callable[[Case], Result]:
    """``result(case)`` is the case compiled and evaluated, once for all tests."""
    data = shared / "data"
    photographs = data / "imagenet_val227"

    def make(case: Case, folder: Path) -> None:
        folder.mkdir()
        command = [sys.executable, "-c", MAIN, *map(str, case.arguments(data)), "-o", str(folder / "out")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(
            [sys.executable, "-c", MEASURE, folder / "usage.json", *command], check=True, env=environment
        )
        labels = photographs / "labels.txt"
        found = dcgen_json("eval", folder / "out", "--images", photographs, "--labels", labels)
        (folder / "eval.json").write_text(json.dumps(found))

    def read(case: Case) -> Result:
        folder = once(NAMES[case], lambda path: make(case, path))
        usage, found = (json.loads((folder / f).read_text()) for f in ("usage.json", "eval.json"))
        manifest = json.loads((folder / "out" / "manifest.json").read_text())
        return Result(folder / "out", usage["seconds"], usage["bytes"], manifest, found)

    return read


@pytest.mark.parametrize("case", [V1_1, V1_1_TORCHVISION, V1_0], ids=NAMES.__getitem__)
def test_published_weights_become_small_and_stay_true(case: Case, result: Callable[[Case], Result]) -> None:
    found = result(case)
    assert found.blob_bytes <= 450_000
    assert found.fidelity["n"] == 325
    assert found.fidelity["mean_kl"] <= 0.20
    assert found.fidelity["agreement"] >= 0.80


def test_v11_float_accuracy_is_the_published_one(result: Callable[[Case], Result]) -> None:
    """It is 73.8 % of these photographs only if preprocessing, channel order and pools are right."""
    assert result(V1_1).fidelity["float"]["top1"] == pytest.approx(0.738, abs=0.01)
    assert result(V1_1).fidelity["float"]["top5"] == pytest.approx(0.914, abs=0.01)


def test_v11_operations_are_counted(result: Callable[[Case], Result]) -> None:
    assert result(V1_1).manifest["macs"] == 387_747_520
    assert result(V1_1).manifest["parameters"] == 1_235_496


def test_compiling_v11_takes_minutes_and_little_memory(result: Callable[[Case], Result]) -> None:
    found = result(V1_1)
    assert found.seconds < 2 * 300
    assert found.peak_bytes < 4 * 2**30


def test_han_s_network_is_kept(result: Callable[[Case], Result]) -> None:
    """The published compressed network keeps its levels and zeros, and its answers."""
    found = result(HAN)
    assert 400_000 < found.blob_bytes <= 560_000
    assert found.manifest["nonzeros"] >= 400_000
    assert found.fidelity["float"]["top1"] > 0.72
    assert found.fidelity["agreement"] >= 0.97


def verified(out: Path, pictures: Path, count: int, machines: list[str]) -> list[dict[str, Any]]:
    """What ``dcgen verify`` found on these machines, with the first ``count`` pictures of a folder."""
    on = [word for machine in machines for word in ("--on", machine)]
    checks = dcgen_json("verify", out, *on, "--images", pictures, "--count", count)["checks"]
    assert [c["target"] for c in checks] == machines
    return checks


def test_ten_photographs_on_the_host(result: Callable[[Case], Result], shared: Path) -> None:
    (check,) = verified(result(V1_1).out, shared / "data" / "imagenet_val227", 10, ["host"])
    assert check["mismatches"] == 0
    assert check["layers"] >= 26
    assert check["bytes_compared"] >= 15_000_000


@pytest.mark.parametrize("machine", MACHINES)
def test_a_photograph_on_an_emulated_board(machine: str, result: Callable[[Case], Result], shared: Path) -> None:
    (check,) = verified(result(V1_1).out, shared / "data" / "imagenet_val227", 1, [machine])
    assert check["mismatches"] == 0
    assert check["layers"] >= 26
    assert check["bytes_compared"] >= 1_500_000
    assert check["instructions"] > 50_000_000


def test_a_photograph_row_by_row_in_144_kib(result: Callable[[Case], Result], shared: Path) -> None:
    out = result(V1_1_IN_144K).out
    (check,) = verified(out, shared / "data" / "imagenet_val227", 1, ["qemu-cortex-m7"])
    assert check["mismatches"] == 0
    assert check["layers"] >= 26
    assert check["ram_bytes"] + check["stack_bytes"] <= 144 * 1024
    assert 10 * check["longest_step_instructions"] < check["longest_row_instructions"] < check["instructions"]


def test_a_photograph_on_the_engine(result: Callable[[Case], Result], shared: Path) -> None:
    found = result(V1_1)
    (check,) = verified(found.out, shared / "data" / "imagenet_val227", 1, ["rtl"])
    assert check["mismatches"] == 0
    assert check["layers"] >= 26
    assert check["lanes"] == ULX3S_85F.parameters.lanes
    assert check["cycles"] == check["predicted_cycles"]
    assert check["utilisation"] >= 0.96
    found_macs = found.manifest["nonzero_macs"]
    assert check["utilisation"] == pytest.approx(found_macs / (check["lanes"] * check["cycles"]), abs=1e-4)
