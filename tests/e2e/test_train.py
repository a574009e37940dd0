"""``dcgen train`` on tiny data, and what ``compile`` and ``eval`` make of its folder."""

from __future__ import annotations

import csv
import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.process import dcgen, dcgen_json

RNG = np.random.default_rng(0)
STAGES = """
[[stage]]
method = "dense"
epochs = 2
batch = 32
rate = 0.01
optimizer = "adam"

[[stage]]
method = "rate"
epochs = 1
batch = 32
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of two classes in an archive: light ones and dark ones."""
    path = tmp_path_factory.mktemp("data") / "light.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(300):
            name, mean = ("dark", 60) if i % 2 else ("light", 180)
            buffer = BytesIO()
            pixels = RNG.normal(mean, 30, (8, 8, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(buffer, "PNG")
            archive.writestr(f"top/{name}/{i}.png", buffer.getvalue())
    return path


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "stages.toml").write_text(STAGES)
    (folder / "own.py").write_text(
        "from torch import nn\n"
        "def network(channels, size, classes):\n"
        "    body = nn.Conv2d(channels, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)\n"
        "    return nn.Sequential(*body, nn.Flatten(), nn.Linear(4, classes))\n"
    )
    asked = (folder / "own.py", "--input-size", 8, "--device", "cpu", "--stages", folder / "stages.toml")
    dcgen_json("train", *asked, "--data", data, "-o", folder / "run")
    return folder


def test_a_run_says_what_was_trained(trained: Path) -> None:
    run = json.loads((trained / "run" / "run.json").read_text())
    assert (run["name"], run["data"]["classes"], run["held_out"]["n"]) == ("own", 2, 30)
    dense, rate = run["job"]["stages"]
    assert (dense["shift"], dense["crop"], dense["mirror"]) == (1, 1.0, True)  # as suits small coloured pictures
    assert (dense["epochs"], rate["method"]) == (2, "rate")
    assert run["held_out"]["trained"]["top1"] > 0.9
    with (trained / "run" / "curves.csv").open() as file:
        assert [(row["stage"], row["epoch"]) for row in csv.DictReader(file)] == [
            ("0", "0"),
            ("0", "1"),
            ("1", "0"),
        ]
    assert Image.open(trained / "run" / "curves.png").size[0] > 500


def test_it_is_compiled_and_evaluated_on_an_archive(trained: Path, data: Path) -> None:
    manifest = dcgen_json("compile", trained / "run", "-o", trained / "out")
    run = json.loads((trained / "run" / "run.json").read_text())
    assert (manifest["name"], manifest["blob_bytes"]) == ("own", run["blob_bytes"])
    found = dcgen_json("eval", trained / "out", "--images", data)
    assert found["n"] == 300 and found["compressed"]["top1"] > 0.9


def test_a_model_file_is_compressed_without_a_dense_stage(trained: Path, data: Path) -> None:
    """The float network of one training, retrained as a model file of whatever origin."""
    run = json.loads((trained / "run" / "run.json").read_text())
    form = run["preprocess"]
    mean, std = (",".join(map(str, form[key])) for key in ("mean", "std"))
    stages = trained / "rate.toml"
    stages.write_text('[[stage]]\nmethod = "rate"\nepochs = 1\nbatch = 32\n')
    asked = ("--mean", mean, "--std", std, "--order", form["order"], "--stages", stages, "--device", "cpu")
    again = dcgen_json("train", trained / "run" / "float.onnx", *asked, "--data", data, "-o", trained / "again")
    assert again["held_out"]["float"]["loss"] == pytest.approx(run["held_out"]["float"]["loss"], abs=1e-5)
    assert again["shared"] and again["held_out"]["trained"]["top1"] > 0.9


@pytest.mark.slow
def test_a_network_of_features_is_compiled_with_their_range(tmp_path: Path) -> None:
    x = RNG.normal(0, 1, (200, 9, 6, 1)).astype(np.float32)
    y = np.arange(200) % 2
    x[y == 1] += 2
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y)
    (tmp_path / "stages.toml").write_text(STAGES)
    settings = ("--set", "blocks=1", "--set", "filters=4", "--device", "cpu")
    stages = ("--stages", tmp_path / "stages.toml")
    run = dcgen_json("train", "dscnn", *settings, *stages, "--data", tmp_path / "x.npz", "-o", tmp_path / "run")
    given = dcgen_json("compile", tmp_path / "run", "-o", tmp_path / "out")["input"]
    assert run["preprocess"]["shape"] == [1, 9, 6]
    assert given["scale"] == run["preprocess"]["scale"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("lenet5", "--set", "a=1"), "lenet5: has no settings (leave out --set)"),
        (("none.onnx",), "the network: is trained already (give --max-bytes, or --stages that compress it)"),
    ],
)
def test_wrong_input_is_one_line(data: Path, tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    found = dcgen("train", *arguments, "--data", data, "-o", tmp_path / "run")
    assert (found.returncode, found.stderr.strip()) == (1, f"dcgen: error: {problem}")
    assert not (tmp_path / "run").exists()
