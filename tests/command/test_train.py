"""``dcgen train``: what it says and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcgen.command.train import train_
from dcgen.errors import ConfigError, GoalError


def run_of(*missed: str) -> dict[str, Any]:
    figures = {"top1": 0.9, "loss": 0.3}
    return {
        "name": "lenet300",
        "job": {"model": "lenet300", "stages": [{}, {}]},
        "density": 0.1,
        "blob_bytes": 9_000,
        "held_out": {"n": 100, "float": figures, "trained": figures},
        "missed": list(missed),
    }


def test_a_run_that_misses_its_goal_is_shown_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dcgen.training.train", lambda *_: run_of("9,000 bytes, at most 8,000 are wanted"))
    with pytest.raises(GoalError, match="RUN: 9,000 bytes, at most 8,000 are wanted"):
        train_("lenet300", Path("data.npz"), Path("RUN"), max_bytes="8K")
    assert "9,000 bytes" in capsys.readouterr().out


def test_goals_reach_the_last_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("dcgen.training.train", lambda job, *_: asked.append(job) or run_of())
    train_("lenet300", Path("data.npz"), Path("RUN"), max_bytes="8K", density=0.2, max_top1_drop=0.5)
    (job,) = asked
    assert (job.goal.max_bytes, job.goal.max_density, job.goal.max_top1_drop) == (8_000, 0.2, 0.5)
    assert [s.method.name for s in job.stages] == ["dense", "magnitude", "rate"]


def test_a_file_of_stages_that_is_wrong_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stages.toml").write_text('[[stage]]\nmethod = "dense"\nepoch = 3\n')
    with pytest.raises(ConfigError, match="stage 1: has no setting 'epoch'; with method dense there are"):
        train_("lenet300", Path("data.npz"), Path("RUN"), stages=tmp_path / "stages.toml")
