"""An installed wheel works outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Once
from tests.process import QUICK, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(once: Once) -> Path:
    """The built wheel."""

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
        subprocess.run(command, check=True)

    (file,) = once("wheel", build).glob("dcgen-*.whl")
    return file


def test_it_carries_templates_firmware_and_the_checkpoint(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"dcgen"}
    for needed in (
        "dcgen/models/digits.npz",
        "dcgen/_resources/firmware/runtime/dcg.h",
        "dcgen/hw/contract/regmap.py",
        "dcgen/hw/sim/bench.v",
    ):
        assert needed in names
    assert any(name.startswith("dcgen/_resources/templates/c/") for name in names)
    assert not any(part in name for name in names for part in ("tests/", "scripts/", "__pycache__"))


def test_it_compiles_and_verifies_elsewhere(wheel: Path, tmp_path: Path, digits_pictures: Path) -> None:
    place = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, wheel]
    subprocess.run(command, check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # -P keeps the current folder out, PYTHONPATH puts the wheel before an editable installation.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(place)}

    def run(*words: object) -> str:
        code = (
            "import dcgen, sys; from dcgen.command.app import main; sys.argv[0] = 'dcgen';"
            f"assert dcgen.__file__.startswith({str(place)!r}), dcgen.__file__; main()"
        )
        command = [sys.executable, "-P", "-c", code, *map(str, words)]
        done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    calibration = digits_pictures / "calibration"
    run("compile", "digits", *QUICK, "--calibration", calibration, "--target", "engine-8", "-o", "out")
    assert list((elsewhere / "out" / "rtl").rglob("bench.v"))
    found = json.loads(run("verify", "out", "--on", "host", "--json"))
    assert [(c["target"], c["mismatches"]) for c in found["checks"]] == [("host", 0)]
    assert [f.name for f in elsewhere.iterdir()] == ["out"]
