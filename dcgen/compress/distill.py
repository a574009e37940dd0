"""Distillation: a network that a search has found is trained on the float network's answers.

A round is some steps of training (``teaching``), after which levels are chosen anew (``student``) and the
network is measured on the held-out pictures. When these have shown no improvement for some rounds, or all steps
are done, the network of the best round is lowered, encoded and run as integers like the one that training
started from. The better of the two is kept.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.compress.attempts import RANGE, Try
from dcgen.compress.evidence import Divergence
from dcgen.compress.goals import DEFAULT_LOSS, SLOPES, Goal, of_classes
from dcgen.compress.point import Point, fingerprint, point_bytes
from dcgen.compress.saved import Saved, resume, resume_start, save, save_start
from dcgen.compress.secondorder import Prices, Quantizer
from dcgen.compress.student import Layers, Rates, Sites, parametrized, point_of, requantized, student, trained
from dcgen.progress import counted
from dcgen.train.teaching import Lesson, Teacher

SWEEPS = 1
"""Sweeps of coordinate descent by which levels are chosen anew after a round."""
SIZE_POWER = 4.3
"""Divergence times size to this power is about the same for networks of one quality and different sizes, as
measured on SqueezeNet v1.1: by this product, networks of different sizes are compared."""
HOLD_POWER = 8.0
"""Where a size is to be held and the network has x times the wanted bits, the price of a bit is multiplied by x
to this power."""
MOST_PRICE_CHANGE = 0.25
"""Most that the natural logarithm of the price of a bit changes after a round."""
DAMPING = 0.5
"""Share of a change of price that is made where a divergence asks for it: levels take more than one round to
follow a price, and the whole change would overshoot."""
SIZE_MARGIN = 0.002
"""Share of a size by which a file may differ from the size that is estimated between rounds."""
KL_MARGIN = 0.01
"""Share of a divergence by which the integer network's may differ from the one that is estimated between
rounds."""
WARM_UP = 20
"""Steps in which the learning rates rise to their full values, while Adam's mean squares are of few pictures."""


@dataclass(frozen=True)
class Training:
    """How long a student is taught, and how.

    steps : of the optimizer, at most
    round_steps : steps between two choices of levels
    patience : rounds in a row without an improvement after which training ends
    seed : of the order of the pictures and of their augmentation
    rates : learning rates at full speed
    lesson : what a student is shown
    folder : where checkpoints are kept; None: none are written
    """

    steps: int
    round_steps: int
    patience: int
    seed: int
    rates: Rates
    lesson: Lesson
    folder: Path | None = None

    @property
    def rounds(self) -> int:
        """Rounds of a training that is not ended early."""
        return -(-self.steps // self.round_steps)

    def speeds(self, number: int) -> list[float]:
        """Factors of the learning rates at the steps of round ``number``, from 0: over the whole training they
        fall from 1 to 0 along half a cosine, and rise linearly in the first ``WARM_UP`` steps."""
        first = number * self.round_steps
        return [
            min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / self.steps))
            for step in range(first, min(first + self.round_steps, self.steps))
        ]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The better of the start and of the best round, and a report of the training, as plain data."""

    found: Try
    report: dict[str, Any]


def searched(quantizer: Quantizer, search: Callable[[], Try], settings: object) -> Try:
    """What ``search`` finds; or what it found before, if the checkpoint folder has that for the same network,
    pictures and ``settings``."""
    folder = quantizer.evidence.checkpoint
    if folder is None:
        return search()
    key = _hash(quantizer, fingerprint(quantizer.graph), settings)
    kept = resume_start(folder, key, quantizer.graph)
    if kept is None:
        found = search()
        save_start(folder, key, found.point, found.prices, quantizer.graph)
        return found
    point, paid = kept
    graph = point.applied(quantizer.graph)
    return Try(point, graph, quantizer.evidence.trial(graph), paid)


def found_prices(quantizer: Quantizer, sites: Sites, layers: Layers, prices: Prices) -> Prices:
    """``prices`` with another price of a bit: the one at which levels chosen anew take as many bits as those of
    ``layers``. So the price is found at which a point was made."""
    wanted = point_of(quantizer, sites, layers).bits
    low, high = map(math.log, RANGE)
    for _ in range(12):
        middle = (low + high) / 2
        found = requantized(quantizer, sites, layers, replace(prices, bit=math.exp(middle)), SWEEPS)
        low, high = (middle, high) if point_of(quantizer, sites, found).bits > wanted else (low, middle)
    return replace(prices, bit=math.exp((low + high) / 2))


class Distillation:
    """The training of one network.

    quantizer : what made the network
    start : the network; a price of a bit of 0 in it means that the price is not known, and it is found first
    goal : where it is a divergence, the file is made smaller and the divergence kept to; otherwise the size is
        held and the divergence lowered
    density : largest share of weights that are not zero
    """

    def __init__(
        self, quantizer: Quantizer, start: Try, goal: Goal | None, density: float, training: Training
    ) -> None:
        self._quantizer, self._start, self._prices = quantizer, start, start.prices
        self._goal, self._density, self._training = goal, density, training
        evidence = quantizer.evidence
        self._sites, self._layers = student(quantizer, start.point)
        self._teacher = Teacher(quantizer.graph, evidence.measure, training.lesson)
        self._divergence = Divergence(quantizer.graph, evidence.held_out, evidence.metric)
        if not self._prices.bit:
            self._prices = found_prices(quantizer, self._sites, self._layers, self._prices)
        # Between rounds the divergence is measured with float activations and the bits are estimated. The start
        # has been tried as integers: the ratio of its divergences, and the difference of its sizes, hold for all
        # rounds.
        self._start_kl = self._divergence(start.point.weights, start.point.biases)
        self._integer_ratio = start.trial.loss / max(self._start_kl, 1e-9)
        self._start_bits = point_of(quantizer, self._sites, self._layers).bits
        limits: dict[str, float] = {goal.name: goal.limit} if goal else {}
        size = start.trial.blob_bytes
        # Where a loss is limited, the smaller network is the better one. A goal in nats is one at temperature 1.
        self._most_kl: float | None = None
        if "max_kl" in limits and start.trial.mean_kl:
            self._most_kl = limits["max_kl"] * start.trial.loss / start.trial.mean_kl
        elif goal is not None and goal.name == "fidelity":
            self._most_kl = of_classes(DEFAULT_LOSS, start.trial.classes)
        self._most_bytes = limits.get("max_bytes", size * (1 + SIZE_MARGIN))
        self._wanted_bits = self._start_bits
        if "max_bytes" in limits:  # the bytes that the search has left are used, too
            self._wanted_bits += 8 * (limits["max_bytes"] * (1 - SIZE_MARGIN) - size)

    def run(self) -> Outcome:
        """Train, from the checkpoint on where there is one, and choose between the start and the best round."""
        training, teacher = self._training, self._teacher
        key = self._key()
        state = resume(training.folder, key, tuple(self._layers)) if training.folder else None
        if state is None:
            state = Saved((), self._prices.bit, self._layers, self._layers, teacher.optimizer.state())
        teacher.optimizer.restore(state.optimizer)
        batch = training.lesson.batch
        done = counted(self._quantizer.evidence.progress, "distilling", training.steps * batch)
        done(min(len(state.rounds) * training.round_steps, training.steps) * batch)
        while len(state.rounds) < training.rounds and _waiting(state.rounds) < training.patience:
            state = self._round(state, done)
            if training.folder:
                save(training.folder, key, state)
        best = None
        if any(r["best"] for r in state.rounds):
            point = point_of(self._quantizer, self._sites, state.best)
            graph = point.applied(self._quantizer.graph)
            best = Try(point, graph, self._quantizer.evidence.trial(graph), replace(self._prices, bit=state.price))
        helped = best is not None and self._better(best)
        report = {
            "helped": helped,
            "start": asdict(self._start.trial),
            "best": None if best is None else asdict(best.trial),
            "stopped_early": len(state.rounds) < training.rounds,
            "rounds": list(state.rounds),
        }
        return Outcome(best if best is not None and helped else self._start, report)

    def _round(self, state: Saved, done: Callable[[int], None]) -> Saved:
        """The training after one more round."""
        number, quantizer, training = len(state.rounds), self._quantizer, self._training
        rng = np.random.default_rng((training.seed, number))
        convs = {n: parametrized(self._sites[n], layer, training.rates) for n, layer in state.layers.items()}
        parameters, taught_kl = self._teacher.round(convs, training.speeds(number), rng, done)
        layers = trained(self._sites, state.layers, parameters)
        prices = replace(self._prices, bit=state.price)
        if training.rates.offset or self._most_kl is not None:
            layers = requantized(quantizer, self._sites, layers, prices, SWEEPS)
        point = point_of(quantizer, self._sites, layers)
        kl = self._divergence(point.weights, point.biases)
        report = {
            "taught_kl": taught_kl,
            "held_out_kl": kl,
            "estimated_bytes": self._expected(kl, point.bits)[0],
            "changed": _changed(state.layers, layers),
            "price": state.price,
            "merit": self._merit(kl, point.bits),
            "cost": self._cost(kl, point.bits),
        }
        merits = [self._merit(self._start_kl, self._start_bits), *(r["merit"] for r in state.rounds)]
        report["better"] = report["merit"] < min(merits)
        costs = [self._cost(self._start_kl, self._start_bits), *(r["cost"] for r in state.rounds if r["best"])]
        report["best"] = self._allowed(kl, point) and report["cost"] < min(costs)
        change = min(MOST_PRICE_CHANGE, max(-MOST_PRICE_CHANGE, self._price_change(kl, point.bits)))
        return Saved(
            (*state.rounds, report),
            state.price * math.exp(change),
            layers,
            layers if report["best"] else state.best,
            self._teacher.optimizer.state(),
        )

    def _expected(self, kl: float, bits: float) -> tuple[int, float]:
        """The bytes and the loss to expect of a network with this loss, measured with float activations, and
        estimated bits."""
        size = self._start.trial.blob_bytes + (bits - self._start_bits) / 8
        return round(size), kl * self._integer_ratio

    def _merit(self, kl: float, bits: float) -> float:
        """Logarithm of the divergence times the size to ``SIZE_POWER``; less is better. By it a round improves,
        also while the size is on its way to the wanted one."""
        return math.log(max(kl, 1e-9)) + SIZE_POWER * math.log(max(bits, 1.0))

    def _cost(self, kl: float, bits: float) -> float:
        """Logarithm of what is to be small, the best round having the least: the size where the goal is a
        divergence, else the divergence."""
        return math.log(max(kl, 1e-9)) if self._most_kl is None else math.log(max(bits, 1.0))

    def _allowed(self, kl: float, point: Point) -> bool:
        """Whether a trial of the network is expected to meet the goal and the density."""
        size, loss = self._expected(kl, point.bits)
        kept = size <= self._most_bytes if self._most_kl is None else loss <= self._most_kl * (1 - KL_MARGIN)
        return kept and point.density <= self._density

    def _price_change(self, kl: float, bits: float) -> float:
        """By how much the natural logarithm of the price of a bit should change before levels are next chosen."""
        if self._most_kl is None:
            return HOLD_POWER * math.log(max(bits, 1.0) / max(self._wanted_bits, 1.0))
        aim = self._most_kl * (1 - 2 * KL_MARGIN)
        return DAMPING * math.log(aim / max(kl * self._integer_ratio, 1e-9)) / SLOPES["max_kl"]

    def _better(self, best: Try) -> bool:
        """Whether the best round's network, as integers, meets the goal and the density and beats the start."""
        goal, one, two = self._goal, best.trial, self._start.trial
        if (goal is not None and goal.figure(one) > goal.limit) or best.point.density > self._density:
            return False
        if self._most_kl is None:
            return one.loss < two.loss and one.blob_bytes <= self._most_bytes
        return one.blob_bytes < two.blob_bytes

    def _key(self) -> str:
        """The checkpoint's key: a hash of the network, the pictures and all settings."""
        quantizer = self._quantizer
        point = hashlib.sha256(point_bytes(self._start.point, quantizer.graph)).hexdigest()
        training = replace(self._training, folder=None)
        return _hash(quantizer, point, (self._prices, self._goal, self._density, training))


def _hash(quantizer: Quantizer, network: str, settings: object) -> str:
    """SHA-256, in hexadecimal, of a network (itself a hash), settings, the target's work and all pictures."""
    about = hashlib.sha256(
        f"{network} {settings!r} {quantizer.work_bits} {sorted(quantizer.evidence.work.items())}".encode()
    )
    for pictures in (quantizer.evidence.measure, quantizer.evidence.held_out):
        about.update(np.ascontiguousarray(pictures).tobytes())
    return about.hexdigest()


def _changed(before: Layers, after: Layers) -> int:
    """Number of weights that have another level than before."""
    return sum(int((after[n].integers != layer.integers).sum()) for n, layer in before.items())


def _waiting(rounds: Sequence[Mapping[str, Any]]) -> int:
    """Rounds since the last one that improved."""
    return next((n for n, r in enumerate(reversed(rounds)) if r["best"] or r["better"]), len(rounds))
