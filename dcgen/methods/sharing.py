"""Weight sharing with trained centroids (Han et al. 2016, section 3): a layer's weights are few values, which
learn. The gradient of a value is the sum of those of the weights that share it (equation 3); which weights these
are is chosen once, by k-means, and zeros stay zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from dcgen.compress.share import Init, existing, share
from dcgen.ir.weights import Levels
from dcgen.methods.method import Given, Method, Parametrization


@dataclass(frozen=True)
class Sharing(Method):
    """Settings.

    bits_conv, bits_fc : bits of a layer's codebook, zero being one of its 2**bits values
    start : the centroids that k-means begins with: ``linear``, equally spaced between the least and the largest
        weight; ``density``, equally spaced in their distribution; ``forgy``, weights drawn at random
    seed : of that draw
    """

    name: ClassVar[str] = "sharing"
    source: ClassVar[str] = "Han et al. 2016, section 3"
    shares: ClassVar[bool] = True
    bits_conv: int = field(default=8, metadata={"min": 2, "max": 8})
    bits_fc: int = field(default=5, metadata={"min": 2, "max": 8})
    start: Init = "linear"
    seed: int = field(default=0, metadata={"min": 0, "max": 2**31 - 1})

    def parametrization(self, layer: Given) -> Parametrization:
        bits = self.bits_fc if layer.fully_connected else self.bits_conv
        found = share(layer.weight.numpy(), bits, self.start, np.random.default_rng(self.seed))
        return Clustered(found)


class Clustered(Parametrization):
    """Values of a codebook.

    codebook : parameter, float32 [K], the values besides zero
    indices : int64 OIHW, 0 for zero, else 1 + the place in ``codebook``
    """

    like_weights: ClassVar[bool] = True
    indices: Tensor

    def __init__(self, levels: Levels) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.from_numpy(levels.codebook[1:].astype(np.float32)))
        self.register_buffer("indices", torch.from_numpy(levels.indices.astype(np.int64)))

    def forward(self, original: Tensor) -> Tensor:
        return look_up(self.codebook, self.indices)

    def levels(self, original: Tensor) -> Levels:
        found = existing(look_up(self.codebook.detach(), self.indices).numpy())
        assert found is not None
        return found


class _LookUp(torch.autograd.Function):
    """Codebook and indices to weights. The gradient is summed one weight after the other in float64, so that it
    does not depend on how work is shared out among cores."""

    @staticmethod
    def forward(ctx: Any, codebook: Tensor, indices: Tensor) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.size = 1 + len(codebook)
        return torch.cat([codebook.new_zeros(1), codebook])[indices]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (indices,) = ctx.saved_tensors
        sums = torch.bincount(indices.flatten(), gradients[0].flatten().double(), minlength=ctx.size)
        return sums[1:].to(gradients[0].dtype), None


def look_up(codebook: Tensor, indices: Tensor) -> Tensor:
    """The weights, float32 OIHW, that a codebook and indices as ``Clustered`` has them stand for."""
    found: Tensor = _LookUp.apply(codebook, indices)  # type: ignore[no-untyped-call]
    return found
