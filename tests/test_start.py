"""What a training begins with: every wrong combination of network and samples is refused before it is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from dcgen.errors import ConfigError, ModelError, PictureError
from dcgen.inputs.tensor import TensorInput
from dcgen.ir.graph import Clip, Conv, Flatten, GlobalAvgPool, Graph, Input, Node, Weight
from dcgen.ir.to_onnx import to_onnx
from dcgen.pictures import Preprocess, explicit
from dcgen.progress import unheard
from dcgen.start import Beginning, begin, schedule_of

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), np.arange(40) % 4


def arrays(folder: Path, x: Any = X, y: Any = Y) -> Path:
    np.savez(folder / "x.npz", x_train=x, **({} if y is None else {"y_train": y}))
    return folder / "x.npz"


def model(folder: Path, scores: int = 5) -> str:
    """A network of pictures of 3 x 8 x 8."""
    weight = RNG.normal(0, 0.1, (scores, 3, 3, 3)).astype(np.float32)
    conv = Conv(Weight(weight), np.zeros(scores, np.float32), (1, 1), (1, 1, 1, 1))
    nodes = (Node("c", conv, ("x",)), Node("r", Clip(), ("c",)), Node("p", GlobalAvgPool(), ("r",)))
    graph = Graph("own", (Input("x", (3, 8, 8)),), (*nodes, Node("y", Flatten(), ("p",))), ("y",))
    onnx.save(to_onnx(graph), folder / "own.onnx")
    return str(folder / "own.onnx")


COLOUR = explicit("rgb", [128.0] * 3, [64.0] * 3, "squash", None, 8)


def test_samples_of_a_named_network_are_measured_and_held_out_once(tmp_path: Path) -> None:
    asked = Beginning(model="resnet8", data=arrays(tmp_path), size=8)
    start = begin(asked, unheard)
    data = start.data
    assert (start.name, len(data.train), len(data.held_out), data.classes) == ("resnet8", 36, 4, 4)
    flat = data.form.normalise(data.train.data).transpose(1, 0, 2, 3).reshape(3, -1)
    assert np.abs(flat.mean(1)).max() < 0.01 and np.abs(flat.std(1) - 1).max() < 0.01
    assert begin(asked, unheard).data.to_json() == data.to_json()
    assert begin(replace(asked, seed=1), unheard).data.to_json() != data.to_json()


def test_real_values_are_bytes_of_their_range(tmp_path: Path) -> None:
    x = RNG.normal(3, 5, (40, 49, 10, 1)).astype(np.float32)
    start = begin(Beginning(model="dscnn", data=arrays(tmp_path, x)), unheard)
    form = start.data.form
    assert isinstance(form, TensorInput) and form.shape == (1, 49, 10)
    real, given = form.values_of(start.data.train.data), x.transpose(0, 3, 1, 2)
    nearest = np.abs(given[:, None] - real[None]).max((2, 3, 4)).min(0)
    assert len(real) == 36 and nearest.max() < 0.51 * form.scale


def test_values_are_of_no_size_in_pixels(tmp_path: Path) -> None:
    data = arrays(tmp_path, RNG.normal(size=(40, 9, 6)))
    with pytest.raises(ConfigError, match=r"`input_size`: is for pictures, .*x.npz holds float32 values"):
        begin(Beginning(model="dscnn", data=data, size=8), unheard)


def test_a_model_file_is_begun_with_as_it_is(tmp_path: Path) -> None:
    asked = Beginning(model=model(tmp_path), data=arrays(tmp_path), form=COLOUR)
    start = begin(asked, unheard)
    assert isinstance(start.network, Graph) and start.name == "own" and start.data.form == COLOUR
    assert list(start.files) == [asked.model]
    assert schedule_of(asked) is None
    assert schedule_of(replace(asked, model="resnet20")) is not None


@pytest.mark.parametrize(
    ("changed", "error", "problem"),
    [
        ({"form": None}, ConfigError, "own.onnx: does not say how its input is made"),
        ({"settings": {"a": "1"}}, ConfigError, "is a network already, which has no settings"),
        ({"weights": Path("w.npz")}, ConfigError, "own.onnx: holds its own weights, found weights w.npz as well"),
        ({"model": "none.onnx"}, ModelError, "none.onnx: no such file"),
        ({"model": "own.py", "settings": {"a": "1"}}, ConfigError, "own.py: has no settings"),
    ],
)
def test_what_a_file_cannot_begin_with(
    tmp_path: Path, changed: dict[str, Any], error: type[Exception], problem: str
) -> None:
    asked = Beginning(model=model(tmp_path), data=arrays(tmp_path), form=COLOUR)
    with pytest.raises(error, match=problem):
        begin(replace(asked, **changed), unheard)


def test_a_model_file_has_a_score_for_each_class(tmp_path: Path) -> None:
    data = arrays(tmp_path)
    with pytest.raises(PictureError, match=r"x.npz: names class 3, the network has 3"):
        begin(Beginning(model=model(tmp_path, 3), data=data, form=COLOUR), unheard)
    with pytest.raises(ModelError, match=r"is trained by classes only, expected one output of two scores"):
        begin(Beginning(model=model(tmp_path, 1), data=data, form=COLOUR), unheard)


def test_a_python_file_of_other_operators_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    body = "nn.Flatten(), nn.Linear(channels * size * size, classes), nn.Softmax(0)"
    path.write_text(
        f"from torch import nn\ndef network(channels, size, classes):\n    return nn.Sequential({body})\n"
    )
    with pytest.raises(ModelError, match="own: "):
        begin(Beginning(model=str(path), data=arrays(tmp_path), size=8), unheard)


@pytest.mark.parametrize(
    ("x", "y", "problem"),
    [
        (X, None, r"x.npz: says no classes of its samples"),
        (X, np.zeros(40, int), "has samples of one class only, expected two or more"),
        (X, Y + 1, r"has no sample of class 0, the first of 1 without any \(number classes from 0"),
        (X[:2], Y[:2], "has 2 samples, too few to hold some out"),
        (X.astype(np.int8), Y, "holds neither pictures nor real values, expected uint8 pictures"),
        (RNG.normal(size=(40, 2, 2, 2, 2)), Y, r"a row of x has shape \[2, 2, 2, 2\], expected \[H, W, C\]"),
    ],
)
def test_samples_that_nothing_is_learnt_from(tmp_path: Path, x: Any, y: Any, problem: str) -> None:
    with pytest.raises(PictureError, match=problem):
        begin(Beginning(model="resnet8", data=arrays(tmp_path, x, y), size=8), unheard)


def test_an_empty_class_folder_is_named(tmp_path: Path) -> None:
    for name in ("cat", "dog", "emu"):
        (tmp_path / "x" / name).mkdir(parents=True)
    for i in range(10):
        Image.new("L", (8, 8), i).save(tmp_path / "x" / ("cat" if i % 2 else "emu") / f"{i}.png")
    with pytest.raises(PictureError, match="x: has no sample of class dog, the first of 1 without any"):
        begin(Beginning(model="resnet8", data=tmp_path / "x"), unheard)


def test_grey_pictures_have_one_channel(tmp_path: Path) -> None:
    start = begin(Beginning(model="resnet8", data=arrays(tmp_path, X[..., 0]), size=8), unheard)
    form = start.data.form
    assert isinstance(form, Preprocess) and (form.order, form.channels) == ("grey", 1)
