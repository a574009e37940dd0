"""Biases are stored in as few bits as cost no more than the tolerance."""

import numpy as np
import pytest

from dcgen.errors import NumericError
from dcgen.quant.levels import BIAS_TOLERANCE, KEPT_TOLERANCE, integer_bias


@pytest.mark.parametrize(
    ("largest", "ratio", "shift"),
    [
        (100.0, 1.0, 0),  # eight bits hold it
        (1000.0, 2.0**-6, 3),  # eight of eleven bits cost exactly the tolerance
        (1000.0, 2.0**-5, 0),  # eight would cost twice as much, sixteen hold it
        (100_000.0, 2.0**-10, 2),  # sixteen of eighteen
        (100_000.0, 1.0, 0),  # neither: all bits are kept
    ],
)
def test_a_bias_is_rounded_to_the_size_that_costs_little(largest: float, ratio: float, shift: int) -> None:
    exact = np.array([largest, -largest / 3, 0.4])
    bias, found = integer_bias(exact, np.array([ratio / 2, ratio]), "layer")
    assert found == shift and not np.any(bias & ((1 << shift) - 1))
    assert np.abs(bias - exact).max() * ratio <= max(BIAS_TOLERANCE, ratio / 2)


def test_a_smaller_tolerance_keeps_more_bits() -> None:
    exact, ratio = np.array([1000.0, -5.0]), np.array([2.0**-6])
    assert integer_bias(exact, ratio, "layer")[1] == 3
    bias, shift = integer_bias(exact, ratio, "layer", KEPT_TOLERANCE)
    assert list(bias) == [1000, -5] and shift == 0


def test_scores_keep_every_bit() -> None:
    bias, shift = integer_bias(np.array([100_000.4, -5.0]), None, "layer")
    assert list(bias) == [100_000, -5] and shift == 0


def test_a_bias_beyond_32_bits_is_refused() -> None:
    with pytest.raises(NumericError, match="32 bits"):
        integer_bias(np.array([2.0**31]), None, "layer")
