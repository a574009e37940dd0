"""What the README's rows are: compilations, the data that they take, and what is measured of each."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dcgen.targets import TARGETS

PHOTOGRAPHS = "imagenet_val227"
"""Photographs of the validation set with labels, below the folder of shared data; no compilation sees them."""
MACHINES = tuple(t.check_name for t in TARGETS if t.emulator)


@dataclass(frozen=True)
class Case:
    """One compilation and its measurement.

    name : of its folder and of its entry in the file of figures
    title : of its row
    arguments : of ``dcgen compile``; ``{data}`` stands for the folder of shared data, ``{digits}`` for the
        pictures that scripts/digits_pictures.py makes
    images : folder of labelled pictures that fidelity is measured on
    machines : where the firmware is verified and its instructions are counted
    """

    name: str
    title: str
    arguments: str
    images: str = f"{{data}}/{PHOTOGRAPHS}"
    machines: tuple[str, ...] = ()


def _squeezenet(model: str, weights: str, trained: str, sample: str, chosen: str) -> str:
    return (
        f"{model} --weights {{data}}/{weights} --preprocess {trained} "
        f"--calibration {{data}}/imagenet_sample256_{sample} {chosen}"
    )


_V1_1 = "squeezenet1_1", "squeezenet1_1_caffe_f16.npz", "caffe", "squash"
_TORCHVISION = "squeezenet1_1", "squeezenet1_1_torchvision_f16.npz", "torchvision", "crop"
_V1_0 = "squeezenet1_0_caffe", "squeezenet1_0_caffe_f32.npz", "caffe", "squash"
_HAN = (
    "{data}/deep_compression/compressed_SqueezeNet.net --preprocess caffe "
    "--calibration {data}/imagenet_sample256_squash"
)

CASES = (
    # For an engine whose work counts nothing, so that the file is that of no target.
    Case(
        "v11",
        "SqueezeNet v1.1 (Caffe), 227x227, the default",
        _squeezenet(*_V1_1, "--target ulx3s-85f --set work=0"),
        machines=MACHINES,
    ),
    Case(
        "v11-third",
        "SqueezeNet v1.1 (Caffe), 227x227, `--density 0.33`",
        _squeezenet(*_V1_1, "--density 0.33"),
        machines=MACHINES,
    ),
    Case(
        "v11-torchvision",
        "SqueezeNet v1.1 (torchvision), 224x224, `--max-bytes 365000`",
        _squeezenet(*_TORCHVISION, "--max-bytes 365000"),
    ),
    Case(
        "v10",
        "SqueezeNet v1.0 (Caffe), 227x227, `--max-bytes 365000`",
        _squeezenet(*_V1_0, "--max-bytes 365000"),
    ),
    Case("han-keep", "Deep Compression's v1.0, `--recipe keep`", f"{_HAN} --recipe keep"),
    Case("han", "Deep Compression's v1.0, `--max-bytes 340000`", f"{_HAN} --max-bytes 340000"),
    Case(
        "digits",
        "digits, 16x16, `--max-kl 0.04`",
        "digits --calibration {digits}/calibration --max-kl 0.04",
        "{digits}/test",
        MACHINES,
    ),
)


def dcgen(*arguments: object) -> str:
    """What ``dcgen ARGUMENTS`` of this checkout prints on stdout. Raises CalledProcessError."""
    command = [sys.executable, "-m", "dcgen", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def digits_pictures(folder: Path) -> None:
    """Make the folder of handwritten digits, unless it is there."""
    if not folder.is_dir():
        script = Path(__file__).resolve().parents[2] / "scripts" / "digits_pictures.py"
        subprocess.run([sys.executable, script, folder], check=True)
