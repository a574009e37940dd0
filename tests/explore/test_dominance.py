"""The front, and when a training is hopeless."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgen.explore.dominance import Rival, Rule, dominates, front

COSTS = st.dictionaries(
    st.integers(0, 30), st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=12
)


@given(COSTS)
def test_the_front_beats_all_others_and_none_of_its_own(costs: dict[int, tuple[int, int, int]]) -> None:
    best = front(costs)
    assert not any(dominates(costs[a], costs[b]) for a in best for b in best)
    for number in set(costs) - set(best):
        assert any(dominates(costs[a], costs[number]) or (costs[a] == costs[number] and a < number) for a in best)


RULE = Rule(after=1 / 3, margin=0.02)
FINISHED = Rival(7, "rate", (0.5, 0.8, 0.9, 0.91, 0.92, 0.93), (1000.0, 5.0))


@pytest.mark.parametrize(
    ("curve", "costs", "recipe", "stopped"),
    [
        ((0.1,), (1000, 5), "rate", False),  # too early
        ((0.1, 0.7), (1000, 5), "rate", True),  # a third of six epochs
        ((0.1, 0.7), (1200, 6), "rate", True),
        ((0.1, 0.79), (1000, 5), "rate", False),  # within the margin
        ((0.1, 0.7), (999, 6), "rate", False),  # smaller
        ((0.1, 0.7), (1000, 4), "rate", False),  # faster
        ((0.1, 0.7), (1000, 5), "dense", False),  # another recipe: its epochs do something else
        ((0.1, 0.2, 0.3, 0.4, 0.5), (1000, 5), "rate", True),
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), (1000, 5), "rate", False),  # it has ended anyway
    ],
)
def test_a_training_that_a_cheaper_one_was_far_ahead_of_is_hopeless(
    curve: Sequence[float], costs: Sequence[float], recipe: str, stopped: bool
) -> None:
    mine = Rival(9, recipe, curve, costs)
    assert RULE.winner(mine, 6, [FINISHED]) is (FINISHED if stopped else None)


def test_no_training_is_stopped_by_one_that_was_shorter() -> None:
    mine = Rival(9, "rate", (0.1,) * 8, (1000, 5))
    assert RULE.winner(mine, 24, [FINISHED]) is None
