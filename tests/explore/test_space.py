"""What a study varies: values, lists and ranges become points, and wrong ones are refused by name."""

from __future__ import annotations

import optuna
import pytest

from dcgen.errors import ConfigError
from dcgen.explore.space import Space, metaparameters


def test_a_point_has_what_is_fixed_and_what_is_varied() -> None:
    space = Space.read(
        {
            "fires": 2,
            "pool_after": [[1], [1, 2]],
            "conv1": [{"kernel": 3, "pad": 1}, {"kernel": 7, "pad": 3}],
            "squeeze_ratio": {"low": 0.25, "high": 0.5},
            "max_bytes": "8K",
        }
    )
    trial = optuna.create_study().ask()
    values = space.suggest(trial)
    assert set(trial.params) == {"pool_after", "conv1", "squeeze_ratio"}
    assert values["max_bytes"] == 8_000 and values["pool_after"] in ([1], [1, 2])
    found = metaparameters(values)
    assert found["fires"] == 2 and isinstance(found["pool_after"], tuple)
    assert found["conv1_pad"] == found["conv1_kernel"] // 2
    assert 0.25 <= found["squeeze_ratio"] <= 0.5 and "max_bytes" not in found


def test_a_grid_has_every_point_once_the_last_name_fastest() -> None:
    space = Space.read({"bypass": ["none", "simple"], "base_e": {"low": 8, "high": 16, "step": 4}, "fires": 3})
    points = [tuple(p.values()) for p in space.grid()]
    assert points == [(b, e) for b in ("none", "simple") for e in (8, 12, 16)]


@pytest.mark.parametrize("log", [False, True])
def test_whole_ranges_give_whole_numbers(log: bool) -> None:
    space = Space.read({"base_e": {"low": 4, "high": 9, "log": log}})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = {space.suggest(study.ask())["base_e"] for _ in range(40)}
    assert found == {4, 5, 6, 7, 8, 9} and all(isinstance(v, int) for v in found)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"classes": 10}, "classes: is not in the space of networks; there are base_e,"),
        ({"fires": []}, "fires: has no choices"),
        ({"fires": [2, 2]}, "fires: has a choice twice"),
        ({"fires": [2, 2.5]}, "fires: expected a whole number, found 2.5"),
        ({"fires": True}, "fires: expected a whole number, found True"),
        ({"pct3x3": "half"}, "pct3x3: expected a number, found 'half'"),
        ({"conv1": [{"size": 3}]}, "conv1: expected a table of channels, kernel, stride, pad, found {'size': 3}"),
        ({"fires": {"low": 2}}, "fires: a range has low and high, and may have step or log, found low"),
        ({"fires": {"low": 2, "high": 3, "steps": 1}}, "may have step or log, found 'steps'"),
        ({"fires": {"low": 3, "high": 3}}, "fires: from 3 to 3 is no range"),
        ({"fires": {"low": 1, "high": 3, "step": 0}}, "fires: needs a step above 0"),
        ({"fires": {"low": 1, "high": 3, "step": 1, "log": True}}, "begins above 0 and has no step"),
        ({"bypass": {"low": 1, "high": 3}}, "bypass: has no range (list its choices)"),
    ],
)
def test_what_is_no_space_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Space.read(table)
    assert message in str(caught.value)


def test_a_grid_needs_steps_and_an_end() -> None:
    with pytest.raises(ConfigError, match="squeeze_ratio: is a range without a step, which a grid needs"):
        Space.read({"squeeze_ratio": {"low": 0.1, "high": 1.0}}).grid()
    wide = {"low": 1, "high": 1000, "step": 1}
    with pytest.raises(ConfigError, match="has 1,000,000 points, expected at most 100,000 in a grid"):
        Space.read({"base_e": wide, "incr_e": wide}).grid()
