"""What is predicted of a network before it is trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dcgen.errors import ConfigError, PlanError
from dcgen.explore.predict import predict
from dcgen.explore.study import Study
from dcgen.plan.firmware.needs import Budget
from dcgen.result import Limits
from tests.explore.made import tiny_study


def silent(*_: object) -> None:
    """Progress that nobody sees."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return tiny_study(tmp_path_factory.mktemp("study"))


@pytest.mark.parametrize("wanted", [1100, 1300])
def test_a_stand_in_has_the_bytes_that_training_is_to_leave(study: Study, wanted: int) -> None:
    made = study.candidate({"size": 8, "fires": 1, "base_e": 24, "pool_after": [1], "max_bytes": wanted}, 1, 2)
    found = predict(study, made, silent)
    assert abs(found.bytes - wanted) < 0.06 * wanted
    assert found.flash_bytes is not None and found.flash_bytes > found.bytes


def test_fewer_bytes_take_fewer_instructions_and_the_same_ram(study: Study) -> None:
    point = {"size": 8, "fires": 1, "base_e": 24, "pool_after": [1]}
    small, large = (predict(study, study.candidate({**point, "max_bytes": n}, 1, 2), silent) for n in (1100, 1300))
    assert small.instructions is not None and large.instructions is not None
    assert small.instructions < large.instructions and small.density < large.density
    assert abs(small.arena_bytes - large.arena_bytes) < 500, "only decoding tables differ"


def test_what_cannot_fit_is_refused(study: Study) -> None:
    point = {"size": 8, "fires": 1, "pool_after": [1]}
    with pytest.raises(PlanError, match="bytes of RAM, `ram` gives 16,384"):
        predict(study, study.candidate({**point, "base_e": 400}, 1, 2), silent)
    with pytest.raises(PlanError, match=r"is a file of [0-9,]+ bytes without any weight, max_bytes allows 300"):
        predict(study, study.candidate({**point, "max_bytes": 300}, 1, 2), silent)
    with pytest.raises(ConfigError, match="pictures of 8x8 are too small for it"):
        predict(study, study.candidate({**point, "conv1_kernel": 11}, 1, 2), silent)


def test_excess_is_relative_to_each_limit(study: Study) -> None:
    found = predict(study, study.candidate({"size": 8, "fires": 1, "pool_after": [1]}, 1, 2), silent)
    assert found.flash_bytes is not None and found.instructions is not None
    limits = Limits(budget=Budget(found.flash_bytes * 2, found.instructions // 2))
    excess = found.excess(limits)
    assert excess["flash"] == pytest.approx(-0.5) and excess["max_instructions"] == pytest.approx(1.0, rel=0.01)
    assert replace(found, flash_bytes=None, instructions=None).excess(limits) == {}
