"""What a level costs in bits, learnt from the levels in use: the adaptive entropy estimate.

The joint coding of runs and levels comes within a percent of the zero-order entropy of all weights of a
layer, zeros among them, so that a zero costs its share of the run that it lengthens.
"""

from __future__ import annotations

import numpy as np

from dcgen.compress.uniform import MAX_LEVEL
from dcgen.ir.graph import F64

FLOOR = 0.02
"""Counts that every level is credited with: one that nobody uses stays within reach, at a price."""


def level_costs(integers: np.ndarray, nonzero: float = 0.0) -> F64:
    """float64 [2 * MAX_LEVEL + 1]: bits of the levels -MAX_LEVEL.., under the frequencies of ``integers``.

    nonzero : bits on top for every level but zero: what a weight costs besides its place in the file
    """
    counts = np.bincount((integers + MAX_LEVEL).ravel().astype(np.int64), minlength=2 * MAX_LEVEL + 1)
    smooth = counts + FLOOR
    costs = np.log2(smooth.sum() / smooth) + nonzero
    costs[MAX_LEVEL] -= nonzero
    return np.asarray(costs)
