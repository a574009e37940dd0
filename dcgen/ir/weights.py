"""A convolution's weights: their values and, once a recipe has shared them, the levels behind the values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Levels:
    """The shared values of one weight tensor.

    codebook : float64 [K], 1 <= K <= 256; ``codebook[0] == 0``, the zero weights, which are skipped
    indices : uint8, shape of the weight (OIHW): the place of each weight in the codebook
    step : if given, every codebook entry is an integer multiple of it (a uniform grid), so that
        lowering is exact; |entry / step| <= 32767
    channel_scale : float64 [O], optional factor per output channel
    """

    codebook: F64
    indices: NDArray[np.uint8]
    step: float | None = None
    channel_scale: F64 | None = None

    @property
    def multiples(self) -> NDArray[np.int16]:
        """int16 [K]: the codebook in steps. The grid must be uniform."""
        assert self.step is not None
        return np.rint(self.codebook / self.step).astype(np.int16)

    def values(self) -> F32:
        """The float32 weights (OIHW) that these levels stand for."""
        w = self.codebook[self.indices]
        if self.channel_scale is not None:
            w = w * self.channel_scale.reshape(-1, *([1] * (w.ndim - 1)))
        return w.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Weight:
    """A convolution's weights.

    values : float32 [O, I/groups, KH, KW]
    levels : what the values are made of, None while they are not shared
    """

    values: F32
    levels: Levels | None = None

    @classmethod
    def of(cls, levels: Levels) -> Weight:
        """The weight whose values are exactly those of ``levels``."""
        return cls(levels.values(), levels)
