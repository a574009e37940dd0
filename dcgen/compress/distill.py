"""Distillation: what second-order error cannot see is learnt from the float network's answers.

Rounds of training (``teaching``) and of choosing levels anew (``student``) follow one another. After each the
held-out pictures judge; where they have seen nothing better for some rounds, it ends, and the best round is
lowered, encoded and run as integers beside the network it began with. The better one is kept, whichever it is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.compress.evidence import Divergence, Trial
from dcgen.compress.goals import RANGE, SLOPES, Goal, Try
from dcgen.compress.point import Point, fingerprint, point_bytes
from dcgen.compress.secondorder import Prices, Quantizer
from dcgen.compress.student import Layers, Sites, point_of, requantized, student
from dcgen.progress import counted
from dcgen.train.checkpoint import Saved, resume, resume_start, save, save_start
from dcgen.train.teaching import Lesson, Teacher

SWEEPS = 1
"""Sweeps of coordinate descent in which levels are chosen anew."""
TRADE = 4.3
"""Power of a file's size that divergence falls by, measured on SqueezeNet v1.1: networks of unlike sizes are
compared by it."""
HOLD = 8.0
"""Power of the size by which the price of a bit follows it, where a size is to be held."""
MOST = 0.25
"""Most that the logarithm of the price moves after a round."""
DAMPED = 0.5
"""Share of the way to the price that a divergence asks for: levels answer over more than one round."""
ROOM = 0.002
"""Share of a size that is left, for what estimated bits do not tell."""
WARM = 20
"""Steps in which learning rates rise: the first ones have Adam's deviations from few pictures."""
MARGIN = 0.01
"""Share of a divergence that is left between rounds, for what float activations do not tell."""


@dataclass(frozen=True)
class Training:
    """How long a student is taught, and how.

    steps : of the optimizer, at most
    round_steps : of them between two choices of levels
    patience : rounds without anything better after which it ends
    seed : of pictures and augmentation
    folder : where checkpoints are kept, None: nowhere
    """

    steps: int
    round_steps: int
    patience: int
    seed: int
    lesson: Lesson
    folder: Path | None = None

    @property
    def rounds(self) -> int:
        return -(-self.steps // self.round_steps)

    def speeds(self, number: int) -> list[float]:
        """Factors of the learning rates in a round: a half cosine from 1 to 0 over all rounds, after a rise."""
        first = number * self.round_steps
        return [
            min(1.0, (step + 1) / WARM) * 0.5 * (1 + math.cos(math.pi * step / self.steps))
            for step in range(first, min(first + self.round_steps, self.steps))
        ]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The better of the start and of the best round, and what is to be said of how it came about."""

    found: Try
    report: dict[str, Any]


def begun(quantizer: Quantizer, search: Callable[[], Try], settings: object) -> Try:
    """What ``search`` finds, or what it had found when it was run for the same folder and ``settings``."""
    folder = quantizer.evidence.checkpoint
    if folder is None:
        return search()
    key = _hash(quantizer, fingerprint(quantizer.graph), settings)
    kept = resume_start(folder, key, quantizer.graph)
    if kept is None:
        found = search()
        save_start(folder, key, point_bytes(found.point, quantizer.graph), found.prices)
        return found
    point, paid = kept
    graph = point.applied(quantizer.graph)
    return Try(point, graph, quantizer.evidence.trial(graph), paid)


def holding(quantizer: Quantizer, sites: Sites, layers: Layers, prices: Prices) -> Prices:
    """The prices at which levels chosen anew would take as many bits as the layers' do: what a point cost."""
    wanted = point_of(quantizer, sites, layers).bits
    low, high = map(math.log, RANGE)
    for _ in range(12):
        middle = (low + high) / 2
        found = requantized(quantizer, sites, layers, replace(prices, bit=math.exp(middle)), SWEEPS)
        low, high = (middle, high) if point_of(quantizer, sites, found).bits > wanted else (low, middle)
    return replace(prices, bit=math.exp((low + high) / 2))


class Distillation:
    """One training, of a network that ``quantizer`` has made at some prices.

    start : what it is of; where the price of a bit in it is 0, it is not known and is found first
    goal : if a divergence, the file shrinks while that is kept to; else the size is held and divergence falls
    density : largest share of weights that are not zero
    """

    def __init__(
        self,
        quantizer: Quantizer,
        start: Try,
        goal: Goal | None,
        density: float,
        training: Training,
    ) -> None:
        self._quantizer, self._start, self._prices = quantizer, start, start.prices
        self._goal, self._density, self._training = goal, density, training
        evidence = quantizer.evidence
        self._sites, self._layers = student(quantizer, start.point)
        self._teacher = Teacher(quantizer.graph, evidence.measure, self._sites, training.lesson)
        self._judge = Divergence(quantizer.graph, evidence.held_out)
        if not self._prices.bit:
            self._prices = holding(quantizer, self._sites, self._layers, self._prices)
        # Between rounds activations are float and bytes are estimated: how far off that is was seen at the start.
        self._kl = self._judge(start.point.weights, start.point.biases)
        self._off = start.trial.mean_kl / max(self._kl, 1e-9)
        self._bits = point_of(quantizer, self._sites, self._layers).bits

    def run(self) -> Outcome:
        """Train, resumed from the checkpoint where there is one."""
        training, teacher = self._training, self._teacher
        key = self._key()
        state = resume(training.folder, key, tuple(self._layers)) if training.folder else None
        if state is None:
            state = Saved((), self._prices.bit, self._layers, self._layers, teacher.memory())
        teacher.remember(state.memory)
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
        number, quantizer = len(state.rounds), self._quantizer
        rng = np.random.default_rng((self._training.seed, number))
        layers, taught = self._teacher.round(state.layers, self._training.speeds(number), rng, done)
        prices = replace(self._prices, bit=state.price)
        if self._training.lesson.rates[0] or self._by_size:
            layers = requantized(quantizer, self._sites, layers, prices, SWEEPS)
        point = point_of(quantizer, self._sites, layers)
        kl = self._judge(point.weights, point.biases)
        said = {
            "taught_kl": taught,
            "held_out_kl": kl,
            "estimated_bytes": round(self._expected(kl, point.bits).blob_bytes),
            "changed": _changed(state.layers, layers),
            "price": state.price,
            "merit": self._merit(kl, point.bits),
            "cost": self._cost(kl, point.bits),
        }
        begun = self._merit(self._kl, self._bits), self._cost(self._kl, self._bits)
        said["better"] = said["merit"] < min([begun[0], *(r["merit"] for r in state.rounds)])
        least = min([begun[1], *(r["cost"] for r in state.rounds if r["best"])])
        said["best"] = self._allowed(kl, point) and said["cost"] < least
        return Saved(
            (*state.rounds, said),
            state.price * math.exp(min(MOST, max(-MOST, self._dearer(kl, point.bits)))),
            layers,
            layers if said["best"] else state.best,
            self._teacher.memory(),
        )

    def _expected(self, kl: float, bits: float) -> Trial:
        """What a trial should come to."""
        return Trial(round(self._start.trial.blob_bytes + (bits - self._bits) / 8), kl * self._off, 0.0)

    def _merit(self, kl: float, bits: float) -> float:
        """How far training has come, at any size; less is better."""
        return math.log(max(kl, 1e-9)) + TRADE * math.log(max(bits, 1.0))

    def _cost(self, kl: float, bits: float) -> float:
        """What the goal leaves free and the best round has least of."""
        return math.log(max(bits, 1.0)) if self._by_size else math.log(max(kl, 1e-9))

    @property
    def _by_size(self) -> bool:
        return self._goal is not None and self._goal.name == "max_kl"

    def _allowed(self, kl: float, point: Point) -> bool:
        """Whether a trial should meet the goal and the density."""
        expected = self._expected(kl, point.bits)
        if self._by_size:
            assert self._goal is not None
            kept = expected.mean_kl <= self._goal.limit * (1 - MARGIN)
        else:
            kept = expected.blob_bytes <= self._most_bytes
        return kept and point.density <= self._density

    @property
    def _most_bytes(self) -> float:
        """Where the size is held: the goal's limit, or that of the start and a little."""
        if self._goal is not None and self._goal.name == "max_bytes":
            return self._goal.limit
        return self._start.trial.blob_bytes * (1 + ROOM)

    def _dearer(self, kl: float, bits: float) -> float:
        """By how much the logarithm of the price of a bit should move before the next choice of levels."""
        if self._by_size:
            assert self._goal is not None
            aim = self._goal.limit * (1 - 2 * MARGIN)
            return DAMPED * math.log(aim / max(kl * self._off, 1e-9)) / SLOPES["max_kl"]
        aim = self._bits
        if self._goal is not None and self._goal.name == "max_bytes":  # what a search has left of it is used
            aim += 8 * (self._goal.limit * (1 - ROOM) - self._start.trial.blob_bytes)
        return HOLD * math.log(max(bits, 1.0) / max(aim, 1.0))

    def _better(self, best: Try) -> bool:
        """Whether the trial of the best round beats that of the start and keeps to what was asked for."""
        goal, one, two = self._goal, best.trial, self._start.trial
        if (goal is not None and goal.figure(one) > goal.limit) or best.point.density > self._density:
            return False
        if self._by_size:
            return one.blob_bytes < two.blob_bytes
        return one.mean_kl < two.mean_kl and one.blob_bytes <= self._most_bytes

    def _key(self) -> str:
        """What this is a training of: the checkpoint of another one is refused."""
        quantizer = self._quantizer
        point = hashlib.sha256(point_bytes(self._start.point, quantizer.graph)).hexdigest()
        training = replace(self._training, folder=None)
        return _hash(quantizer, point, (self._prices, self._goal, self._density, training))


def _hash(quantizer: Quantizer, network: str, settings: object) -> str:
    about = hashlib.sha256(
        f"{network} {settings!r} {quantizer.work_bits} {sorted(quantizer.evidence.work.items())}".encode()
    )
    for pictures in (quantizer.evidence.measure, quantizer.evidence.held_out):
        about.update(np.ascontiguousarray(pictures).tobytes())
    return about.hexdigest()


def _changed(before: Layers, after: Layers) -> int:
    """Weights that took another level."""
    return sum(int((after[n].integers != layer.integers).sum()) for n, layer in before.items())


def _waiting(rounds: Sequence[Mapping[str, Any]]) -> int:
    """Rounds since anything was better."""
    return next((n for n, r in enumerate(reversed(rounds)) if r["best"] or r["better"]), len(rounds))
