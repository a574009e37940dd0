"""From what a user asks for to the prices that give it.

The price of a bit is the one unknown: divergence grows and the file shrinks with it, both about as a
power of it. Every try quantizes the whole network and runs it as integers. Bytes hardly scatter: the next
try is interpolated, in logarithms, between the closest ones on both sides of the limit. Divergence and
accuracy of few pictures do: every try so far votes for the price. Of a divergence it votes by what the errors of
all scores let expect, which scatters far less; the try that is taken keeps to the limit by its own figure, too.
A density is met by a surcharge on all weights that are not zero; since who asks for one wants less to compute, it
grows with what a weight has to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dcgen.compress.evidence import Trial
from dcgen.compress.point import Point
from dcgen.compress.secondorder import Prices, Quantizer
from dcgen.errors import ConfigError
from dcgen.ir.graph import Graph

GoalName = Literal["max_kl", "max_bytes", "max_top1_drop"]

DEFAULT_KL = 0.11
"""Nats that a network may diverge where nothing is asked for."""
SPARSE_KL = 0.07
"""The same for the price of a bit where a density is all that is asked for: what is pruned costs more by far."""
TRIES = 8
SLOPES = {"max_kl": 0.7, "max_bytes": -0.25, "max_top1_drop": 0.7}
"""Powers of the price of a bit that figures grow by, until two tries tell."""
SLACK = {"max_kl": 0.06, "max_bytes": 0.01, "max_top1_drop": 0.3}
"""Share of a limit that may stay unused."""
NOISY = ("max_kl", "max_top1_drop")
"""Goals whose figures scatter by a tenth from one price to the next: each try is another network."""
SCATTER = 0.15
"""By how much the logarithm of a price differs that is read off one such figure."""
ENOUGH = 4
"""Tries of a noisy goal, of which the best that meets it is taken; more only until one does."""
TRUST = 2
"""Tries that have to diverge otherwise than expected before that is half believed."""
NEAR = 0.1
"""By how much the logarithm of a price may lie below the one voted for: one try at least does not lie farther."""
KL_PER_POINT = 0.05
"""Nats at which a percentage point of accuracy may be lost, for a first guess."""
RANGE = (1e-13, 1e-1)
"""Prices of a bit in nats; beyond them no network gets better or smaller."""
NARROW = {"max_kl": 0.015, "max_bytes": 0.003, "max_top1_drop": 0.05}
"""Logarithm of the price: no two tries lie closer."""
LEAP = 1.5
"""Most that the logarithm of the price moves at once while tries lie on one side of the limit."""
WORK_SHARE = 0.53
"""Of a surcharge, the share that is for a weight's work; the rest is the same for every weight."""
MOST_SURCHARGE = 64.0
"""Bits on a weight that is not zero which leave none."""
MARGINS = (0.005, 0.005, 0.02, 0.05)
"""Shares of a density to stay below it by, try after try: small networks come in coarse steps."""
DENSE_ENOUGH = 0.99
"""Share of a density that a surcharge must leave: what is pruned beyond it is fidelity given away."""


@dataclass(frozen=True)
class Goal:
    """``limit``: nats, bytes, or percentage points of accuracy on the held-out pictures."""

    name: GoalName
    limit: float

    def figure(self, trial: Trial) -> float:
        if self.name == "max_top1_drop":
            if trial.top1_drop is None:
                raise ConfigError("max_top1_drop", "needs labels of the calibration pictures", "give `labels`")
            return trial.top1_drop
        return trial.mean_kl if self.name == "max_kl" else float(trial.blob_bytes)


@dataclass(frozen=True, eq=False)
class Try:
    """A quantized network, as its point and as a graph, what it came to, and the prices that gave it."""

    point: Point
    graph: Graph
    trial: Trial
    prices: Prices


@dataclass(frozen=True, eq=False)
class _Seen:
    """A try at the logarithm of a price of a bit, and the logarithm of its figure: of a divergence, where that is
    known, the one to expect."""

    at: float
    log_figure: float
    found: Try


def meet(quantizer: Quantizer, goal: Goal, density: float) -> Try:
    """The network that keeps to the goal and to the density (1: any), with little room left.

    Raises ConfigError naming what was reached where the goal is out of reach.
    """
    tries: list[tuple[float, Try]] = []
    surcharge = Surcharge(quantizer, density)
    at = math.log(first_price(quantizer, goal))
    for number in range(1, TRIES + 1):
        found = attempt(quantizer, surcharge, math.exp(at), f"quantizing, try {number}")
        tries.append((at, found))
        inside, outside = _judged(tries, goal)
        if goal.name in NOISY:
            at = _voted(inside + outside, goal, _aim(goal))
            if number >= ENOUGH and any(s.at > at - NEAR for s in inside):
                break
            if not inside:
                at = min(at, min(s.at for s in outside) - 2 * NARROW[goal.name])
        else:
            if goal.limit * (1 - SLACK[goal.name]) <= goal.figure(found.trial) <= goal.limit:
                break
            at = _interpolated(inside, outside, goal)
        at = min(max(at, math.log(RANGE[0])), math.log(RANGE[1]))
        near = [tried for tried, _ in tries if abs(at - tried) < NARROW[goal.name]]
        if near and goal.name not in NOISY:
            break  # figures jump by more than what such a step changes
        at = max([at, *(n + NARROW[goal.name] for n in near)])  # another network, a little smaller
    inside = inside or [s for s in outside if goal.figure(s.found.trial) <= goal.limit]
    if not inside:
        best = min((found for _, found in tries), key=lambda found: goal.figure(found.trial))
        raise ConfigError(
            goal.name,
            f"{goal.limit:g} cannot be met, {goal.figure(best.trial):.4g} was reached with "
            f"{best.trial.blob_bytes:,} bytes at mean KL {best.trial.mean_kl:.4f}",
            "loosen it or a constraint",
        )
    if goal.name == "max_bytes":
        return min(inside, key=lambda s: s.found.trial.mean_kl).found
    if not quantizer.work_bits:
        return min(inside, key=lambda s: s.found.trial.blob_bytes).found
    return max(inside, key=lambda s: s.at).found


def expected_kl(found: Try) -> float | None:
    """The divergence to be expected on pictures like the held-out ones, in nats; None where nothing tells.

    Of 200 pictures and networks of one size, mean divergences scatter by 6 %, errors of scores by 2 %, and so does
    what these cost on the 800 pictures that levels were made from.
    """
    error, kl_of_error = found.trial.score_error, found.point.kl_of_error
    return None if error is None or kl_of_error is None else error * kl_of_error


def _expected(tries: list[tuple[float, Try]], figures: list[float], goal: Goal) -> list[float] | None:
    """The logarithms of the divergences to expect, corrected by what the tries' own (``figures``, logarithms) say
    differently on average: by all of it unless they stand on both sides of the limit. None where nothing tells."""
    told = [expected_kl(found) for _, found in tries if goal.name == "max_kl"]
    known = [_log(kl) for kl in told if kl is not None]
    if len(known) < len(tries):
        return None
    sides = {figure <= _log(goal.limit) for figure in figures}
    off = sum(figure - k for figure, k in zip(figures, known, strict=True))
    off /= len(tries) + TRUST * (len(sides) - 1)
    return [k + off for k in known]


def _judged(tries: list[tuple[float, Try]], goal: Goal) -> tuple[list[_Seen], list[_Seen]]:
    """The tries that meet the goal and those that do not."""
    figures = [_log(goal.figure(found.trial)) for _, found in tries]
    expected = _expected(tries, figures, goal)
    seen = [_Seen(at, log, found) for (at, found), log in zip(tries, expected or figures, strict=True)]
    dearest = _voted(seen, goal, _log(goal.limit)) if expected else math.inf
    inside: list[_Seen] = []
    outside: list[_Seen] = []
    for s in seen:
        met = s.at <= dearest and goal.figure(s.found.trial) <= goal.limit
        (inside if met else outside).append(s)
    return inside, outside


def sparse(quantizer: Quantizer, density: float) -> Try:
    """The network of a density that is the only wish, at the price that ``SPARSE_KL`` would have without it."""
    price = first_price(quantizer, Goal("max_kl", SPARSE_KL))
    return attempt(quantizer, Surcharge(quantizer, density), price, "quantizing")


class Surcharge:
    """Bits on the average weight that is not zero which give a density, learnt from sketches and tries."""

    def __init__(self, quantizer: Quantizer, density: float) -> None:
        self._quantizer, self.density = quantizer, density
        self._aim = density

    def at(self, bit: float) -> float:
        """The surcharge at a price of a bit."""
        if self.density >= 1 or self._sketched(bit, 0.0) <= self._aim:
            return 0.0
        low, high = 0.0, MOST_SURCHARGE
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if self._sketched(bit, middle) > self._aim else (low, middle)
        return high

    def missed(self, density: float, margin: float) -> None:
        """A whole network came out at ``density``: aim as much higher or lower, and ``margin`` below the limit."""
        self._aim *= (1 - margin) * self.density / density

    def _sketched(self, bit: float, surcharge: float) -> float:
        return self._quantizer.sketch(prices(self._quantizer, bit, surcharge)).density


def prices(quantizer: Quantizer, bit: float, surcharge: float) -> Prices:
    """A price of a bit, with the target's price of every weight and a surcharge on top."""
    by_work = quantizer.work_bits + WORK_SHARE * surcharge
    work = quantizer.evidence.work
    return Prices(
        bit, {name: by_work * work.get(name, 1.0) + (1 - WORK_SHARE) * surcharge for name in quantizer.names}
    )


def attempt(quantizer: Quantizer, surcharge: Surcharge, bit: float, stage: str) -> Try:
    """Quantize the network at a price of a bit, within the density and close to it, and try it."""
    tried: list[tuple[Point, Prices]] = []
    for margin in MARGINS:
        extra = surcharge.at(bit)
        paid = prices(quantizer, bit, extra)
        tried.append((quantizer.at(paid, stage), paid))
        found = tried[-1][0].density
        if found <= surcharge.density and (not extra or found >= DENSE_ENOUGH * surcharge.density):
            break
        surcharge.missed(found, margin)
    within = [(point, paid) for point, paid in tried if point.density <= surcharge.density]
    if not within:
        raise ConfigError(
            "density",
            f"{surcharge.density:g} cannot be met, {min(p.density for p, _ in tried):.4f} was reached",
            "loosen it or the goal",
        )
    point, paid = max(within, key=lambda t: t[0].density)
    graph = point.applied(quantizer.graph)
    return Try(point, graph, quantizer.evidence.trial(graph), paid)


def first_price(quantizer: Quantizer, goal: Goal) -> float:
    """The price of a bit at which a sketch without surcharges would meet the goal."""
    low, high = map(math.log, RANGE)
    for _ in range(10):
        middle = (low + high) / 2
        sketch = quantizer.sketch(prices(quantizer, math.exp(middle), 0.0))
        match goal.name:
            case "max_kl":
                dear = sketch.kl > goal.limit
            case "max_bytes":
                dear = sketch.bits / 8 < goal.limit
            case "max_top1_drop":
                dear = sketch.kl > KL_PER_POINT * goal.limit
        low, high = (low, middle) if dear else (middle, high)
    return math.exp(low)


def _interpolated(inside: list[_Seen], outside: list[_Seen], goal: Goal) -> float:
    """The logarithm of the price to try next, between the closest tries on both sides of the limit."""
    target = _aim(goal)
    met = min(inside, key=lambda s: s.at, default=None)
    missed = max(outside, key=lambda s: s.at, default=None)
    if met and missed:
        share = (target - met.log_figure) / (missed.log_figure - met.log_figure or 1.0)
        if len(inside) + len(outside) > 4:  # figures that jump make straight lines fail
            share = 0.5
        return met.at + min(0.9, max(0.1, share)) * (missed.at - met.at)
    last = met or missed
    assert last is not None
    return last.at + min(LEAP, max(-LEAP, (target - last.log_figure) / SLOPES[goal.name]))


def _aim(goal: Goal) -> float:
    """The logarithm of the figure to try for, a little below the limit."""
    return _log(goal.limit * (1 - SLACK[goal.name] / 2))


def _voted(seen: list[_Seen], goal: Goal, log_figure: float) -> float:
    """The logarithm of the price for a figure: each try votes for the one at which it would have that."""
    steps = [(log_figure - s.log_figure) / SLOPES[goal.name] for s in seen]
    weights = [1 / (SCATTER**2 + (step / 2) ** 2) for step in steps]  # the slope is known to a half
    votes = [s.at + min(LEAP, max(-LEAP, step)) for s, step in zip(seen, steps, strict=True)]
    return sum(w * vote for w, vote in zip(weights, votes, strict=True)) / sum(weights)


def _log(figure: float) -> float:
    return math.log(max(figure, 1e-6))
