"""What a network is to keep to, and which of two is better."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dcgen.train.goal import Goal, Reached

FOUND = Reached(top1=0.95, loss=0.2, density=0.1, bytes=1_000)


@pytest.mark.parametrize(
    ("goal", "sentence"),
    [
        (Goal(max_bytes=999), "1,000 bytes, at most 999 are wanted"),
        (Goal(max_density=0.09), "10.00 % of the weights are not zero, at most 9 % are wanted"),
        (Goal(max_top1_drop=0.9), "1.00 points of held-out accuracy are lost, at most 0.9 may be lost"),
    ],
)
def test_a_broken_limit_is_named_with_what_was_found(goal: Goal, sentence: str) -> None:
    ((said, strain),) = goal.strains(FOUND, 0.96)
    assert said == sentence and strain > 0


@pytest.mark.parametrize("goal", [Goal(), Goal(1_000, 0.1, 1.0)])
def test_limits_belong_to_what_keeps_to_them(goal: Goal) -> None:
    assert list(goal.strains(FOUND, 0.96)) == []


def test_the_least_error_wins_and_then_the_least_loss() -> None:
    goal, better, calmer = Goal(max_bytes=1_000), replace(FOUND, top1=0.96, loss=0.3), replace(FOUND, loss=0.1)
    assert sorted([FOUND, better, calmer], key=lambda f: goal.order(f, 0.9)) == [better, calmer, FOUND]


def test_a_network_within_the_limits_wins_over_a_better_one_beyond() -> None:
    goal, beyond = Goal(max_bytes=1_000), replace(FOUND, top1=0.99, bytes=1_001)
    assert goal.order(FOUND, 0.9) < goal.order(beyond, 0.9) < goal.order(replace(beyond, bytes=1_002), 0.9)


def test_where_only_the_accuracy_is_limited_the_smallest_wins() -> None:
    small = replace(FOUND, top1=0.93, bytes=500)
    assert Goal(max_top1_drop=2.0).order(small, 0.95) < Goal(max_top1_drop=2.0).order(FOUND, 0.95)
    assert Goal(max_top1_drop=1.0).order(small, 0.95) > Goal(max_top1_drop=1.0).order(FOUND, 0.95)
    assert Goal(1_000, max_top1_drop=2.0).order(small, 0.95) > Goal(1_000, max_top1_drop=2.0).order(FOUND, 0.95)
