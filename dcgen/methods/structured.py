"""Pruning of whole channels: those that are worth least are removed when a stage begins, which trains the rest.

Channels that are joined, as by an Add, are one group, which is removed or stays. Of a group that is removed, the
filters and all weights that read it become zero and stay zero, so that nothing depends on it any more: compilation
drops its channels (``dcgen.compress.shrink``). Pruning in rounds is several stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dcgen.methods.method import Channels, Given, Method, Parametrization


@dataclass(frozen=True)
class Structured(Method):
    """Settings.

    keep : share of the channels of each tensor that are kept, one at least; those that earlier stages have removed
        do not count
    """

    keep: float = field(default=0.5, metadata={"min": 0.001, "max": 1.0})

    def parametrizations(self, layers: Sequence[Given]) -> list[Parametrization | None]:
        kept, weights = self.begin(layers)
        return [Cut(layer, weight, kept) for layer, weight in zip(layers, weights, strict=True)]

    def begin(self, layers: Sequence[Given]) -> tuple[Tensor, list[Tensor]]:
        """Whether each group of channels is kept, bool [G], and each layer's weight, float32 OIHW, that training
        starts from, before channels are removed."""
        return self.kept(layers), [layer.weight for layer in layers]

    def kept(self, layers: Sequence[Given]) -> Tensor:
        """Whether each group of channels is kept: bool [G]."""
        scores = total(layers, self.scores(layers))
        kept = every(layers)
        for members in families(layers):
            kept[members[self.order(scores[members])]] = False
        return kept

    def scores(self, layers: Sequence[Given]) -> list[Tensor]:
        """What each output channel of each layer is worth, float [O]; of joined channels the sum counts."""
        raise AssertionError("a method defines its scores, or which groups it keeps")

    def order(self, scores: Tensor) -> Tensor:
        """The places, among the scores of a tensor's channels, of those that are removed. Where all scores are the
        same, they tell nothing, and all channels stay."""
        if len(scores) == 0 or scores.min() == scores.max():
            return torch.zeros(0, dtype=torch.int64)
        return scores.argsort(stable=True)[: len(scores) - self.left(len(scores))]

    def left(self, channels: int) -> int:
        """How many of a tensor's channels are kept."""
        return max(1, round(self.keep * channels))


@dataclass(frozen=True)
class Filters(Structured):
    """Settings.

    norm : by which filters are ordered: the sum of magnitudes (l1), or the root of that of squares (l2)
    below : in place of ``keep``: filters are removed whose norm is below this share of their layer's largest, as
        those that ``group-lasso`` has made small; 0 for ``keep``
    """

    name: ClassVar[str] = "filters"
    source: ClassVar[str] = "Li et al. 2017, section 3"
    norm: Literal["l1", "l2"] = "l1"
    below: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})

    def scores(self, layers: Sequence[Given]) -> list[Tensor]:
        return [layer.weight.flatten(1).norm(1 if self.norm == "l1" else 2, dim=1) for layer in layers]

    def order(self, scores: Tensor) -> Tensor:
        if not self.below:
            return super().order(scores)
        return (scores < self.below * scores.max()).nonzero().flatten() if len(scores) else scores.long()


@dataclass(frozen=True)
class Zeros(Structured):
    """APoZ: channels are removed that are zero most often behind their rectifier. Layers without one stay whole.
    Settings besides ``keep``:

    deviations : in place of ``keep``: channels are removed whose share of zeros is more than so many standard
        deviations above the mean of their tensor's; 0 for ``keep``
    """

    name: ClassVar[str] = "apoz"
    source: ClassVar[str] = "Hu et al. 2016, section 3"
    deviations: float = field(default=0.0, metadata={"min": 0.0, "max": 10.0})

    def scores(self, layers: Sequence[Given]) -> list[Tensor]:
        return [-(wiring(layer).outputs() == 0).double().mean((0, 2, 3)) for layer in layers]

    def order(self, scores: Tensor) -> Tensor:
        if not self.deviations:
            return super().order(scores)
        limit = scores.mean() - self.deviations * scores.std(correction=0) if len(scores) else 0.0
        return (scores < limit).nonzero().flatten()


class Cut(Parametrization):
    """A weight without the channels that are removed.

    mask : bool OIHW, the weights that are left
    """

    mask: Tensor

    def __init__(self, layer: Given, weight: Tensor, kept: Tensor) -> None:
        """``weight`` is what training starts from; ``kept``, bool [G], says which groups of channels stay."""
        super().__init__()
        channels, mask = wiring(layer), weight != 0
        mask &= stays(channels.makes, kept)[:, None, None, None]
        if len(channels.reads):
            mask &= stays(channels.reads, kept)[:, None, None]
        self._start = weight
        self.register_buffer("mask", mask)

    def forward(self, original: Tensor) -> Tensor:
        return original * self.mask

    def right_inverse(self, weight: Tensor) -> Tensor:
        return self._start


def wiring(layer: Given) -> Channels:
    """The channels of a layer of a network."""
    assert layer.channels is not None
    return layer.channels


def stays(numbers: Tensor, kept: Tensor) -> Tensor:
    """Whether each channel stays, bool [C].

    numbers : int64 [C], its group, negative where it has to stay
    kept : bool [G], which groups stay
    """
    return torch.cat([kept, torch.ones(1, dtype=torch.bool)])[numbers]


def total(layers: Sequence[Given], scores: Sequence[Tensor]) -> Tensor:
    """The sum of the scores of each group's channels: float64 [G]. A layer has float [O] of them."""
    found = torch.zeros(count(layers), dtype=torch.float64)
    for layer, score in zip(layers, scores, strict=True):
        makes = wiring(layer).makes
        found.index_add_(0, makes[makes >= 0], score[makes >= 0].double())
    return found


def every(layers: Sequence[Given]) -> Tensor:
    """A mark on each group of channels: bool [G]."""
    return torch.ones(count(layers), dtype=torch.bool)


def count(layers: Sequence[Given]) -> int:
    """Number of groups of channels."""
    return 1 + max((int(wiring(layer).makes.max()) for layer in layers), default=-1)


def families(layers: Sequence[Given]) -> Iterator[Tensor]:
    """For each layer, the groups that no earlier one makes channels of, and whose filters are not all zero: int64
    each."""
    seen = total(layers, [layer.weight.flatten(1).any(1) for layer in layers]) == 0
    for layer in layers:
        makes = wiring(layer).makes
        new = torch.unique(makes[makes >= 0])
        yield new[~seen[new]]
        seen[new] = True
