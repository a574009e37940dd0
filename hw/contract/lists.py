"""A replay list in plain Python: what the front end hands to the back end, one at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]


def _one_zero() -> I64:
    return np.zeros(1, np.int64)


@dataclass(frozen=True, eq=False)
class ReplayList:
    """Weights and constants of one output channel of a CONV, or the constants of another step.

    weights, taps, channels : int64 [E], E >= 1: the entries in the order in which they are replayed; fields as in
        ``dcgen.hw.common.signatures.entry_layout``
    bias .. fill : constants, as in ``dcgen.hw.common.signatures.head_layout``
    """

    weights: I64 = field(default_factory=_one_zero)
    taps: I64 = field(default_factory=_one_zero)
    channels: I64 = field(default_factory=_one_zero)
    bias: int = 0
    mult: int = 0
    shift: int = 0
    lo: int = 0
    hi: int = 0
    zero_out: int = 0
    zero_in: int = 0
    fill: int = 0

    def __len__(self) -> int:
        return len(self.weights)
