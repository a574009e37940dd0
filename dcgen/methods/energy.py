"""Pruning of the channels that save most work for the error that they make, until a share of the work is left.

Yang et al. (2017) prune the layers of most energy first, by what that does to feature maps, and restore these by
least squares before they train. Here work stands for energy: the multiplications that dcgen's firmware and engine
do, one for each pixel and each weight that is not zero. Channels of all layers are in one order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dcgen.methods.fused import Family, columns, fusible, hand_on, values_of
from dcgen.methods.method import Given
from dcgen.methods.structured import Structured, every, stays, wiring


@dataclass(frozen=True)
class Energy(Structured):
    """Settings: ``keep`` is the share of the network's work that is left, where channels can be removed."""

    name: ClassVar[str] = "energy"
    source: ClassVar[str] = "Yang et al. 2017, section 4"

    def begin(self, layers: Sequence[Given]) -> tuple[Tensor, list[Tensor]]:
        weights, families = [layer.weight.clone() for layer in layers], fusible(layers)
        values = [values_of(layers, family) for family in families]
        order, limit = _by_saving(layers, families, values), self.keep * work(layers, every(layers))

        def enough(removed: int) -> bool:
            return work(layers, _without(layers, order[:removed])) <= limit

        kept = _without(layers, order[: bisect_left(range(len(order)), True, key=enough)])
        for family, seen in zip(families, values, strict=True):
            hand_on(weights, family, seen, kept[family.groups])
        return kept, weights


def work(layers: Sequence[Given], kept: Tensor) -> float:
    """Multiplications for a picture, with the groups of channels that are ``kept``, bool [G]."""
    total = 0.0
    for layer in layers:
        channels = wiring(layer)
        counts = taps(layer)[stays(channels.makes, kept)]
        total += float((counts[:, stays(channels.reads, kept)] if len(channels.reads) else counts).sum())
    return total


def taps(layer: Given) -> Tensor:
    """Multiplications of each output channel by each input channel for a picture: float64 [O, I]."""
    return (layer.weight != 0).sum((2, 3)).double() * wiring(layer).pixels


def _without(layers: Sequence[Given], groups: Tensor) -> Tensor:
    """Which groups of channels are left without some: bool [G]."""
    kept = every(layers)
    kept[groups] = False
    return kept


def _by_saving(layers: Sequence[Given], families: Sequence[Family], values: Sequence[Tensor]) -> Tensor:
    """The groups of ``families``, but the last of each, in the order of their error for the work that they take.

    values : float64 [n, N], of each family's channels. A channel's error is its share, by energy, of what is read
        of its family, summed over readers.
    """
    costs, groups = [], []
    for family, seen in zip(families, values, strict=True):
        energy, saved = seen.square().mean(1), taps(layers[family.maker])[family.filters].sum(1)
        error = torch.zeros(len(energy), dtype=torch.float64)
        for reader, at in family.readers:
            parts = columns(layers[reader].weight, at).double().square().sum(1) * energy
            error += parts / parts.sum().clamp(min=1e-30)
            saved = saved + taps(layers[reader])[:, at].sum(0)
        cost = error / saved
        rest = torch.arange(len(cost)) != cost.argmax()
        costs.append(cost[rest])
        groups.append(family.groups[rest])
    if not groups:
        return torch.zeros(0, dtype=torch.int64)
    return torch.cat(groups)[torch.cat(costs).argsort(stable=True)]
