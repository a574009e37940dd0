"""The estimated size of a coded level, from how often each level is used: its entropy.

The joint coding of runs and levels comes within a percent of the zero-order entropy of all weights of a layer,
zeros among them. So what the entropy gives to the zeros stands for the coded runs that they form.
"""

from __future__ import annotations

import numpy as np

from dcgen.compress.uniform import MAX_LEVEL
from dcgen.ir.graph import F64

FLOOR = 0.02
"""Added to the count of every level, so that a level that no weight uses has a finite cost."""


def level_costs(integers: np.ndarray, nonzero: float = 0.0) -> F64:
    """Bits of each of the levels -MAX_LEVEL to MAX_LEVEL, float64 [2 * MAX_LEVEL + 1].

    integers : levels in use, as multiples of the step, which give the frequencies
    nonzero : bits on top for every level but zero, for what a weight costs besides its bits in the file
    """
    counts = np.bincount((integers + MAX_LEVEL).ravel().astype(np.int64), minlength=2 * MAX_LEVEL + 1)
    smooth = counts + FLOOR
    costs = np.log2(smooth.sum() / smooth) + nonzero
    costs[MAX_LEVEL] -= nonzero
    return np.asarray(costs)
