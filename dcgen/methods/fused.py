"""Pruning of whole channels that hands on what they were worth to the channels that are kept.

What reads a removed channel reads others in its place: their weights change so that the sum is nearly what it was.
That is possible for channels that one convolution makes, and that each reader reads once; channels that are joined
across convolutions stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dcgen.methods.dpp import sampled
from dcgen.methods.method import Given
from dcgen.methods.structured import Structured, every, families, wiring

MOST_VALUES = 4_096
"""Values of each channel, on calibration samples, that are compared with those of others."""
KERNEL = 10.0
"""Over the number of values, the factor of squared distances in the kernel of ``Diverse``; the paper's choice."""
RIDGE = 1e-4
"""Share of the mean squared value that is added to each channel's own, so that equal channels share a weight."""


@dataclass(frozen=True, eq=False)
class Family:
    """The channels of one tensor.

    groups : int64 [n], their numbers
    maker : the layer that makes them, by place
    filters : int64 [n], their places among its output channels
    readers : the layers that read them, by place, each with the channels' places among its inputs, int64 [n]
    """

    groups: Tensor
    maker: int
    filters: Tensor
    readers: list[tuple[int, Tensor]]


def fusible(layers: Sequence[Given]) -> list[Family]:
    """The families of channels that can take each other's place."""
    found = []
    for groups in families(layers):
        makers = _places(groups, [wiring(layer).makes for layer in layers])
        readers = _places(groups, [wiring(layer).reads for layer in layers])
        if makers and readers and len(makers) == 1:
            found.append(Family(groups, *makers[0], readers))
    return found


def _places(groups: Tensor, numbers: Sequence[Tensor]) -> list[tuple[int, Tensor]] | None:
    """Where ``groups`` are in those of the ``numbers`` that have any of them, each with its place; None where one
    of these does not have each group once."""
    found = []
    for place, channels in enumerate(numbers):
        at = channels[None] == groups[:, None]
        if at.any():
            if not (at.sum(1) == 1).all():
                return None
            found.append((place, at.int().argmax(1)))
    return found


@dataclass(frozen=True)
class Similar(Structured):
    """Channels whose filters are alike are merged, without a look at any sample: what reads the one that goes
    reads the one that stays (equation 4). Settings are those of ``Structured``."""

    name: ClassVar[str] = "similar"
    source: ClassVar[str] = "Srinivas & Babu 2015, section 3"

    def begin(self, layers: Sequence[Given]) -> tuple[Tensor, list[Tensor]]:
        kept, weights = every(layers), [layer.weight.clone() for layer in layers]
        for family in fusible(layers):
            made = wiring(layers[family.maker]).bias[:, None], weights[family.maker].flatten(1)
            filters = torch.cat(made, 1)[family.filters].double()
            distances = torch.cdist(filters, filters).square().fill_diagonal_(torch.inf)
            read = torch.cat([columns(weights[r], at) for r, at in family.readers], 1).double()
            for _ in range(len(family.groups) - self.left(len(family.groups))):
                saliency = distances * read.square().sum(1)
                stays, goes = divmod(int(saliency.argmin()), len(family.groups))
                read[stays] += read[goes]
                for reader, at in family.readers:
                    weights[reader][:, at[stays]] += weights[reader][:, at[goes]]
                distances[goes] = distances[:, goes] = torch.inf
                kept[family.groups[goes]] = False
        return kept, weights


@dataclass(frozen=True)
class Diverse(Structured):
    """DivNet: a determinantal point process draws channels whose values differ, and the others are made up for by
    those that are kept, with the least squared error on calibration samples. Settings besides ``keep``:

    seed : of the draw
    """

    name: ClassVar[str] = "divnet"
    source: ClassVar[str] = "Mariet & Sra 2016, section 2"
    seed: int = field(default=0, metadata={"min": 0, "max": 2**31 - 1})

    def begin(self, layers: Sequence[Given]) -> tuple[Tensor, list[Tensor]]:
        kept, weights = every(layers), [layer.weight.clone() for layer in layers]
        rng = np.random.default_rng(self.seed)
        for family in fusible(layers):
            values = values_of(layers, family)
            kernel = torch.exp(-KERNEL / values.shape[1] * torch.cdist(values, values).square())
            stays = torch.zeros(len(values), dtype=torch.bool)
            stays[sampled(kernel.numpy(), self.left(len(values)), rng)] = True
            hand_on(weights, family, values, stays)
            kept[family.groups[~stays]] = False
        return kept, weights


def values_of(layers: Sequence[Given], family: Family) -> Tensor:
    """What the channels of a family are on calibration samples: float64 [n, at most MOST_VALUES]."""
    outputs = wiring(layers[family.maker]).outputs()[:, family.filters]
    values = outputs.transpose(0, 1).flatten(1).double()
    return values[:, :: -(-values.shape[1] // MOST_VALUES)]


def hand_on(weights: Sequence[Tensor], family: Family, values: Tensor, stays: Tensor) -> None:
    """Change the ``weights`` of a family's readers, so that channels which stay make up for the others.

    values : float64 [n, N], of each channel
    stays : bool [n]
    """
    shares = in_place(values, stays).float()
    for reader, at in family.readers:
        goes = weights[reader][:, at[~stays]]
        weights[reader][:, at[stays]] += torch.einsum("kr,orhw->okhw", shares, goes)


def in_place(values: Tensor, stays: Tensor) -> Tensor:
    """How much of each channel that stays comes closest to each one that goes: float64 [kept, removed].

    values : float64 [C, N], of each channel
    stays : bool [C]
    """
    kept, removed = values[stays], values[~stays]
    products = kept @ kept.T
    products += RIDGE * values.square().sum(1).mean().clamp(min=1e-30) * torch.eye(len(kept), dtype=torch.float64)
    found: Tensor = torch.linalg.solve(products, kept @ removed.T)
    return found


def columns(weight: Tensor, at: Tensor) -> Tensor:
    """The weights that read each channel of places ``at``: [len(at), O * KH * KW]."""
    return weight[:, at].transpose(0, 1).flatten(1)
