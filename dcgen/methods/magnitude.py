"""Pruning by magnitude: the smallest weights of a trained network become zero, and the others are trained on.

Han et al. (2015) prune by a threshold in deviations of each layer's weights, retrain, and prune again; Zhu & Gupta
(2017) prune a little at a time while they train, along a cubic curve. Here both are one: each layer has a number
of weights that it is to keep at the end, and a curve that leads there. What was pruned stays zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dcgen.methods.method import Given, Method, Parametrization

UPDATES = 100
"""Times in a stage at which the cubic curve is followed; Zhu & Gupta prune every 100 to 1,000 steps."""


@dataclass(frozen=True)
class Magnitude(Method):
    """Settings.

    density : share of the network's weights that are kept
    deviations : in place of ``density``: weights are kept that are larger than so many standard deviations of
        their layer's weights, as these are when the stage begins; 0 for ``density``
    spread : how ``density`` is shared out: ``lamp``, by each weight's share of the squares of its layer's weights
        that are no smaller (Lee et al. 2021, section 2), by which small layers keep more; ``deviations``, by one
        threshold in deviations for all layers; or ``uniform``, the same density in each
    curve : ``cubic``, a little at a time (Zhu & Gupta), or ``rounds`` of pruning and retraining (Han et al.), each
        of which keeps the same share of what is left
    rounds : number of these
    until : share of the stage's steps in which pruning is spread; in the others the network recovers
    """

    name: ClassVar[str] = "magnitude"
    source: ClassVar[str] = "Han et al. 2015, section 3; Zhu & Gupta 2017, section 3; Lee et al. 2021, section 2"
    density: float = field(default=0.1, metadata={"min": 0.0001, "max": 1.0})
    deviations: float = field(default=0.0, metadata={"min": 0.0, "max": 10.0})
    spread: Literal["lamp", "deviations", "uniform"] = "lamp"
    curve: Literal["cubic", "rounds"] = "cubic"
    rounds: int = field(default=5, metadata={"min": 1, "max": 1_000})
    until: float = field(default=0.6, metadata={"min": 0.0, "max": 1.0})

    def parametrizations(self, layers: Sequence[Given]) -> list[Parametrization | None]:
        return [
            Pruned(layer.weight, kept, self)
            for layer, kept in zip(layers, self.kept([layer.weight for layer in layers]), strict=True)
        ]

    def kept(self, weights: Sequence[Tensor]) -> list[int]:
        """How many weights of each layer are left at the end, at least one."""
        if self.spread == "uniform" and not self.deviations:
            return [max(1, whole(self.density * w.numel())) for w in weights]
        if self.spread == "lamp" and not self.deviations:
            scores = [lamp(w) for w in weights]
        else:
            scores = [w.abs().flatten() / w.std(correction=0).clamp(min=1e-30) for w in weights]
        limit = self.deviations
        if not limit:
            ordered = torch.cat(scores).sort(descending=True).values
            last = whole(self.density * len(ordered))
            limit = float(ordered[last]) if last < len(ordered) else -1.0
        return [max(1, int((s > limit).sum())) for s in scores]

    def share(self, progress: float) -> float:
        """How far a layer is on its way, 0 to 1, when a share ``progress`` of the steps is done. Of ``rounds`` it
        is the way of the density's logarithm, of ``cubic`` that of the density."""
        if progress >= self.until:
            return 1.0
        if self.curve == "rounds":
            return min(self.rounds, 1 + math.floor(progress / self.until * self.rounds)) / self.rounds
        return 1 - (1 - math.floor(progress * UPDATES) / UPDATES / self.until) ** 3

    def arrived(self, progress: float) -> bool:
        return self.share(progress) == 1.0


class Pruned(Parametrization):
    """The weight times a mask, from which places disappear.

    kept : weights that are left at the end
    mask : bool OIHW, those that are left now
    """

    mask: Tensor

    def __init__(self, weight: Tensor, kept: int, method: Magnitude) -> None:
        super().__init__()
        self.kept, self.method = kept, method
        self.register_buffer("mask", weight != 0)
        self.start = int(self.mask.sum())

    def forward(self, original: Tensor) -> Tensor:
        return original * self.mask

    def advance(self, original: Tensor, progress: float) -> None:
        original.mul_(self.mask)  # momentum has moved what is pruned
        wanted = self.wanted(self.method.share(progress))
        if wanted >= int(self.mask.sum()):
            return
        order = original.abs().flatten().argsort(descending=True, stable=True)
        self.mask.view(-1)[order[wanted:]] = False
        original.mul_(self.mask)

    def wanted(self, share: float) -> int:
        """Weights that are kept when a ``share`` of the way is done."""
        if self.kept >= self.start:
            return self.start
        if self.method.curve == "rounds":
            return whole(self.start * (self.kept / self.start) ** share)
        return whole(self.start + (self.kept - self.start) * share)


def whole(count: float) -> int:
    """``count`` rounded down, where float64 has not just missed a whole number."""
    return math.floor(count + 1e-6)


def lamp(weight: Tensor) -> Tensor:
    """The square of each weight over the sum of those of the weights that are no smaller, in descending order:
    float32 [N], 1 for the largest."""
    squares = weight.double().square().flatten().sort(descending=True).values
    return (squares / squares.cumsum(0).clamp(min=1e-300)).float()
