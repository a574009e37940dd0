"""The stages of a training: defaults, files, and what makes no sense."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcgen.errors import ConfigError
from dcgen.stages import METHODS, load_stages
from dcgen.train.goal import Goal
from tests.process import ROOT


def written(folder: Path, text: str) -> Path:
    file = folder / "stages.toml"
    file.write_text(text)
    return file


def tables(*stages: str) -> str:
    return "\n".join("[[stage]]\n" + stage for stage in stages)


@pytest.mark.parametrize(
    ("goal", "methods"),
    [
        (Goal(), ["dense"]),
        (Goal(max_bytes=9_000), ["dense", "rate"]),
        (Goal(max_top1_drop=0.0), ["dense", "rate"]),
        (Goal(max_density=0.1), ["dense", "magnitude", "rate"]),
        (Goal(9_000, 0.1, 1.0), ["dense", "magnitude", "rate"]),
    ],
)
def test_each_goal_has_stages_that_suit_it_and_the_last_keeps_to_it(goal: Goal, methods: list[str]) -> None:
    stages = load_stages(None, goal)
    assert [s.method.name for s in stages] == methods
    assert stages[-1].schedule.goal == goal
    assert all(s.schedule.goal == Goal() for s in stages[:-1])


def test_a_density_is_what_is_pruned_to() -> None:
    assert load_stages(None, Goal(max_density=0.07))[1].method.density == 0.07  # type: ignore[attr-defined]


def test_settings_of_a_file_reach_method_and_schedule(tmp_path: Path) -> None:
    sharing = 'method = "sharing"\nbits_fc = 3\nepochs = 4\ndistill = 0.5'
    stages = load_stages(written(tmp_path, tables('method = "dense"', sharing)), Goal())
    assert stages[1].to_json()["bits_fc"] == 3
    assert (stages[1].schedule.epochs, stages[1].schedule.distill) == (4, 0.5)


def test_goals_are_those_of_a_file_s_last_stage(tmp_path: Path) -> None:
    file = written(tmp_path, tables('method = "dense"', 'method = "rate"', 'method = "rate"'))
    stages = load_stages(file, Goal(max_bytes=5_000))
    assert [s.schedule.max_bytes for s in stages] == [0, 0, 5_000]


def test_dense_may_follow_pruning(tmp_path: Path) -> None:
    file = written(tmp_path, tables('method = "dense"', 'method = "magnitude"\ndensity = 0.7', 'method = "dense"'))
    assert [s.method.name for s in load_stages(file, Goal())] == ["dense", "magnitude", "dense"]


RATE = 'method = "rate"'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"has no \[\[stage\]\] tables"),
        ("stage = 3", r"has no \[\[stage\]\] tables"),
        ('seed = 3\n[[stage]]\nmethod = "dense"', "has 'seed' outside of stages"),
        (tables("epochs = 3"), "stage 1: has no method .there are dense, magnitude, surgery, filters, apoz, "),
        (tables('method = "dense"', 'method = "x"'), "stage 2: is of method 'x', which does not exist"),
        (
            tables('method = "dense"', 'method = "sharing"\nbits = 3'),
            "stage 2: has no setting 'bits'; with method sharing there are method, bits_conv, bits_fc, .* epochs",
        ),
        (tables('method = "dense"\nepochs = -1'), "epochs: must be a whole number from 0 to 100000, not -1"),
        (tables('method = "dense"', 'method = "sharing"\nbits_fc = 9'), "must be a whole number from 2 to 8"),
        (tables('method = "dense"', 'method = "sharing"\nstart = "x"'), "must be one of linear, density, forgy"),
        (tables(RATE), "stage 1: is of method rate, expected dense"),
        (
            tables('method = "dense"', 'method = "sharing"\nmax_bytes = 5000'),
            "stage 2: has max_bytes, but method sharing counts no bits .*methods that do: rate",
        ),
        (tables('method = "dense"\nmax_bytes = 5000'), "stage 1: has max_bytes, but method dense counts no bits"),
        (
            tables('method = "dense"\nmax_density = 0.1'),
            "stage 1: has max_density, but method dense prunes nothing",
        ),
        (tables('method = "dense"', RATE + "\nmax_density = 0.1", RATE), "only the last stage is chosen by it"),
        (tables('method = "dense"\nmax_top1_drop = 1'), "stage 1: has max_top1_drop, but trains the network"),
        (tables('method = "dense"\ndistill = 0.5'), "stage 1: has distill, but trains the network"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_stages(written(tmp_path, text), Goal())


def test_every_method_names_its_paper_and_bounds_its_numbers() -> None:
    assert len({m.name for m in METHODS}) == len(METHODS)
    table = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w[\w-]*)` \|", table, re.MULTILINE) == [m.name for m in METHODS]
    for method in METHODS:
        assert (method.source and "Settings" in (method.__doc__ or "")) or method.name == "dense"
        for field in vars(method()).items():
            metadata = method.__dataclass_fields__[field[0]].metadata
            assert isinstance(field[1], bool | str) or {"min", "max"} <= metadata.keys()
