"""The price of a byte, in nats of training loss, that leads a network to a size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

GAIN = 0.02
"""Share of the distance between the logarithms of the size and of the wanted size by which the price's logarithm
moves in a step: it answers within some 50 steps, much faster than the wanted size falls."""
MOST = 1.0
"""Most distance that a step answers to, so that a price cannot run away."""
FIRST = 0.02
"""Loss, in nats, that all bytes of the network together are worth at the first step."""


@dataclass
class Price:
    """A controller: the size follows a curve from the first step's to ``goal``, whose logarithm falls evenly.

    goal : bytes
    squeeze : share of the steps in which the curve falls
    nats : the price now; 0 before the first step
    start : size at the first step
    """

    goal: float
    squeeze: float
    nats: float = 0.0
    start: float = 0.0

    def step(self, size: float, progress: float) -> float:
        """The price for a step of a network of ``size`` bytes; ``progress`` is the share of steps done."""
        if not self.start:
            self.start, self.nats = size, FIRST / size
        wanted = self.start * (self.goal / self.start) ** min(1.0, progress / self.squeeze)
        self.nats *= math.exp(GAIN * max(-MOST, min(MOST, math.log(size / wanted))))
        return self.nats

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"goal": self.goal, "nats": self.nats, "start": self.start}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what ``state`` gave."""
        self.goal, self.nats, self.start = state["goal"], state["nats"], state["start"]
