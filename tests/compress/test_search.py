"""The search for the last point of a line that meets a goal, over curves that are made up: it always ends, gives
what it has seen, and comes close to the best where there is one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dcgen.compress.goals import LARGE_SLOPE, SLOPES, Goal, line_of
from dcgen.compress.search import Line, Placed, Verdict, bracket, search

LOW, HIGH = -37.0, 5.0
"""Logarithms of prices, as goals search them."""
PATIENT = Line(LOW, HIGH, 0.7, 80, 0.003, 0.01)
"""A line on which tries are cheap."""
SEEDS = st.integers(0, 2**32 - 1)
PLACES = st.floats(LOW, HIGH)
INFINITE = math.inf

Curve = Callable[[float], float]
"""A strain at each place of the line."""


def found_on(curve: Curve, line: Line, first: float, worth: Curve = lambda at: -0.25 * at) -> list[Placed[float]]:
    """The tries of a search over a curve, each of which is its own place.

    worth : natural logarithm of the size
    """

    def judge(tries: Sequence[float]) -> list[Verdict]:
        return [Verdict(curve(at), curve(at) <= 0, worth(at)) for at in tries]

    return search(lambda at: at, judge, line, first)


def check(placed: Sequence[Placed[float]], line: Line) -> None:
    """What holds on every curve."""
    assert 1 <= len(placed) <= line.tries
    assert all(p.at == p.found and line.low <= p.at <= line.high for p in placed)
    assert len({p.at for p in placed}) == len(placed), "no place is tried twice"
    near, far = bracket(placed)
    meeting = [p.at for p in placed if p.verdict.meets]
    assert (near is None) == (not meeting)
    if near is not None:
        assert near.verdict.meets and near.at == max(meeting)
        assert far is None or (not far.verdict.meets and far.at > near.at)


def best_of(curve: Curve) -> float:
    """The last place of the line that meets the goal, of a curve that rises."""
    low, high = LOW, HIGH
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if curve(middle) <= 0 else (low, middle)
    return low


def check_close(placed: Sequence[Placed[float]], curve: Curve, line: Line, worth: Curve) -> None:
    """The farthest try that meets the goal is worth as much as the best place, but for what the line says is not
    worth another try."""
    near, _ = bracket(placed)
    best = best_of(curve)
    assert near is not None
    close = best - near.at <= 2 * line.gap or near.verdict.strain >= -line.close
    assert close or near.verdict.worth - worth(best) <= line.enough


@st.composite
def rising(draw: st.DrawFn) -> Curve:
    """A curve that rises somewhere, is flat elsewhere, and jumps; beyond two bounds it may be saturated."""
    steps = draw(st.lists(st.tuples(PLACES, st.floats(0, 30)), min_size=1, max_size=12))
    ramps = draw(st.lists(st.tuples(PLACES, st.floats(0.01, 20), st.floats(0, 3)), max_size=6))
    start = draw(st.floats(-60, 20))
    least, most = draw(st.sampled_from([(-INFINITE, INFINITE), (-3.0, 3.0), (-0.1, 0.001), (-30.0, 1.0)]))

    def curve(at: float) -> float:
        risen = sum(height for place, height in steps if at > place)
        climbed = sum(slope * min(max(at - begin, 0.0), length) for begin, length, slope in ramps)
        return min(max(start + risen + climbed, least), most)

    return curve


@settings(deadline=None, max_examples=200)
@given(curve=rising(), first=PLACES)
def test_on_a_curve_that_rises_the_size_is_within_what_is_not_worth_a_try_of_the_best(
    curve: Curve, first: float
) -> None:
    """Whatever the curve: cliffs, plateaus, saturated at both ends."""
    assume(curve(LOW) <= 0 < curve(HIGH))
    placed = found_on(curve, PATIENT, first)
    check(placed, PATIENT)
    check_close(placed, curve, PATIENT, lambda at: -0.25 * at)


@settings(deadline=None, max_examples=100)
@given(
    root=st.floats(-30, 0),
    slope=st.floats(0.4, 1.2),
    bend=st.floats(-0.02, 0.02),
    off=st.floats(-4, 4),
    large=st.booleans(),
)
def test_on_a_smooth_curve_few_tries_are_enough(
    root: float, slope: float, bend: float, off: float, large: bool
) -> None:
    def curve(at: float) -> float:
        return slope * (at - root) * (1 + bend * (at - root)) if abs(at - root) < 20 else 20 * slope * (at - root)

    line = line_of(Goal("max_kl", 0.1), large)
    placed = found_on(curve, line, root + off)
    check(placed, line)
    check_close(placed, curve, line, lambda at: -0.25 * at)
    assert len(placed) <= (8 if large else 12)


@settings(deadline=None, max_examples=100)
@given(root=st.floats(0, 30), slope=st.floats(0.15, 0.35), off=st.floats(-4, 4), large=st.booleans())
@example(root=9.0, slope=0.275390625, off=3.0, large=False)
def test_a_size_is_used_but_for_a_hundredth_on_a_smooth_curve(
    root: float, slope: float, off: float, large: bool
) -> None:
    line = line_of(Goal("max_bytes", 1), large)

    def curve(at: float) -> float:
        return slope * (at - root)

    placed = found_on(curve, line, root + off, lambda at: max(0.0, -curve(at)))
    check(placed, line)
    near, _ = bracket(placed)
    assert near is not None and 0.99 <= math.exp(near.verdict.strain) <= 1
    assert len(placed) <= 6


@settings(deadline=None, max_examples=150)
@given(seed=SEEDS, scatter=st.floats(0, 5), first=PLACES, large=st.booleans())
def test_on_a_curve_that_scatters_the_search_ends_with_a_try_that_meets_if_it_saw_one(
    seed: int, scatter: float, first: float, large: bool
) -> None:
    rng = np.random.default_rng(seed)
    root, noise = rng.uniform(LOW, HIGH), rng.normal(0, scatter, 100)
    line = line_of(Goal("max_kl", 0.1), large)
    strains: list[float] = []

    def attempt(at: float) -> float:
        strains.append(0.7 * (at - root) + noise[len(strains)])
        return at

    def judge(tries: Sequence[float]) -> list[Verdict]:
        return [Verdict(s, s <= 0, -0.25 * at) for s, at in zip(strains, tries, strict=True)]

    placed = search(attempt, judge, line, first)
    check(placed, line)
    assert len(strains) == len(placed), "each try is made once"


@settings(deadline=None, max_examples=100)
@given(data=st.data(), first=PLACES)
def test_any_verdicts_at_all_end_the_search(data: st.DataObject, first: float) -> None:
    """Verdicts of all tries may change with each further one, and need not agree with the strains."""
    verdict = st.builds(
        Verdict, st.sampled_from([-INFINITE, -1.0, -1e-9, 0.0, 1e-9, 50.0]), st.booleans(), st.floats(-50, 50)
    )
    line = line_of(Goal("max_kl", 0.1), data.draw(st.booleans()))
    placed = search(lambda at: at, lambda tries: [data.draw(verdict) for _ in tries], line, first)
    assert 1 <= len(placed) <= line.tries


@pytest.mark.parametrize("strain", [1e-9, 3.0, 300.0])
@pytest.mark.parametrize("first", [LOW, -20.0, HIGH])
@pytest.mark.parametrize("large", [False, True])
def test_what_is_never_met_is_given_up_at_the_near_end(strain: float, first: float, large: bool) -> None:
    line = line_of(Goal("max_kl", 0.1), large)
    placed = found_on(lambda at: strain, line, first)
    check(placed, line)
    assert bracket(placed)[0] is None and placed[-1].at == line.low
    assert len(placed) <= 10


@pytest.mark.parametrize("strain", [-1e-3, -3.0, -INFINITE])
@pytest.mark.parametrize("first", [LOW, -20.0, HIGH])
@pytest.mark.parametrize("large", [False, True])
def test_what_is_always_met_is_met_at_the_far_end(strain: float, first: float, large: bool) -> None:
    line = line_of(Goal("max_error", 0.1), large)
    placed = found_on(lambda at: strain, line, first)
    check(placed, line)
    near, _ = bracket(placed)
    assert near is not None and (near.at == line.high or strain >= -line.close)
    assert len(placed) <= 10


def test_the_first_place_is_moved_onto_the_line() -> None:
    assert found_on(lambda at: at, PATIENT, 1e3)[0].at == HIGH
    assert found_on(lambda at: at, PATIENT, -1e3)[0].at == LOW


def test_a_try_that_uses_nearly_all_ends_the_search_and_others_do_not() -> None:
    line = Line(LOW, HIGH, 0.7, 8, 0.003, 0.01, close=0.04)
    assert len(found_on(lambda at: 0.7 * at - 0.02, line, 0.0)) == 1
    assert len(found_on(lambda at: 0.7 * at - 0.2, line, 0.0)) > 1


def test_steps_towards_a_distant_limit_double() -> None:
    """Where a curve tells nothing of how far it is, the line is crossed in a few tries."""
    placed = found_on(lambda at: -0.5 if at < 0 else 0.5, PATIENT, LOW)
    steps = np.diff([p.at for p in placed if p.verdict.meets])[:5]
    assert (steps[2:4] == pytest.approx(2 * steps[1:3])) and placed[0].at == LOW


def test_usual_slopes_are_known_for_every_goal() -> None:
    assert set(SLOPES) == {"fidelity", "max_kl", "max_error", "max_top1_drop", "max_bytes"}
    for name, slope in SLOPES.items():
        assert line_of(Goal(name, 1.0), False).slope == slope > 0
        of_loss = name in ("fidelity", "max_kl")
        assert line_of(Goal(name, 1.0), True).slope == (LARGE_SLOPE if of_loss else slope)
