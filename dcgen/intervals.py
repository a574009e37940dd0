"""How sure a figure over n pictures is, and whether two networks differ on the same pictures.

An interval contains the true value in 95 % of draws of n pictures. For a share it is Wilson's ("Probable
inference, the law of succession, and statistical inference", 1927), which stays sensible at 0 % and 100 %. For a
mean it is the percentile bootstrap (Efron, "Bootstrap methods: another look at the jackknife", 1979; Efron &
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). The test of two networks is McNemar's ("Note on
the sampling error of the difference between correlated proportions or percentages", 1947) in its exact binomial
form.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
NORMAL_QUANTILE = 1.959963984540054
"""Quantile of the standard normal distribution at (1 + CONFIDENCE) / 2."""
RESAMPLES = 2000
"""Means of resampled pictures from which the bootstrap takes its quantiles."""
SEED = 0
"""Seed of the bootstrap."""

Interval = tuple[float, float]
"""Lower and upper bound of a figure."""


def share_interval(hits: int, n: int) -> Interval:
    """Wilson's interval of the share that ``hits`` of ``n`` >= 1 pictures estimate."""
    z2 = NORMAL_QUANTILE**2
    share = hits / n
    centre = share + z2 / (2 * n)
    half = NORMAL_QUANTILE * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)
    return (0.0 if hits == 0 else max(0.0, low)), (1.0 if hits == n else min(1.0, high))


def mean_intervals(columns: NDArray[np.float64]) -> tuple[Interval, ...]:
    """The bootstrap interval of the mean of each column. The same input always gives the same intervals.

    columns : float64 [n, K], a row for each picture, whose K figures are resampled together
    """
    rng = np.random.default_rng(SEED)
    n = len(columns)
    means = np.stack([columns[rng.integers(n, size=n)].mean(0) for _ in range(RESAMPLES)])
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))


def mcnemar(lost: int, gained: int) -> float:
    """Probability of a split at least as uneven, in either direction, if neither network were better.

    lost : pictures that only the first network gets right
    gained : pictures that only the second one gets right
    """
    n = lost + gained
    tail, ways = 0, 1
    for k in range(min(lost, gained) + 1):
        tail += ways
        ways = ways * (n - k) // (k + 1)  # from n over k to n over k + 1
    return float(min(1.0, 2 * tail / 2**n))
