"""Cuts that dynamic programming finds, against all possible cuts."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from dcgen.plan.cuts import cheapest_cuts

Costs = dict[tuple[int, int], int]


@st.composite
def costs(draw: st.DrawFn) -> tuple[int, Costs]:
    n = draw(st.integers(1, 6))
    runs = [(a, b) for a in range(n) for b in range(a + 1, n + 1)]
    return n, {run: draw(st.integers(0, 20)) for run in draw(st.sets(st.sampled_from(runs)))}


@given(costs())
def test_no_other_cuts_are_cheaper_or_reach_further(drawn: tuple[int, Costs]) -> None:
    n, known = drawn
    found, cost, reached = cheapest_cuts(n, lambda a, b: (known[a, b], (a, b)) if (a, b) in known else None)
    edges = [0, *(last for _, last in found)]
    assert list(pairwise(edges)) == list(found) and edges[-1] == reached
    assert cost == sum(known[run] for run in found)
    for end in range(reached, n + 1):
        for count in range(end):
            for inner in combinations(range(1, end), count):
                runs = list(pairwise((0, *inner, end)))
                if all(run in known for run in runs):
                    assert end == reached
                    assert cost <= sum(known[run] for run in runs)
