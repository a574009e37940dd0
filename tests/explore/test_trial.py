"""How a trial ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcgen.errors import NumericError, PictureError
from dcgen.explore import trial
from dcgen.explore.dominance import Rival
from dcgen.explore.trial import Outcome, Trials
from tests.explore.made import tiny_study


def silent(*_: object) -> None:
    """Progress and warnings that nobody sees."""


POINT = {"size": 8, "fires": 1, "pool_after": [1], "incr_e": 0, "conv1_channels": 4, "base_e": 4}


def tried(folder: Path, point: dict[str, Any], rivals: Iterable[Rival] = (), **changes: str) -> Outcome:
    study = tiny_study(folder, **changes)
    found = Trials(study, folder / "runs", lambda: rivals, silent, silent).run(0, point)
    assert Outcome.from_json(found.to_json()) == found
    return found


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object, **__: object) -> None:
        raise AssertionError("it was trained")

    monkeypatch.setattr(trial, "train", train)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("point", "limit", "reason"),
    [
        ({"base_e": 400}, {"ram": '"16K"'}, "bytes of RAM, `ram` gives 16,384"),
        ({}, {"flash": '"18K"'}, "more than flash allows"),
        ({}, {"max_instructions": '"20K"'}, "more than max_instructions allows"),
        ({"pool_after": [1, 7]}, {"flash": '"1M"'}, "tiny: pools follow layers 1 to 2, found 7"),
    ],
)
def test_what_cannot_fit_is_never_trained(
    tmp_path: Path, point: dict[str, Any], limit: dict[str, str], reason: str
) -> None:
    found = tried(tmp_path, {**POINT, **point}, **limit)
    assert found.status == "infeasible" and reason in found.reason and max(found.excess.values()) > 0
    assert not (tmp_path / "runs").exists()


def test_a_hopeless_training_is_stopped(tmp_path: Path) -> None:
    rival = Rival(5, "rate", (2.0, 2.0), (1.0, 1.0))
    found = tried(tmp_path, POINT, [rival], stop_after="0.4")
    assert found.status == "stopped" and len(found.curve) == 1 and found.predicted is not None
    assert found.reason == "network 5 was ahead after as many epochs, at no higher costs"


def test_numbers_that_overflow_end_a_trial_but_not_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*_: object, **__: object) -> None:
        raise NumericError("tiny", "gives outputs that are not finite")

    monkeypatch.setattr(trial, "train", train)
    found = tried(tmp_path, POINT)
    assert (found.status, found.reason) == ("failed", "tiny: gives outputs that are not finite")


def test_data_without_classes_end_the_study(tmp_path: Path) -> None:
    study = tiny_study(tmp_path)
    np.save(tmp_path / "bare.npy", np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(PictureError, match=r"bare\.npy: says no classes of its samples"):
        Trials(replace(study, data=tmp_path / "bare.npy"), tmp_path, lambda: (), silent, silent)


@pytest.mark.slow
def test_a_network_that_exceeds_a_limit_after_all_is_over(tmp_path: Path) -> None:
    found = tried(tmp_path, POINT, flash="24_000", margin="0.5")
    assert found.status == "over" and found.excess["flash"] > 0
    assert found.reason.endswith("more than flash allows") and found.figures["flash_bytes"] > 24_000
