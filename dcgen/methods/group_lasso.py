"""A penalty for structure: the norms of whole filters, and of the weights that read a channel, are in the loss.

A norm, unlike its square, has the same slope however small it is, so that groups which the task does not need end
near zero (Wen et al. 2016, equations 3 and 4). A following stage ``filters`` with ``below`` removes these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from dcgen.methods.method import Given, Method, Parametrization
from dcgen.methods.structured import wiring


@dataclass(frozen=True)
class GroupLasso(Method):
    """Settings.

    strength : what a layer's penalty is at the start, in nats
    """

    name: ClassVar[str] = "group-lasso"
    source: ClassVar[str] = "Wen et al. 2016, section 3"
    strength: float = field(default=0.1, metadata={"min": 0.0, "max": 100.0})

    def parametrization(self, layer: Given) -> Parametrization:
        return Penalised(layer, self.strength)


class Penalised(Parametrization):
    """The weight itself, with a penalty of its groups; what earlier stages have pruned stays zero.

    free : bool OIHW, the weights that need not be zero
    rows, columns : int64, the output and input channels that could be removed
    """

    free: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, layer: Given, strength: float) -> None:
        super().__init__()
        channels = wiring(layer)
        self.register_buffer("free", layer.weight != 0)
        self.register_buffer("rows", (channels.makes >= 0).nonzero().flatten())
        self.register_buffer("columns", (channels.reads >= 0).nonzero().flatten())
        start = float(self._norms(layer.weight))
        self.factor = strength / start if start else 0.0

    def forward(self, original: Tensor) -> Tensor:
        return original * self.free

    def penalty(self, original: Tensor) -> Tensor:
        return self.factor * self._norms(self(original))

    def _norms(self, weight: Tensor) -> Tensor:
        """The sum of the norms of the filters and of the weights that read each channel."""
        made, read = weight[self.rows].flatten(1), weight[:, self.columns].transpose(0, 1).flatten(1)
        return norms(made).sum() + norms(read).sum()


def norms(rows: Tensor) -> Tensor:
    """The Euclidean norm of each row [N, K], float [N]; its gradient is zero where the row is."""
    squares = rows.square().sum(1)
    return torch.where(squares > 0, squares, 1.0).sqrt() * (squares > 0)
