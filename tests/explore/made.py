"""What the tests of explorations share: a tiny training set, its study, and outcomes that no trial had."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dcgen.explore.predict import Prediction
from dcgen.explore.study import Study, read_study
from dcgen.explore.trial import Outcome

TINY = """
network = "digits"
target = "cortex-m4"
ram = "16K"
trials = 4
seed = 3
[space]
size = 8
fires = 1
pool_after = [1]
incr_e = 0
conv1_channels = 4
squeeze_ratio = 0.5
base_e = [4, 6, 8, 400]
[recipes]
rate = [
  { method = "dense", epochs = 1, batch = 20, rate = 0.01, shift = 0 },
  { method = "rate", epochs = 1, batch = 20, shift = 0 },
]
"""
"""Two epochs of networks of some 200 weights; one with 400 expand filters has no room in 16 KB."""


def write_pictures(path: Path) -> None:
    """200 grey pictures of 8x8 with a bright row or a bright column."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    pictures = rng.integers(0, 60, (200, 8, 8), np.uint8)
    pictures[labels == 1, 3:5, :] += 150
    pictures[labels == 0, :, 3:5] += 150
    np.savez(path, x_train=pictures, y_train=labels)


def tiny(folder: Path, **changes: str) -> Path:
    """The study's file in ``folder``, beside its data; ``changes`` replace lines of the form ``name = ...``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pictures(folder / "tiny.npz")
    lines = ['data = "tiny.npz"', *TINY.splitlines()]
    known = {line.partition(" = ")[0] for line in lines}
    made = [f"{n} = {changes[n]}" if (n := line.partition(" = ")[0]) in changes else line for line in lines]
    own = [f"{name} = {value}" for name, value in changes.items() if name not in known]
    (folder / "tiny.toml").write_text("\n".join([*own, *made]))
    return folder / "tiny.toml"


def tiny_study(folder: Path, **changes: str) -> Study:
    return read_study(tiny(folder, **changes))


def outcome(number: int, status: str = "trained") -> Outcome:
    """What a trial could have shown; the networks of a study all have different figures."""
    figures = {"accuracy": 0.5 + number / 100, "bytes": 1000 + number, "instructions": 9000 - number}
    predicted = Prediction(1000, 0.5, 3000, 20_000, 9000)
    return Outcome(status, "rate", "", figures, {"flash": -0.5}, (0.4, 0.5), predicted)  # type: ignore[arg-type]
