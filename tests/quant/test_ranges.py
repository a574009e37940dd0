"""Calibration gives the ranges of the stated policies, and counts saturation."""

import numpy as np
import pytest

from dcgen.errors import NumericError
from dcgen.quant.ranges import BINS, calibrate


def run(*batches):
    return lambda: [{"t": np.asarray(b, np.float32)} for b in batches]


def test_minmax_covers_every_value_of_every_batch():
    found = calibrate(run([[-1.0, 2.0]], [[0.5, 3.0]]), "minmax")["t"]
    assert (found.low, found.high, found.saturated) == (-1.0, 3.0, 0.0)


def test_zero_is_always_inside_and_no_range_is_empty():
    assert calibrate(run([[4.0, 5.0]]), "minmax")["t"].low == 0.0
    assert calibrate(run([[-4.0, -5.0]]), "minmax")["t"].high == 0.0
    dead = calibrate(run([[0.0]]))["t"]
    assert dead.low <= 0.0 < dead.high


def test_a_percentile_cuts_outliers_and_counts_them():
    values = np.concatenate([np.linspace(-1, 1, 99_998), [-1000, 1000]])
    found = calibrate(run(values), "percentile", keep=0.999)["t"]
    bin_width = 2000 / BINS
    assert -1 - bin_width <= found.low <= -0.9 and 0.9 <= found.high <= 1 + bin_width
    assert found.saturated == pytest.approx(2 / 100_000)


def test_a_percentile_that_keeps_all_is_minmax():
    values = np.random.default_rng(0).normal(size=1000)
    found = calibrate(run(values), "percentile", keep=1.0)["t"]
    assert found.low == pytest.approx(values.min(), rel=1e-5) and found.high == pytest.approx(
        values.max(), rel=1e-5
    )
    assert found.saturated == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_by_tensor(bad):
    with pytest.raises(NumericError, match="t: takes values that are not finite"):
        calibrate(run([[0.0, bad]]))
