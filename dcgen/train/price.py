"""The price of a byte, in nats of training loss: what leads a network to a size, or to a loss of accuracy."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

GAIN = 0.02
"""Share of the distance between the logarithms of the size and of the wanted size by which the price's logarithm
moves in a step: it answers within some 50 steps, much faster than the wanted size falls."""
MOST = 1.0
"""Most distance that a step answers to, so that a price cannot run away."""
FIRST = 0.02
"""Loss, in nats, that all bytes of the network together are worth at the first step."""
FIRST_TO_ACCURACY = 0.1
"""The same where the accuracy is limited: at ``FIRST`` LeNet-300-100 becomes no smaller in five epochs."""
STRIDE = math.log(2)
"""Change of the logarithm of a price after the first epoch."""
LEAST_STRIDE, MOST_STRIDE = 0.1, 1.0
"""Bounds of such a change: what the network can bear changes as the learning rate falls."""
SLOWER, FASTER = 0.5, 1.3
"""Factors of the change where the price turns and where it goes on (Riedmiller & Braun 1993)."""


@dataclass
class Price:
    """What a controller of the price is.

    nats : the price now; 0 before the first step
    """

    nats: float = 0.0

    def step(self, size: float, progress: float) -> float:
        """The price for a step of a network of ``size`` bytes; ``progress`` is the share of steps done."""
        raise AssertionError("a price defines its step")

    def judge(self, accuracy: float) -> None:
        """Learn what an epoch has come to: the accuracy on held-out samples, 0 to 1."""

    def aim(self, size: float) -> None:
        """Learn at which estimated ``size`` of the weights, in bytes, the whole file has the size that is
        wanted."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return asdict(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what ``state`` gave."""
        self.__dict__.update(state)


@dataclass
class SizePrice(Price):
    """A controller: the size follows a curve from the first step's to ``goal``, whose logarithm falls evenly.

    goal : bytes
    squeeze : share of the steps in which the curve falls
    start : size at the first step
    """

    goal: float = 1.0
    squeeze: float = 0.5
    start: float = 0.0

    def step(self, size: float, progress: float) -> float:
        if not self.start:
            self.start, self.nats = size, FIRST / size
        wanted = self.start * (self.goal / self.start) ** min(1.0, progress / self.squeeze)
        self.nats *= math.exp(GAIN * max(-MOST, min(MOST, math.log(size / wanted))))
        return self.nats

    def aim(self, size: float) -> None:
        self.goal = max(1.0, size)


@dataclass
class AccuracyPrice(Price):
    """A controller: the price rises epoch by epoch as long as the accuracy holds, and falls while it does not, but
    not below the first step's: the accuracy may not hold because levels are new.

    least : accuracy that holds, 0 to 1
    stride : change of the price's logarithm in an epoch
    held : whether the accuracy held in the last epoch
    floor : price of the first step
    """

    least: float = 0.0
    stride: float = STRIDE
    held: bool = True
    floor: float = 0.0

    def step(self, size: float, progress: float) -> float:
        self.floor = self.floor or FIRST_TO_ACCURACY / size
        self.nats = self.nats or self.floor
        return self.nats

    def judge(self, accuracy: float) -> None:
        holds = accuracy >= self.least
        changed = self.stride * (FASTER if holds == self.held else SLOWER)
        self.stride, self.held = max(LEAST_STRIDE, min(MOST_STRIDE, changed)), holds
        self.nats = max(self.floor, self.nats * math.exp(self.stride if holds else -self.stride))
