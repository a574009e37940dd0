"""A study's file: what it says becomes a study, and what is wrong in it is named."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from dcgen.errors import ConfigError
from dcgen.explore.study import Study, read_study
from dcgen.methods.magnitude import Magnitude
from tests.process import ROOT

WHOLE = """
data = "digits.npz"
target = "cortex-m4"
ram = "192K"
flash = 500_000
max_instructions = "40M"
trials = 3
network = "digits"
objectives = ["accuracy", "bytes"]
[space]
squeeze_ratio = [0.125, 1.0]
max_bytes = [2000, 4000]
recipe = ["short", "long"]
[recipes]
short = [{ method = "dense", epochs = 1 }, { method = "rate", epochs = 2 }]
long = [{ method = "dense", epochs = 5 }, { method = "rate", epochs = 9, start = 0.4 }]
"""


def study_of(tmp_path: Path, text: str, data: Path | None = None) -> Study:
    (tmp_path / "mine.toml").write_text(text)
    return read_study(tmp_path / "mine.toml", data)


def test_a_study_says_target_limits_and_networks(tmp_path: Path) -> None:
    study = study_of(tmp_path, WHOLE)
    assert (study.name, study.data, study.target.name) == ("mine", tmp_path / "digits.npz", "cortex-m4")
    assert study.limits.ram == 192 * 1024
    assert (study.limits.budget.flash, study.limits.budget.instructions) == (500_000, 40_000_000)
    assert study.budget == 3 and study.objectives == ("accuracy", "bytes")
    made = study.candidate({"squeeze_ratio": 1.0, "max_bytes": 2000, "recipe": "long"}, 3, 7)
    assert (made.spec.squeeze_ratio, made.spec.channels, made.spec.classes) == (1.0, 3, 7)
    assert made.spec.base_e == 32, "the space says nothing of it, so that it is the named network's"
    assert [s.schedule.max_bytes for s in made.stages] == [0, 2000] and made.epochs == 14


def test_density_is_a_goal_of_the_stages_that_prune(tmp_path: Path) -> None:
    stages = '[{ method = "dense" }, { method = "magnitude" }, { method = "rate" }]'
    text = f'data = "d.npz"\ntrials = 1\n[space]\ndensity = [0.2, 0.4]\n[recipes]\nthree = {stages}\n'
    methods = [s.method for s in study_of(tmp_path, text).candidate({"density": 0.2}, 1, 10).stages]
    assert isinstance(methods[1], Magnitude) and methods[1].density == 0.2


def test_a_study_without_recipes_has_dense_and_rate_aware_stages(tmp_path: Path) -> None:
    study = study_of(tmp_path, 'data = "d.npz"\ntrials = 1\nepochs = 9\n')
    stages = study.candidate({}, 1, 10).stages
    assert [(s.method.name, s.schedule.epochs) for s in stages] == [("dense", 3), ("rate", 6)]


def test_a_grid_has_as_many_trials_as_points_unless_fewer_are_asked_for(tmp_path: Path) -> None:
    text = 'data = "d.npz"\nsampler = "grid"\n{}[space]\nfires = [1, 2, 3]\nbypass = ["none", "simple"]\n'
    assert study_of(tmp_path, text.format("")).budget == 6
    assert study_of(tmp_path, text.format("trials = 4\n")).budget == 4
    assert study_of(tmp_path, text.format("trials = 9\n")).budget == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("trials = 3", "", "trials: is missing (say how many networks tpe tries)"),
        ("trials = 3", "trails = 3", "trails: is not a setting of a study; there are network, trials"),
        ("trials = 3", 'trials = 3\nsampler = "best"', "sampler: must be one of tpe, nsga2, random, grid"),
        ('data = "digits.npz"', "", "does not say which data networks are trained on"),
        ('"192K"', "-1", "ram: expected an amount above 0 such as 192K, found -1"),
        ('"192K"', '"much"', "ram: expected an amount such as 380K or 365000, found 'much'"),
        ("cortex-m4", "ulx3s-85f", "ulx3s-85f: is no microcontroller whose needs can be predicted"),
        ('"accuracy", "bytes"', '"bytes", "bytes"', "each once, found 'bytes'"),
        ('"accuracy", "bytes"', '"speed"', "objectives: are some of accuracy, bytes, instructions"),
        ('"digits"', '"alexnet"', "alexnet: is not a known model"),
        ('"short", "long"', '"short", "longer"', "names 'longer', but the recipes are short, long"),
        ("start = 0.4", "stop = 1", "stage 2: has no setting 'stop'; with method rate there are"),
        ("max_bytes = [2000, 4000]", "density = 0.2", "density: needs a stage of method magnitude in the recipe"),
        (
            '[{ method = "dense", epochs = 1 }, { method = "rate", epochs = 2 }]',
            "[]",
            "short: is no recipe (a recipe is a list of stages",
        ),
        ("trials = 3", "trials = 3\nepochs = 4", "epochs: is of no use where recipes say the epochs"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in WHOLE
    with pytest.raises(ConfigError) as caught:
        study_of(tmp_path, WHOLE.replace(old, new, 1))
    assert message in str(caught.value)


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks" / "studies").glob("*.toml")), ids=lambda f: f.stem)
def test_the_committed_studies_can_be_read(file: Path) -> None:
    study = read_study(file, Path("pictures"))
    assert study.data == Path("pictures") and study.budget > 0
    for point in study.space.grid() if study.settings.sampler == "grid" else []:
        values = study.space.suggest(optuna.trial.FixedTrial(point))  # type: ignore[arg-type]
        assert study.candidate(values, 1, 10).spec.layers()


def test_the_documented_study_can_be_read_and_states_the_defaults(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "explore.md").read_text(), re.DOTALL)
    documented = study_of(tmp_path, text.replace("epochs = 12 ", "# "))
    least = study_of(tmp_path, 'data = "mnist.npz"\ntrials = 100\n')
    assert documented.settings == replace(least.settings, stop_after=0.333)
    same = ("data", "target", "limits", "objectives")
    assert [getattr(documented, n) for n in same] == [getattr(least, n) for n in same]
    assert f"epochs = {least.settings.epochs} " in text and documented.candidate({}, 3, 10).epochs == 30


def test_the_paper_s_sweeps_are_grids_over_its_ratios() -> None:
    sweeps = {name: read_study(ROOT / "benchmarks" / "studies" / f"{name}.toml", Path("d")) for name in SWEPT}
    for name, study in sweeps.items():
        assert study.settings.sampler == "grid"
        assert [p[name] for p in study.space.grid()] == SWEPT[name]


SWEPT = {
    "squeeze_ratio": [0.125, 0.25, 0.5, 0.75, 1.0],
    "pct3x3": [0.01, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.99],
}
"""Iandola et al. 2016, figure 3."""
