"""A table has the byte nearest to the function's value, and its input covers what makes a difference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.errors import NumericError
from dcgen.ir.functions import Constant
from dcgen.ir.graph import Function, Step
from dcgen.quant.qgraph import QTensor
from dcgen.quant.ranges import Range
from dcgen.quant.tables import TOLERANCE, kept, table
from tests.graphs import FUNCTIONS


def tensor(scale: float, zero_point: int) -> QTensor:
    return QTensor("t", (1, 1, 1), scale, zero_point, (zero_point,))


def named(kind: str) -> Function:
    return Function((Step(kind),))


@settings(max_examples=100, deadline=None)
@given(
    step=st.sampled_from(FUNCTIONS),
    x=st.builds(tensor, st.floats(1e-3, 0.1), st.integers(0, 255)),
    out=st.builds(tensor, st.floats(1e-3, 0.1), st.integers(0, 255)),
    bounds=st.tuples(st.integers(0, 255), st.integers(0, 255)).map(sorted),
)
def test_each_byte_is_the_nearest_within_the_bounds(step, x, out, bounds):
    found = table(Function((step,)), x, out, tuple(bounds), "f")
    assert found.dtype == np.uint8 and found.shape == (256,)
    for byte, looked_up in enumerate(found):
        value = float(Function((step,)).evaluate(np.array(x.scale * (byte - x.zero_point))))
        allowed = out.scale * (np.arange(bounds[0], bounds[1] + 1) - out.zero_point)
        nearest = np.abs(allowed - value).min()
        assert abs(out.scale * (int(looked_up) - out.zero_point) - value) <= nearest * (1 + 1e-9) + 1e-9


def test_a_number_without_a_value_is_named():
    with pytest.raises(NumericError, match=r"root: has no value at -1, which its input may take"):
        table(named("Sqrt"), tensor(0.5, 2), tensor(0.1, 0), (0, 255), "root")
    assert table(named("Sqrt"), tensor(0.5, 0), tensor(0.1, 0), (0, 255), "root")[8] == 20


UNIT = Range(-1.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "values", "interval"),
    [
        ("HardSwish", Range(-0.375, 30.0), (-3.0, 30.0)),
        ("Sigmoid", Range(0.0, 1.0), (-6.93, 6.93)),
        ("Tanh", UNIT, (-3.47, 3.47)),
        ("Exp", Range(0.0, float(np.exp(5))), (-1.97, 30.0)),
        ("Abs", Range(0.0, 40.0), (-40.0, 30.0)),
    ],
)
def test_what_saturates_does_not_widen_the_interval_before_it(kind, values, interval):
    low, high = kept(Range(-40.0, 30.0), [(named(kind), values)])
    assert (low, high) == pytest.approx(interval, abs=0.2)


@pytest.mark.parametrize("kind", ["Log", "Sqrt"])
def test_what_has_no_value_somewhere_is_not_cut_there(kind):
    low, high = kept(Range(-1e4, 1e2), [(named(kind), UNIT)])
    assert low == -1e4 and high > 99


def test_values_near_a_pole_do_not_matter_where_none_was_seen():
    assert kept(Range(-100.0, 100.0), [(named("Reciprocal"), Range(0.0, 0.1))])[1] > 98


def test_a_value_beyond_all_numbers_is_the_largest_byte():
    found = table(named("Exp"), tensor(10.0, 100), tensor(1e-3, 7), (0, 255), "f")
    assert found[:100].max() == 7 and found[101:].min() == 255


def test_two_functions_keep_what_either_needs():
    two = [(named("Sigmoid"), UNIT), (named("HardSwish"), Range(-0.4, 30.0))]
    assert kept(Range(-40.0, 30.0), two) == pytest.approx((-6.2, 30.0), abs=0.2)


@given(low=st.floats(-20, -1), high=st.floats(1, 20))
def test_the_outermost_bytes_lie_behind_the_last_change(low, high):
    """An activation of two bits changes at -.5 and .5; its numbers beyond are the outermost bytes."""
    ternary = Function((Step("Clip", (0, Constant(-1.0), Constant(1.0))), Step("Round", (1,))))
    least, most = kept(Range(low, high), [(ternary, UNIT)])
    scale = (most - least) / 255
    x = tensor(scale, round(-least / scale))
    found = table(ternary, x, tensor(1.0, 1), (0, 2), "f")
    assert (found[0], found[x.zero_point], found[255]) == (0, 1, 2)


@settings(max_examples=60, deadline=None)
@given(step=st.sampled_from(FUNCTIONS), low=st.floats(-50, 0), high=st.floats(0, 50))
def test_beyond_the_interval_a_function_is_nearly_constant(step, low, high):
    function = Function((step,))
    values = function.evaluate(x := np.linspace(low, high, 999))
    least, most = kept(Range(low, high), [(function, Range(float(values.min()), float(values.max())))])
    assert low <= least <= 0 <= most <= high
    cut = function.evaluate(np.clip(x, least, most))
    assert np.abs(values - cut).max() <= 1.05 * TOLERANCE * np.ptp(values) + 1e-12
