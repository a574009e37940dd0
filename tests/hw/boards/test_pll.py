"""PLL settings: exact, and within the oscillator's range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgen.hw.boards.pll import PHASE_DETECTOR_MHZ, VCO_MHZ, find_settings


@given(st.integers(1, 80).map(lambda n: 5 * n))
def test_settings_make_the_wanted_clock_within_the_oscillators_range(output: int) -> None:
    s = find_settings(25, output)
    assert 25 / s.input_divider * s.feedback_divider == pytest.approx(output, rel=1e-9)
    assert VCO_MHZ[0] <= output * s.output_divider <= VCO_MHZ[1]
    assert 25 / s.input_divider >= PHASE_DETECTOR_MHZ[0]


def test_a_clock_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no PLL setting makes 51.7131 MHz of 25 MHz"):
        find_settings(25, 51.7131)
