"""What a network is to keep to, and the search for the prices at which it does.

One number is searched for: the price of a bit, in units of the metric's loss (``Prices``). The higher it is, the
smaller is the file and the larger the loss. A *try* quantizes the whole network at one price and runs it as
integers on the held-out pictures. Its *figure* is the quantity that the goal limits.

Figures of few pictures scatter from network to network. So tries are judged by quiet figures, which say what to
expect of further pictures (``metric``), and the try that is chosen keeps to the limit by its own figure, too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dcgen.compress.attempts import RANGE, Surcharge, Try, attempt, first_price, prices
from dcgen.compress.evidence import Divergence, Trial
from dcgen.compress.search import Line, Placed, Verdict, bracket, search
from dcgen.compress.secondorder import LARGE, Quantizer
from dcgen.errors import ConfigError

GoalName = Literal["fidelity", "max_kl", "max_error", "max_top1_drop", "max_bytes"]

DEFAULT_LOSS = 0.011
"""By default, limit of the loss of up to ``MANY_CLASSES`` classes, in nats at the metric's temperature. With
more it is in proportion to their number, as the next class is closer to the first then: .11 for a thousand. What
that comes to on SqueezeNet stands in docs/decisions/0006, on small networks in docs/decisions/0010."""
DEFAULT_CHANGES = 0.025
"""By default, limit of the share of pictures whose first class is expected to change, of up to ``MANY_CLASSES``
classes. With more it is in proportion to their number, too: where the first class is often in doubt, its changes
cost little accuracy."""
MANY_CLASSES = 100
FEW = 200
FEW_SHARE = 0.78
"""With fewer than ``FEW`` held-out pictures of classes, the default's limits are smaller, in proportion to their
number down to this share: what is chosen by few pictures looks better on them than it is (docs/decisions/0010)."""
DEFAULT_DROP = 0.3
"""By default, limit of the accuracy that is expected to be lost, in percentage points, at the upper end of its
interval, where labels are known; with so few pictures that one is more, one picture's share, which is what their
interval tells apart."""
DEFAULT_ERROR = 0.1
"""By default, limit of the relative error of every output where outputs are values."""
SPARSE_SHARE = 0.6
"""For a user who asks for a density alone, the price of a bit is the one at which the network without the
density is expected to use this share of the default's loss. It is below 1 because pruning costs most of the
fidelity then, and coarser levels would save few bytes for what they cost on top."""
ROOM = 1.5
"""Loss that the first price may come to, over the one that the constraints on levels cost at any price: at prices
below that, no surcharge makes a network sparse."""
TRIES = (16, 6)
"""Most tries of a search, for small and for large networks."""
GAPS = ((0.02, 0.02, 0.0), (0.003, 0.02, 0.14))
"""For small and for large networks: the smallest distance between two tries in the logarithm of the price, the
share of a file's size that is not worth another try, and the share of the limit that need not be used. On
SqueezeNet v1.1, 14 % of the loss are 3 % of the size, and what a try expects scatters by 5 % from what a draft
said."""
AIM = 0.6
"""Share of what need not be used that tries aim to leave, so that most of them end the search."""
LEAST_AIM = 0.03
"""The same at least, as a share of the limit: a try beyond it is of no use."""
LEAST_STEPS = (0.2, 0.03)
"""For small and for large networks, the smallest first step along the logarithm of the price. Small networks come
in coarse steps; on a large one, the usual slope says well how far it is to a limit that is close."""
CLOSE_TO_ASKED = 0.04
"""Share of a limit that need not be used where a user has asked for it."""
UNUSED = (0.01, 0.004)
"""For small and for large networks: share of a size that need not be used. A hundredth of SqueezeNet's size is
worth 4 % of its divergence."""
SLOPES = {"fidelity": 0.5, "max_kl": 0.7, "max_error": 0.35, "max_top1_drop": 0.7, "max_bytes": 0.3}
"""By goal, the power of the price of a bit, or for a size of its reverse, to which the figure is about
proportional."""
LARGE_SLOPE = 0.85
"""The same for the loss of large networks: .84 and .92 with SqueezeNet v1.1. Small ones saturate."""
DRAFTS = 2
"""Most drafts that a large network is begun with, to save tries."""
DRAFT_SHARE = 0.25
"""Share of the measured pictures that drafts are made from."""
DRAFT_LOSS = 0.97
"""Loss to expect of a try over the loss of a draft at the same price: .93 and 1.01 with SqueezeNet v1.1. A try has
more pictures and their mirror images, which lower it, and rounded activations, which raise it."""
DRAFT_SIZE = 1.03
"""Bytes of a file over those of the levels of a draft at the same price (SqueezeNet v1.1)."""
DRAFT_CLOSE = 0.6
"""Change of the logarithm of the price below which a draft is close enough."""
PRIOR_TRIES = 2
"""The mean difference between measured and expected losses is taken as if this many further tries had shown
none: a few differences are half chance."""
LOSS_PER_POINT = 0.05
"""Loss that is taken to lose one percentage point of accuracy, for the first price alone."""
DOUBT = 2.326
"""Standard deviations by which a measured figure, and a count by one picture on top, may exceed what is allowed of
the quiet one: more is by chance once in a hundred. Counts of few pictures would otherwise decide on sizes."""
LOSS_SCATTER = 0.85
"""Standard deviation of the logarithm of the loss from network to network of one quality, times the root of the
number of pictures: 6 % on 200 (docs/decisions/0006)."""
ALIKE = 0.98
"""Share of the largest file within a size from which on files count as equally large, and the better one is
taken."""


@dataclass(frozen=True)
class Part:
    """One of the limits that a goal consists of.

    value : the quiet figure of a try
    measured : the same quantity as it was measured
    allowed : what ``measured`` may be, for all the chance in it
    """

    name: str
    value: float
    limit: float
    measured: float
    allowed: float

    @property
    def strain(self) -> float:
        """Natural logarithm of the figure over its limit."""
        return _log(self.value) - math.log(self.limit)


@dataclass(frozen=True)
class Goal:
    """A limit that a network must not exceed on the held-out pictures.

    name : ``fidelity`` for what is good for a user who asks for nothing: several limits that suit the outputs
    limit : by ``name`` in nats, relative error, percentage points of accuracy, or bytes; of ``fidelity`` the share
        of its limits that may be used, 1
    """

    name: GoalName
    limit: float

    def figure(self, trial: Trial) -> float:
        """The quantity that is limited, as it was measured; of ``fidelity`` the largest share of a limit.

        Raises ConfigError where the outputs or missing labels do not allow the goal.
        """
        if self.name == "max_bytes":
            return float(trial.blob_bytes)
        if self.name == "fidelity":
            return max(p.value / p.limit for p in self.parts(trial))
        (part,) = self.parts(trial)
        return part.measured

    def parts(self, trial: Trial) -> tuple[Part, ...]:
        """The limits of the goal, none for a size. Raises ConfigError as ``figure``."""
        match self.name:
            case "fidelity":
                return _default_parts(trial)
            case "max_kl":
                found = [a.mean_kl for a in trial.answers] if trial.mean_kl is None else [trial.mean_kl]
                if not found:
                    problem = "needs outputs that are classes, these are values"
                    raise ConfigError("max_kl", problem, "give `max_error`")
                return (Part("mean_kl", max(found), self.limit, max(found), self.limit),)
            case "max_error":
                error = trial.relative_error
                return (Part("relative_error", error, self.limit, error, self.limit),)
            case "max_top1_drop":
                if trial.top1_drop is None or trial.expected_drop is None:
                    raise ConfigError("max_top1_drop", "needs labels of the calibration pictures", "give `labels`")
                return (Part("top1_drop", trial.expected_drop[0], self.limit, trial.top1_drop, self.limit),)
            case "max_bytes":
                return ()


def of_classes(limit: float, classes: int) -> float:
    """A limit of up to ``MANY_CLASSES`` classes, in proportion to their number beyond that."""
    return limit * max(1.0, classes / MANY_CLASSES)


def _default_parts(trial: Trial) -> tuple[Part, ...]:
    """The limits for a user who asks for nothing."""
    n = trial.pictures
    if trial.expected_changes is None or trial.agreement is None:
        # A root mean square over n inputs is known to a share of 1 / sqrt(2 n).
        error = trial.relative_error
        value = error * (1 + 1.5 / math.sqrt(2 * n))
        parts = [Part("relative_error", value, DEFAULT_ERROR, error, DEFAULT_ERROR)] if trial.has_values else []
        for a in trial.answers:
            parts += _parts_of_classes(a.classes, n, a.loss, a.expected_changes, a.agreement, f" of {a.name}")
        return tuple(parts)
    parts = _parts_of_classes(trial.classes, n, trial.loss, trial.expected_changes, trial.agreement)
    if trial.expected_drop is not None and trial.top1_drop is not None:
        changes, limit = parts[1], max(DEFAULT_DROP, 100 / n)
        allowed = limit + 100 * (changes.allowed - changes.limit)
        parts.append(Part("top1_drop", trial.expected_drop[1], limit, trial.top1_drop, allowed))
    return tuple(parts)


def _parts_of_classes(
    classes: int, n: int, loss: float, expected_changes: float, agreement: float, suffix: str = ""
) -> list[Part]:
    """The default's limits of the loss and of the changes of an output that is classes, on ``n`` pictures."""
    share = min(1.0, FEW_SHARE + (1 - FEW_SHARE) * n / FEW)
    most, changes = (share * of_classes(limit, classes) for limit in (DEFAULT_LOSS, DEFAULT_CHANGES))
    allowed = changes + DOUBT * math.sqrt(changes * (1 - changes) / n) + 1 / n
    return [
        Part(f"loss{suffix}", loss, most, loss, most * (1 + DOUBT * LOSS_SCATTER / math.sqrt(n))),
        Part(f"changes{suffix}", expected_changes, changes, 1 - agreement, allowed),
    ]


def meet(quantizer: Quantizer, goal: Goal, density: float) -> Try:
    """A network that keeps to the goal and the density and uses nearly all that they allow.

    density : largest share of weights that are not zero, 1: any

    Raises ConfigError with what was reached where no try keeps to the goal. Of ``fidelity``, the closest try is
    returned instead, as nobody has asked for its limits.
    """
    surcharge = Surcharge(quantizer, density)
    price = _first_price(quantizer, goal)
    if quantizer.weights >= LARGE and density == 1:
        price = _drafted(quantizer, goal, price)

    def at(bit: float, number: int) -> Try:
        return attempt(quantizer, surcharge, bit, f"quantizing, try {number}")

    return sought(at, goal, quantizer.weights, RANGE, price, work=bool(quantizer.work_bits))


def sought(
    attempt: Callable[[float, int], Try],
    goal: Goal,
    weights: int,
    prices: tuple[float, float],
    first: float,
    work: bool = False,
) -> Try:
    """The try that a search for a goal ends with.

    attempt : makes the try of a price; its number, from 1, is for reports
    weights : of the network, by which a try takes long or not
    prices : lowest and highest price of the search
    first : price that the search begins with
    work : whether the target's work counts, which a smaller file need not mean

    Raises ConfigError as ``meet``.
    """
    sign, line, numbers = _sign(goal), line_of(goal, weights >= LARGE, prices), itertools.count(1)

    def at(place: float) -> Try:
        return attempt(math.exp(sign * place), next(numbers))

    placed = search(at, lambda tries: judged(tries, goal), line, sign * math.log(first))
    return chosen(placed, goal, work)


def line_of(goal: Goal, large: bool, prices: tuple[float, float] = RANGE) -> Line:
    """The line that is searched: logarithms of prices, for a size of their reverses.

    large : whether a try takes long
    prices : lowest and highest price
    """
    low, high = sorted(_sign(goal) * math.log(price) for price in prices)
    gap, enough, close = GAPS[large]
    slope = LARGE_SLOPE if large and goal.name in ("fidelity", "max_kl") else SLOPES[goal.name]
    line = Line(low, high, slope, TRIES[large], gap, enough, close, least_step=LEAST_STEPS[large])
    if goal.name == "max_bytes":
        unused = UNUSED[large]  # which is more than the size changes from one price to the next one tried
        return replace(line, gap=min(gap, unused), enough=unused, close=unused, aim=-unused / 2)
    if goal.name != "fidelity":
        line = replace(line, close=min(close, CLOSE_TO_ASKED))
    return replace(line, aim=-max(LEAST_AIM, AIM * line.close))


def _sign(goal: Goal) -> float:
    """Which way goals get harder to meet along the price: a size is met at high prices, any other at low ones."""
    return -1.0 if goal.name == "max_bytes" else 1.0


def _drafted(quantizer: Quantizer, goal: Goal, price: float) -> float:
    """A price of a bit that is closer to the goal than ``price``, by drafts of the network: they are made from
    few of the measured pictures, their activations are not rounded, and their size is estimated."""
    evidence = quantizer.evidence
    divergence = Divergence(quantizer.graph, evidence.held_out, evidence.metric)
    of_bytes = goal.name == "max_bytes"
    aim = line_of(goal, large=True).aim
    slope, before = -SLOPES["max_bytes"] if of_bytes else LARGE_SLOPE, None
    for number in range(1, DRAFTS + 1):
        point = quantizer.at(prices(quantizer, price, 0.0), f"quantizing, draft {number}", DRAFT_SHARE)
        if of_bytes:
            strain = math.log(point.bits / 8 * DRAFT_SIZE / goal.limit)
        else:
            loss = max(DRAFT_LOSS * divergence(point.weights, point.biases), 1e-9)
            strain = math.log(loss / usual_loss(goal, evidence.classes))
        if before is not None:  # two drafts tell the slope between them
            slope *= min(2.0, max(0.5, (strain - before[1]) / (math.log(price / before[0]) * slope)))
        before = price, strain
        change = min(2.0, max(-2.0, (aim - strain) / slope))
        price *= math.exp(change)
        if abs(change) < DRAFT_CLOSE:
            break
    quantizer.forget()
    return price


def judged(tries: Sequence[Try], goal: Goal) -> list[Verdict]:
    """The verdicts on tries of one search."""
    if goal.name == "max_bytes":
        shares = [math.log(t.trial.blob_bytes / goal.limit) for t in tries]
        return [Verdict(share, share <= 0, max(0.0, -share)) for share in shares]
    parts = [goal.parts(t.trial) for t in tries]
    losses = _expected_losses(tries)
    verdicts = []
    for t, of, loss in zip(tries, parts, losses, strict=True):
        if loss is not None:
            # The expected loss is the quiet figure of the loss, and of the divergence where that is the loss.
            quiet = ("loss", "mean_kl") if t.trial.mean_kl == t.trial.loss else ("loss",)
            of = tuple(replace(p, value=loss) if p.name in quiet else p for p in of)
        strain = max(p.strain for p in of)
        meets = strain <= 0 and all(p.measured <= p.allowed for p in of) and not t.emptied
        verdicts.append(Verdict(strain, meets, math.log(t.trial.blob_bytes)))
    return verdicts


def _expected_losses(tries: Sequence[Try]) -> list[float | None]:
    """The loss to expect of each try on pictures like the held-out ones, None where nothing tells.

    It is the error of the held-out scores, times the loss for each unit of error on the pictures that the levels
    were made from. From network to network of one size, on 200 held-out pictures, divergences scatter by 6 % and
    errors of scores by 2 %; the factor hardly scatters (docs/decisions/0006). What the measured losses say
    differently on average is taken over, but for what may be chance (``PRIOR_TRIES``).
    """
    told = [t.trial.score_error * (t.point.loss_of_error or 0.0) for t in tries]
    known = [(t.trial.loss, loss) for t, loss in zip(tries, told, strict=True) if loss > 0 and t.trial.loss > 0]
    if len(known) < len(tries):
        return [None] * len(tries)
    shift = sum(math.log(measured / loss) for measured, loss in known) / (len(known) + PRIOR_TRIES)
    return [loss * math.exp(shift) for loss in told]


def chosen(placed: Sequence[Placed[Try]], goal: Goal, work: bool) -> Try:
    """The try of a search that is taken.

    work : whether the target's work counts, which a smaller file need not mean
    """
    inside = [p for p in placed if p.verdict.meets]
    if not inside and goal.name == "fidelity":
        return min(placed, key=lambda p: (bool(p.found.emptied), p.verdict.strain)).found
    inside = inside or [p for p in placed if goal.figure(p.found.trial) <= goal.limit]
    if not inside:
        best = min(placed, key=lambda p: goal.figure(p.found.trial)).found.trial
        figures = f"{goal.figure(best):.4g} was reached with {best.blob_bytes:,} bytes at {described(best)}"
        raise ConfigError(goal.name, f"{goal.limit:g} cannot be met, {figures}", "loosen it or a constraint")
    if goal.name == "max_bytes":
        most = max(p.found.trial.blob_bytes for p in inside)
        alike = [p for p in inside if p.found.trial.blob_bytes >= ALIKE * most]
        return min(alike, key=lambda p: p.found.trial.score_error * (p.found.point.loss_of_error or 1.0)).found
    if not work:
        return min(inside, key=lambda p: p.found.trial.blob_bytes).found
    near, _ = bracket(placed)
    return (near or inside[0]).found


def described(trial: Trial) -> str:
    """The fidelity of a trial in a few words."""
    if trial.mean_kl is None or trial.agreement is None:
        told = [f"relative error {trial.relative_error:.4f}"] if trial.has_values else []
        return ", ".join(told + [f"mean KL of {a.name} {a.mean_kl:.4f}" for a in trial.answers])
    return f"mean KL {trial.mean_kl:.4f}, agreement {100 * trial.agreement:.1f} %"


def sparse(quantizer: Quantizer, density: float) -> Try:
    """A network for a density alone, at the price of a bit that ``SPARSE_SHARE`` says."""
    price = _first_price(quantizer, Goal("fidelity", 1.0), SPARSE_SHARE)
    return attempt(quantizer, Surcharge(quantizer, density), price, "quantizing")


def usual_loss(goal: Goal, classes: int) -> float:
    """The loss at which a network usually just meets the goal, of a size the default's; for first prices alone.

    classes : number of classes, 0 where outputs are values
    """
    match goal.name:
        case "max_kl":
            return goal.limit
        case "max_error":
            return goal.limit**2 / 2
        case "max_top1_drop":
            return LOSS_PER_POINT * goal.limit
        case "fidelity" | "max_bytes":
            if classes == 0:
                return DEFAULT_ERROR**2 / 2
            return of_classes(DEFAULT_LOSS, classes)


def _first_price(quantizer: Quantizer, goal: Goal, share: float = 1.0) -> float:
    """The price of a bit at which a network is expected to use this share of the goal's loss, or for a size, to be
    just larger. Where few levels alone lose more, it is the one at which little is added to that."""
    if goal.name == "max_bytes":
        return first_price(quantizer, lambda sketch: sketch.bits / 8 < goal.limit)
    least = quantizer.sketch(prices(quantizer, RANGE[0], 0.0)).loss
    most = max(share * usual_loss(goal, quantizer.evidence.classes), ROOM * least)
    return first_price(quantizer, lambda sketch: sketch.loss > most)


def _log(figure: float) -> float:
    """The natural logarithm of a figure, -inf of 0."""
    return math.log(figure) if figure > 0 else -math.inf
