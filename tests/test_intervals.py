"""Intervals and the paired test agree with published values and cover what random samples are drawn from."""

import numpy as np
import pytest

from dcgen.intervals import mcnemar, mean_intervals, share_interval


def test_wilson_s_interval():
    """Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3."""
    for hits, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        assert share_interval(hits, n) == pytest.approx((low, high), abs=5e-5)
    assert share_interval(29, 29)[1] == 1.0 and share_interval(29, 29)[0] < 0.9


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == mcnemar(6, 0) == 2 / 64
    assert mcnemar(3, 12) == pytest.approx(2 * (1 + 15 + 105 + 455) / 2**15)
    assert 0 < mcnemar(10_000, 10_400) < 0.01


def test_the_bootstrap_covers_the_mean_it_estimates():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(100):
        (low, high), _ = mean_intervals(rng.exponential(2.0, (60, 2)))
        covered += low < 2.0 < high
    assert 85 <= covered <= 99


def test_the_bootstrap_is_near_the_normal_interval_of_a_large_sample_and_never_differs():
    values = np.random.default_rng(4).normal(5.0, 1.0, (1000, 1))
    (found,) = mean_intervals(values)
    half = 1.96 * values.std() / np.sqrt(1000)
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.15 * half)
    assert mean_intervals(values) == (found,)


def test_columns_are_resampled_together():
    x = np.random.default_rng(5).normal(size=200)
    a, b = mean_intervals(np.stack([x, 1 - x], axis=1))
    assert (1 - a[1], 1 - a[0]) == pytest.approx(b)
