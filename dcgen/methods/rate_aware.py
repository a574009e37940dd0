"""Rate-aware training: the bits that the weights will take are part of the loss.

A weight is an integer times its layer's step; both are trained. What an integer costs is its code length under
the layer's own histogram, which has a gradient between integers: weights move to zero, and to integers that are
common, as far as the loss of the task allows (Oktay et al. 2020, section 2, with a histogram in place of a learned
density; the gradient passes the rounding unchanged, as in Choi et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from dcgen.compress.uniform import MAX_LEVEL, levels_of
from dcgen.ir.weights import Levels
from dcgen.methods.method import Given, Method, Parametrization

UNSEEN = 0.02
"""Share of the weights that are not zero that is spread over all integers, by halves from 1 on, so that one which
is not in use has a finite price."""

LEAST_SLOPE, LEAST_FIRST_SLOPE = 0.1, 1.0
"""Bits, at least, by which a level's code is longer than the next smaller one's, where gradients are computed; and
by which that of the first level is longer than that of zero. Weights of a dense layer are as often one step as
none: without a slope there, none would ever become zero."""


@dataclass(frozen=True)
class RateAware(Method):
    """Settings.

    start : step between levels at the start of training, in standard deviations of the layer's weights that are
        not zero
    keep_zeros : whether weights that are zero when the stage begins, as an earlier one has pruned them, stay zero
    """

    name: ClassVar[str] = "rate"
    source: ClassVar[str] = "Oktay et al. 2020, section 2; Choi et al. 2020"
    counts_bits: ClassVar[bool] = True
    shares: ClassVar[bool] = True
    start: float = field(default=1.0, metadata={"min": 0.01, "max": 10.0})
    keep_zeros: bool = True

    def parametrization(self, layer: Given) -> Parametrization:
        free = layer.weight != 0
        kept = layer.weight[free]
        deviation = float(kept.square().mean().sqrt()) if len(kept) else 1.0
        return Quantized(self.start * deviation, free if self.keep_zeros else torch.ones_like(free))


class Quantized(Parametrization):
    """Integers times a step. The parameter ``log_step`` is the step's natural logarithm.

    free : bool OIHW, the weights that need not be zero
    """

    free: Tensor

    def __init__(self, step: float, free: Tensor) -> None:
        super().__init__()
        self.register_buffer("free", free)
        self.log_step = nn.Parameter(torch.tensor(float(np.log(step))))

    def steps(self, original: Tensor) -> Tensor:
        """The weight in steps, not rounded, within the range of levels."""
        return (original / self.log_step.exp()).clamp(-MAX_LEVEL, MAX_LEVEL) * self.free

    def forward(self, original: Tensor) -> Tensor:
        x = self.steps(original)
        return ((x.round() - x).detach() + x) * self.log_step.exp()

    def bits(self, original: Tensor) -> Tensor:
        """The value is that of the rounded weights; the gradient is the slope between the two nearest levels. The
        step has none: with it, every weight could be made zero at once."""
        size = (original / self.log_step.detach().exp()).abs().clamp(max=MAX_LEVEL) * self.free
        whole = size.detach().round().long()
        lengths = code_lengths(whole)
        slopes = lengths.diff().clamp(min=LEAST_SLOPE)
        slopes[0] = slopes[0].clamp(min=LEAST_FIRST_SLOPE)
        moved = (slopes[size.detach().long()] * size).sum()
        return lengths[whole].sum() + moved - moved.detach()

    def levels(self, original: Tensor) -> Levels:
        integers = self.steps(original).detach().round().to(torch.int16).numpy()
        return levels_of(integers, float(self.log_step.detach().exp()))


def code_lengths(sizes: Tensor) -> Tensor:
    """Bits of a weight of 0, 1, ... ``MAX_LEVEL`` + 1 steps, its sign included, float32, in the code that suits a
    layer's own histogram.

    sizes : magnitudes in whole steps, of any shape
    """
    counts = torch.bincount(sizes.flatten().long(), minlength=MAX_LEVEL + 2).float()
    halves = 0.5 ** torch.arange(1.0, len(counts), device=counts.device)
    counts[1:] += UNSEEN * counts[1:].sum() * halves + 1e-3 * halves
    counts[0] += 1e-3
    lengths = -(counts / counts.sum()).log2()
    lengths[1:] += 1
    return lengths
