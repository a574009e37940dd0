"""Requantization computes what exact rational arithmetic gives."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgen.errors import NumericError
from dcgen.quant.arithmetic import MAX_RATIO, constants, multiplier, requantize, wrap32
from dcgen.quant.qgraph import Requant

I32 = st.integers(-(2**31), 2**31 - 1)


def _one(acc: int, m: int, s: int, zp: int, lo: int, hi: int) -> int:
    r = Requant(np.array([m], np.uint16), np.array([s], np.uint8), lo, hi)
    return int(requantize(np.full((1, 1, 1, 1), acc, np.int64), r, zp)[0, 0, 0, 0])


@given(
    I32, st.integers(0, 65535), st.integers(17, 32), st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)
)
def test_it_is_the_formula_of_the_contract(acc, m, s, zp, a, b):
    lo, hi = sorted((a, b))
    exact = zp + floor(Fraction(acc * m + 2 ** (s - 1), 2**s))
    assert _one(acc, m, s, zp, lo, hi) == min(max(exact, lo), hi)


@given(I32, st.integers(0, 65535), st.integers(17, 32))
def test_it_equals_one_rounding_high_multiply(acc, m, s):
    """SMMULR: the upper half of a 32x32 product, rounded; its factor m << (32 - s) fits 31 bits."""
    factor = m << (32 - s)
    assert factor < 2**31
    smmulr = (acc * factor + 2**31) >> 32
    assert (acc * m + 2 ** (s - 1)) >> s == smmulr


@given(st.integers(-(2**40), 2**40))
def test_accumulators_wrap_as_twos_complement(value):
    wrapped = int(wrap32(np.array([value], np.int64))[0])
    assert -(2**31) <= wrapped < 2**31
    assert (wrapped - value) % 2**32 == 0


@given(st.floats(2.0**-17, MAX_RATIO))
def test_multipliers_keep_fifteen_bits(ratio):
    m, s = multiplier(ratio)
    assert 0 <= m < 2**16 and 17 <= s <= 32
    assert abs(m / 2**s / ratio - 1) <= 2.0**-15


@pytest.mark.parametrize("ratio", [0.5, 1.0, -0.1, float("inf")])
def test_a_factor_out_of_range_is_refused(ratio):
    with pytest.raises(NumericError, match=r"requantization: factor .* is outside 0\.\.0\.5"):
        multiplier(ratio)


def test_constants_per_channel():
    r = constants(np.array([0.25, 0.1]), 3, 200)
    assert r.mult.shape == r.shift.shape == (2,)
    assert (r.lo, r.hi) == (3, 200)
    np.testing.assert_allclose(r.mult / 2.0**r.shift, [0.25, 0.1], rtol=2**-15)
