"""The search for the prices at which a network meets what a user has asked for.

One number is searched for: the price of a bit in nats (``Prices``). The higher it is, the smaller is the file
and the larger the divergence, both about in proportion to a power of the price; so everything is computed with
logarithms. A *try* quantizes the whole network at one price and runs it as integers on the held-out pictures.
Its *figure* is the quantity that the goal limits.

A size hardly scatters about that power. The next price is interpolated between the closest tries on both sides
of the limit.

A divergence or an accuracy of few pictures scatters, as the slightest change of the price gives another network.
From each try so far follows an estimate of the price at which the limit is met, and the next price is the
weighted mean of these. The estimates are not made from the measured divergences, but from those to expect by the
errors of all scores, which scatter far less (``expected_kl``). The try that is chosen keeps to the limit by its
measured divergence, too.

A density is met by a surcharge, in bits, on every weight that is not zero. About half of it is in proportion to
the weight's work, because who asks for a density wants less to be computed.
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
"""Limit of the divergence, in nats, for a user who asks for nothing. What it comes to on SqueezeNet stands in
docs/decisions/0006."""
SPARSE_KL = 0.07
"""For a user who asks for a density alone, the price of a bit is the one that would meet this divergence, in nats,
without the density. It is below ``DEFAULT_KL`` because pruning costs most of the fidelity then, and coarser
levels would save few bytes for what they cost on top."""
TRIES = 8
"""Most tries of a search."""
SLOPES = {"max_kl": 0.7, "max_bytes": -0.25, "max_top1_drop": 0.7}
"""By goal, the power of the price of a bit to which its figure is about proportional."""
SLACK = {"max_kl": 0.06, "max_bytes": 0.01, "max_top1_drop": 0.3}
"""By goal, the share of the limit by which a figure may stay below it. Tries aim at half of it; a size within it
ends the search."""
NOISY = ("max_kl", "max_top1_drop")
"""Goals whose figures scatter by about a tenth from one price to the next."""
SCATTER = 0.15
"""Standard deviation of the logarithm of the price that is estimated from one noisy figure: a tenth over the
slope."""
ENOUGH_TRIES = 4
"""Tries for a noisy goal after which the search ends, if one of them meets the goal close to the limit
(``NEAR``)."""
NEAR = 0.1
"""Difference of the logarithms of two prices, that of a try and the one at which the limit is expected to be
met, up to which the try is close to the limit."""
PRIOR_TRIES = 2
"""While tries lie on both sides of the limit, the mean difference between measured and expected divergences is
taken as if this many further tries had shown none: a few differences are half chance."""
KL_PER_POINT = 0.05
"""Divergence in nats that is taken to lose one percentage point of accuracy, for the first price alone."""
RANGE = (1e-13, 1e-1)
"""Lowest and highest price of a bit, in nats: beyond them no network gets better or smaller."""
LEAST_STEP = {"max_kl": 0.015, "max_bytes": 0.003, "max_top1_drop": 0.05}
"""By goal, the least difference between two tries in the logarithm of the price: closer prices tell nothing
new."""
MOST_STEP = 1.5
"""Most by which the logarithm of the price that a try suggests differs from its own: slopes do not hold
farther."""
WORK_SHARE = 0.53
"""Share of a surcharge that is in proportion to a weight's work; the rest is the same for every weight. How it was
chosen stands in docs/decisions/0006."""
MOST_SURCHARGE = 64.0
"""Largest surcharge in bits on the average weight: it leaves no weight that is not zero."""
MARGINS = (0.005, 0.005, 0.02, 0.05)
"""For each attempt at a density that misses it, the share of the density by which the next one aims lower. Later
ones aim lower still, as the density of a small network changes in coarse steps."""
DENSE_ENOUGH = 0.99
"""Least share of a density that must be used: weights that are pruned beyond it cost fidelity for nothing."""


@dataclass(frozen=True)
class Goal:
    """A limit that a network must not exceed on the held-out pictures.

    limit : in nats, bytes or percentage points of accuracy, by ``name``
    """

    name: GoalName
    limit: float

    def figure(self, trial: Trial) -> float:
        """The quantity that is limited. Raises ConfigError where it needs labels and there are none."""
        if self.name == "max_top1_drop":
            if trial.top1_drop is None:
                raise ConfigError("max_top1_drop", "needs labels of the calibration pictures", "give `labels`")
            return trial.top1_drop
        return trial.mean_kl if self.name == "max_kl" else float(trial.blob_bytes)


@dataclass(frozen=True, eq=False)
class Try:
    """A quantized network, as a point and as a graph, what its trial measured, and the prices that gave it."""

    point: Point
    graph: Graph
    trial: Trial
    prices: Prices


@dataclass(frozen=True, eq=False)
class _Placed:
    """A try between price and figure.

    log_price : natural logarithm of its price of a bit
    log_figure : natural logarithm of its figure, or of the divergence to expect where that is known
    """

    log_price: float
    log_figure: float
    found: Try


def meet(quantizer: Quantizer, goal: Goal, density: float) -> Try:
    """A network that keeps to the goal and the density and uses nearly all that they allow.

    density : largest share of weights that are not zero, 1: any

    Raises ConfigError with what was reached where no try keeps to the goal.
    """
    tries: list[tuple[float, Try]] = []
    surcharge = Surcharge(quantizer, density)
    log_price = math.log(first_price(quantizer, goal))
    for number in range(1, TRIES + 1):
        found = attempt(quantizer, surcharge, math.exp(log_price), f"quantizing, try {number}")
        tries.append((log_price, found))
        inside, outside = _judged(tries, goal)
        if goal.name in NOISY:
            log_price = _estimated(inside + outside, goal, _aim(goal))
            if number >= ENOUGH_TRIES and any(p.log_price > log_price - NEAR for p in inside):
                break
            if not inside:
                log_price = min(log_price, min(p.log_price for p in outside) - 2 * LEAST_STEP[goal.name])
        else:
            if goal.limit * (1 - SLACK[goal.name]) <= goal.figure(found.trial) <= goal.limit:
                break
            log_price = _interpolated(inside, outside, goal)
        log_price = min(max(log_price, math.log(RANGE[0])), math.log(RANGE[1]))
        near = [tried for tried, _ in tries if abs(log_price - tried) < LEAST_STEP[goal.name]]
        if near and goal.name not in NOISY:
            break  # the size jumps over the range that was aimed at
        # Under a noisy goal, a price a little higher gives another network, a little smaller.
        log_price = max([log_price, *(tried + LEAST_STEP[goal.name] for tried in near)])
    inside = inside or [p for p in outside if goal.figure(p.found.trial) <= goal.limit]
    if not inside:
        best = min((found for _, found in tries), key=lambda found: goal.figure(found.trial))
        raise ConfigError(
            goal.name,
            f"{goal.limit:g} cannot be met, {goal.figure(best.trial):.4g} was reached with "
            f"{best.trial.blob_bytes:,} bytes at mean KL {best.trial.mean_kl:.4f}",
            "loosen it or a constraint",
        )
    if goal.name == "max_bytes":
        return min(inside, key=lambda p: p.found.trial.mean_kl).found
    if not quantizer.work_bits:
        return min(inside, key=lambda p: p.found.trial.blob_bytes).found
    return max(inside, key=lambda p: p.log_price).found


def expected_kl(found: Try) -> float | None:
    """The divergence to expect on pictures like the held-out ones, in nats; None where nothing tells.

    It is the error of the held-out scores, times the divergence for each unit of error on the pictures that the
    levels were made from. From network to network of one size, on 200 held-out pictures, divergences scatter by
    6 % and errors of scores by 2 %; the factor hardly scatters (docs/decisions/0006).
    """
    error, kl_of_error = found.trial.score_error, found.point.kl_of_error
    return None if error is None or kl_of_error is None else error * kl_of_error


def _expected(tries: list[tuple[float, Try]], figures: list[float], goal: Goal) -> list[float] | None:
    """The natural logarithms of the divergences to expect of the tries, None where they are not known of all.

    figures : natural logarithms of the measured divergences

    They are shifted by the mean difference of the measured ones from them: by all of it while the tries lie on one
    side of the limit, else by less (``PRIOR_TRIES``).
    """
    told = [expected_kl(found) for _, found in tries if goal.name == "max_kl"]
    known = [_log(kl) for kl in told if kl is not None]
    if len(known) < len(tries):
        return None
    both_sides = len({figure <= _log(goal.limit) for figure in figures}) - 1
    difference = sum(figure - kl for figure, kl in zip(figures, known, strict=True))
    difference /= len(tries) + PRIOR_TRIES * both_sides
    return [kl + difference for kl in known]


def _judged(tries: list[tuple[float, Try]], goal: Goal) -> tuple[list[_Placed], list[_Placed]]:
    """The tries that meet the goal and those that do not.

    Where divergences to expect are known, a try meets it if its measured divergence does and its price is not
    above the one at which the divergence to expect is the limit.
    """
    figures = [_log(goal.figure(found.trial)) for _, found in tries]
    expected = _expected(tries, figures, goal)
    placed = [_Placed(at, log, found) for (at, found), log in zip(tries, expected or figures, strict=True)]
    highest = _estimated(placed, goal, _log(goal.limit)) if expected else math.inf
    inside = [p for p in placed if p.log_price <= highest and goal.figure(p.found.trial) <= goal.limit]
    return inside, [p for p in placed if p not in inside]


def sparse(quantizer: Quantizer, density: float) -> Try:
    """A network for a density alone, at the price of a bit that ``SPARSE_KL`` says."""
    price = first_price(quantizer, Goal("max_kl", SPARSE_KL))
    return attempt(quantizer, Surcharge(quantizer, density), price, "quantizing")


class Surcharge:
    """Finds the surcharge that gives a density: bits on the average weight that is not zero.

    It is found with sketches of the network. Whole networks differ from these, so the density to aim for in
    sketches is corrected by each whole network that is made.
    """

    def __init__(self, quantizer: Quantizer, density: float) -> None:
        self._quantizer, self.density = quantizer, density
        self._aim = density

    def at(self, bit: float) -> float:
        """The surcharge in bits at a price of a bit in nats; 0 where the network is sparse enough without."""
        if self.density >= 1 or self._sketched(bit, 0.0) <= self._aim:
            return 0.0
        low, high = 0.0, MOST_SURCHARGE
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if self._sketched(bit, middle) > self._aim else (low, middle)
        return high

    def missed(self, density: float, margin: float) -> None:
        """Correct the aim: a whole network came out at ``density``, and the next one is to lie ``margin``, a
        share, below the limit."""
        self._aim *= (1 - margin) * self.density / density

    def _sketched(self, bit: float, surcharge: float) -> float:
        return self._quantizer.sketch(prices(self._quantizer, bit, surcharge)).density


def prices(quantizer: Quantizer, bit: float, surcharge: float) -> Prices:
    """The prices of a network, with what the target's work is worth and a surcharge.

    bit : price of a bit in nats
    surcharge : bits on the average weight that is not zero
    """
    by_work = quantizer.work_bits + WORK_SHARE * surcharge
    work = quantizer.evidence.work
    return Prices(
        bit, {name: by_work * work.get(name, 1.0) + (1 - WORK_SHARE) * surcharge for name in quantizer.names}
    )


def attempt(quantizer: Quantizer, surcharge: Surcharge, bit: float, stage: str) -> Try:
    """Quantize the network at a price of a bit, with the surcharge that gives the density, and run its trial.

    bit : price of a bit in nats
    stage : what progress is reported as

    Raises ConfigError with what was reached where no surcharge gives the density.
    """
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
    """The price of a bit in nats at which a sketch without surcharges just meets the goal."""
    low, high = map(math.log, RANGE)
    for _ in range(10):
        middle = (low + high) / 2
        sketch = quantizer.sketch(prices(quantizer, math.exp(middle), 0.0))
        match goal.name:
            case "max_kl":
                too_high = sketch.kl > goal.limit
            case "max_bytes":
                too_high = sketch.bits / 8 < goal.limit
            case "max_top1_drop":
                too_high = sketch.kl > KL_PER_POINT * goal.limit
        low, high = (low, middle) if too_high else (middle, high)
    return math.exp(low)


def _interpolated(inside: list[_Placed], outside: list[_Placed], goal: Goal) -> float:
    """The logarithm of the price to try next: on the line through the closest tries on both sides of the limit,
    or, while all lie on one side, on the line through the closest one with the usual slope."""
    aim = _aim(goal)
    met = min(inside, key=lambda p: p.log_price, default=None)
    missed = max(outside, key=lambda p: p.log_price, default=None)
    if met and missed:
        share = (aim - met.log_figure) / (missed.log_figure - met.log_figure or 1.0)
        if len(inside) + len(outside) > 4:  # a figure that jumps is no line: halve what lies between
            share = 0.5
        return met.log_price + min(0.9, max(0.1, share)) * (missed.log_price - met.log_price)
    last = met or missed
    assert last is not None
    return last.log_price + _step(last, goal, aim)


def _estimated(placed: list[_Placed], goal: Goal, log_figure: float) -> float:
    """The logarithm of the price that gives a figure: a weighted mean over what each try alone lets expect."""
    steps = [(log_figure - p.log_figure) / SLOPES[goal.name] for p in placed]
    # The variance of an estimate: that of the figure, and that of the slope, which is known to a half.
    weights = [1 / (SCATTER**2 + (step / 2) ** 2) for step in steps]
    prices = [p.log_price + _step(p, goal, log_figure) for p in placed]
    return sum(w * price for w, price in zip(weights, prices, strict=True)) / sum(weights)


def _step(placed: _Placed, goal: Goal, log_figure: float) -> float:
    """How far the logarithm of the price is to move from a try for a figure, by the usual slope."""
    return min(MOST_STEP, max(-MOST_STEP, (log_figure - placed.log_figure) / SLOPES[goal.name]))


def _aim(goal: Goal) -> float:
    """The logarithm of the figure to aim for, a little below the limit."""
    return _log(goal.limit * (1 - SLACK[goal.name] / 2))


def _log(figure: float) -> float:
    """The natural logarithm of a figure; of one that is 0, that of a small one."""
    return math.log(max(figure, 1e-6))
