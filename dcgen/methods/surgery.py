"""Dynamic network surgery (Guo et al. 2016): weights that were pruned come back where that proves to be wrong.

A weight is left out below a threshold and comes back above a slightly larger one. Gradients with respect to the
masked weights move all weights, also those that are masked (equation 4), so that a hidden one can grow again.
Masks change in a step with a probability that falls as training goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from dcgen.methods.method import Given, Method, Parametrization


@dataclass(frozen=True)
class Surgery(Method):
    """Settings.

    deviations : the thresholds lie around mean + ``deviations`` x standard deviation of the magnitudes of a
        layer's weights that are not zero when the stage begins
    margin : distance of both thresholds from there, as a share of it
    decay : the probability that masks change in a step is 1 / (1 + ``decay`` x share of the steps that are done)
    until : share of the stage's steps after which masks stay as they are
    """

    name: ClassVar[str] = "surgery"
    source: ClassVar[str] = "Guo et al. 2016, sections 3.2 and 3.3"
    deviations: float = field(default=1.0, metadata={"min": -10.0, "max": 10.0})
    margin: float = field(default=0.1, metadata={"min": 0.0, "max": 0.9})
    decay: float = field(default=10.0, metadata={"min": 0.0, "max": 1e6})
    until: float = field(default=0.7, metadata={"min": 0.0, "max": 1.0})

    def parametrization(self, layer: Given) -> Parametrization:
        sizes = layer.weight[layer.weight != 0].abs()
        limit = 0.0
        if len(sizes):
            limit = max(0.0, float(sizes.mean() + self.deviations * sizes.std(correction=0)))
        return Masked(layer.weight, limit, self)

    def arrived(self, progress: float) -> bool:
        return progress >= self.until


class Masked(Parametrization):
    """The weight times a mask; gradients reach the weight as if there were none.

    low, high : thresholds of magnitude, ``a`` and ``b`` in the paper
    mask : bool OIHW, the weights that are left
    """

    mask: Tensor

    def __init__(self, weight: Tensor, limit: float, method: Surgery) -> None:
        super().__init__()
        self.low, self.high = limit * (1 - method.margin), limit * (1 + method.margin)
        self.method = method
        self.register_buffer("mask", weight != 0)

    def forward(self, original: Tensor) -> Tensor:
        return (original * self.mask - original).detach() + original

    def advance(self, original: Tensor, progress: float) -> None:
        done = progress >= self.method.until
        if not done and float(torch.rand(())) < 1 / (1 + self.method.decay * progress):
            self.update(original)

    def update(self, original: Tensor) -> None:
        """Change the mask by equation 3 of the paper: a weight below both thresholds is left out, one above both
        comes back, and one between them stays as it was."""
        sizes = original.abs()
        self.mask.copy_((self.mask & (sizes >= self.low)) | (sizes >= self.high))
