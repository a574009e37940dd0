"""Values become bytes and back by one scale and zero point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgen.errors import ConfigError
from dcgen.inputs.tensor import TensorInput, calibrated

INT8 = TensorInput("int8", 0.25, 20.0, (2, 1, 3))
EVERY = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)


def test_integers_keep_their_value() -> None:
    values = np.array([[[[-128, 0, 127]], [[20, 21, 19]]]], np.int8)
    taken = INT8.bytes_of(values)
    np.testing.assert_array_equal(taken[0, 0], [[0, 148], [128, 149], [255, 147]])
    np.testing.assert_array_equal(INT8.values_of(taken), values)
    np.testing.assert_array_equal(INT8.normalise(taken), 0.25 * (values.astype(np.float32) - 20))


def test_real_values_are_rounded_and_clipped() -> None:
    values = np.array([-100.0, -37.0, -0.13, -0.12, 0.0, 0.2, 26.75, 99.0], np.float32).reshape(-1, 1, 1, 1)
    one = TensorInput("int8", 0.25, 20.0, (1, 1, 1))
    assert one.bytes_of(values).ravel().tolist() == [0, 0, 147, 148, 148, 149, 255, 255]


@given(st.floats(2.0**-100, 2.0**100, width=32), st.integers(-300, 500))
def test_what_a_byte_stands_for_gives_the_byte(scale: float, zero_point: int) -> None:
    form = TensorInput("float32", scale, float(zero_point), (1, 1, 1))
    np.testing.assert_array_equal(form.bytes_of(form.values_of(EVERY)), EVERY)


@pytest.mark.parametrize("holds_zero", [False, True])
@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 3.0), (20.0, 30.0), (-84.0, -14.0), (0.0, 1e-6), (1013.0, 1013.5)]
)
def test_the_range_is_that_of_the_values(low: float, high: float, holds_zero: bool) -> None:
    values = np.linspace(low, high, 1001, dtype=np.float32).reshape(-1, 1, 1, 1)
    form = calibrated(values, (1, 1, 1), holds_zero=holds_zero)
    error = np.abs(form.normalise(form.bytes_of(values)) - values).max()
    width = high - low if not holds_zero else max(high, 0.0) - min(low, 0.0)
    assert error <= 0.51 * width / 255 + 1e-6 * max(abs(low), abs(high))
    if holds_zero:
        assert 0 <= form.zero_point <= 255


@pytest.mark.parametrize("value", [0.0, 5.0, -1e-30])
def test_values_without_a_range(value: float) -> None:
    form = calibrated(np.full((3, 2), value, np.float32), (2, 1, 1), holds_zero=False)
    found = form.normalise(form.bytes_of(np.full((1, 2, 1, 1), value, np.float32)))
    np.testing.assert_allclose(found, value, rtol=0.01, atol=1e-36)


def test_a_form_comes_back_from_json() -> None:
    for form in (INT8, TensorInput("float32", 0.1, 127.5, (1, 1, 1))):
        assert TensorInput.from_json(form.to_json(), form.shape) == form
    assert INT8.to_json() == {"type": "int8", "scale": 0.25, "zero_point": 20}


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_scale_that_is_none(scale: float) -> None:
    with pytest.raises(ConfigError, match=f"input: scale {scale} and zero point 0.0 stand for no values"):
        TensorInput("int8", scale, 0.0, (1, 1, 1))
    with pytest.raises(ConfigError, match="input type: must be one of float32, int8, uint8, not 'int4'"):
        TensorInput("int4", 1.0, 0.0, (1, 1, 1))  # type: ignore[arg-type]
