"""The search along one line for the last point that still meets a goal, whatever shape its figure has.

The line is the logarithm of a price, from where every network is close to the float one to where nothing is left
of it. Along it, a figure rises about in proportion to a power of the price, but it scatters, and on small
networks it stays flat for decades, jumps and falls back. So the search first brackets the limit, with steps that
double as long as the limit lies on one side, and then halves the bracket, or cuts it where the line between its
ends meets the limit. It ends where the network on the near side is not worth more tries, and it cannot fail to
end. The last try of a search that has met nothing is the one at the near end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_STEP = 3.0
"""Largest first step towards a limit, before steps double."""
CUT = (0.1, 0.9)
"""Nearest to the ends of a bracket that it is cut, as shares of its length."""


@dataclass(frozen=True)
class Verdict:
    """What is to be known of a try.

    strain : natural logarithm of its figure over the limit, -inf where the figure is 0
    meets : whether it keeps to the goal, which other things than the strain may prevent
    worth : natural logarithm of the quantity that the search makes small: the bytes, or for a goal in bytes, their
        reverse
    """

    strain: float
    meets: bool
    worth: float


@dataclass(frozen=True)
class Line:
    """The line that is searched.

    low, high : its ends; the goal is met at ``low`` if anywhere
    slope : of the strain along it, as is usual; positive
    tries : at most
    gap : smallest distance between two tries
    enough : difference of worth between both sides of the bracket that ends the search
    close : a try that meets the goal with a strain above minus this ends the search
    aim : strain that steps and cuts aim at: a little inside, as a try beyond the limit is of no use
    least_step : smallest first step towards a limit, before steps double
    """

    low: float
    high: float
    slope: float
    tries: int
    gap: float = 0.003
    enough: float = 0.01
    close: float = 0.0
    aim: float = -0.03
    least_step: float = 0.2


@dataclass(frozen=True, eq=False)
class Placed(Generic[T]):
    """A try, where it lies on the line, and what is known of it."""

    at: float
    found: T
    verdict: Verdict


def search(
    attempt: Callable[[float], T], judge: Callable[[Sequence[T]], Sequence[Verdict]], line: Line, first: float
) -> list[Placed[T]]:
    """The tries in order.

    attempt : makes the try at a place of the line
    judge : verdicts on all tries so far, as one may shed light on the others
    first : the place where the search begins
    """
    at = min(max(first, line.low), line.high)
    made: list[tuple[float, T]] = []
    cuts = 0
    while True:
        made.append((at, attempt(at)))
        verdicts = judge([found for _, found in made])
        placed = [Placed(*m, v) for m, v in zip(made, verdicts, strict=True)]
        near, far = bracket(placed)
        if near is not None and far is not None:
            cuts += 1
        done = near is not None and near.verdict.strain >= -line.close
        following = None if done else _next(near, far, line, len(made), cuts)
        if following is not None and near is None and len(made) == line.tries - 1:
            following = line.low  # so that what no try meets cannot be met
        if following is None or len(made) >= line.tries:
            return placed
        at = following


def bracket(placed: Sequence[Placed[T]]) -> tuple[Placed[T] | None, Placed[T] | None]:
    """The farthest try that meets the goal, and the nearest one behind it that does not."""
    near = max((p for p in placed if p.verdict.meets), key=lambda p: p.at, default=None)
    behind = (p for p in placed if not p.verdict.meets and (near is None or p.at > near.at))
    return near, min(behind, key=lambda p: p.at, default=None)


def _next(near: Placed[T] | None, far: Placed[T] | None, line: Line, tries: int, cuts: int) -> float | None:
    """The place of the next try; None where the search is done.

    tries, cuts : tries so far, and those of them after which there was a bracket
    """
    if near is not None and far is not None:
        length = far.at - near.at
        if length <= 2 * line.gap or near.verdict.worth - far.verdict.worth <= line.enough:
            return None
        return near.at + length * _cut(
            near.verdict.strain - line.aim, far.verdict.strain - line.aim, halve=cuts % 3 == 0
        )
    if near is not None:
        if near.at >= line.high:
            return None
        return min(line.high, near.at + _step(line.aim - near.verdict.strain, line, tries))
    assert far is not None
    if far.at <= line.low:
        return None
    return max(line.low, far.at - _step(far.verdict.strain - line.aim, line, tries))


def _step(strain: float, line: Line, tries: int) -> float:
    """Length of a step that is to change the strain by ``strain``."""
    usual = min(max(strain / line.slope, line.least_step), MOST_STEP)
    return float(usual * 2 ** max(0, tries - 2))


def _cut(near: float, far: float, halve: bool) -> float:
    """Where to cut a bracket, as a share of its length, its ends having these strains, less what is aimed at.

    halve : cut it in half whatever the strains are, so that figures that jump cannot make the search slow
    """
    if halve or not (math.isfinite(near) and math.isfinite(far)) or far <= near:
        return 0.5
    return min(CUT[1], max(CUT[0], -near / (far - near)))
