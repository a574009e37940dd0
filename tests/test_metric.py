"""What differences from the float network's outputs are worth: for classes at a temperature that sees errors of
sure and of timid networks alike, for values in their own deviations; and figures that foretell those of more
pictures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.metric import (
    UNDECIDED,
    Classes,
    Values,
    expected_changes,
    expected_losses,
    mean_kl,
    metric_of,
    relative_errors,
    spreads,
    temperature,
    undecided,
)

SEEDS = st.integers(0, 2**32 - 1)


def scores(size: float, pictures: int = 200, classes: int = 10, seed: int = 0) -> np.ndarray:
    """Scores of a network that is right about separable pictures: ``size`` for one class, -``size`` for the
    others, and a tenth of that in noise. float32 [N, S]"""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.1 * size, (pictures, classes))
    first = rng.integers(0, classes, pictures)
    return np.asarray(np.where(np.arange(classes) == first[:, None], size, -size) + noise, np.float32)


def ordinary(pictures: int = 300, classes: int = 10, seed: int = 0) -> np.ndarray:
    """Scores of a network that is neither sure nor blind: float32 [N, S]."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3.0, (pictures, classes)).astype(np.float32)


def off(reference: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    """The scores with normal errors of this share of their deviation: float32 [N, S]."""
    rng = np.random.default_rng(seed)
    return np.asarray(reference + share * reference.std() * rng.normal(size=reference.shape), np.float32)


# Classes


@pytest.mark.parametrize("size", [0.01, 0.7, 10.0, 35.0, 300.0])
def test_the_loss_grows_with_errors_whether_a_network_is_sure_or_timid(size: float) -> None:
    """At temperature 1 the divergence of a sure network is 0, and that of a timid one hardly moves."""
    reference = scores(size)
    metric = metric_of(reference, "classes")
    losses = [metric.loss(reference, off(reference, share)) for share in (0.03, 0.1, 0.3, 1.0)]
    for less, more in pairwise(losses):
        assert 1.5 * less < more
    assert losses[0] > 1e-6 and losses[-1] > 0.1
    assert metric.loss(reference, reference) == 0


def test_what_is_sure_at_temperature_1_costs_nothing_there() -> None:
    """Errors by which a class is off in one of four pictures: the reason for a temperature."""
    reference = scores(300.0)
    given = off(reference, 0.03)
    assert mean_kl(reference, given) < 1e-9 < 1e-4 < metric_of(reference, "classes").loss(reference, given)


@pytest.mark.parametrize("size", [0.01, 0.7, 35.0, 300.0])
def test_the_temperature_makes_a_softmax_as_undecided_as_the_nearer_end_of_the_band(size: float) -> None:
    reference = scores(size)
    aim = UNDECIDED[0 if size > 1 else 1] * (1 - 1 / 10)
    assert undecided(reference.astype(np.float64) / temperature(reference)) == pytest.approx(aim, rel=1e-4)
    assert (temperature(reference) > 1) == (size > 1)


def test_a_softmax_that_is_neither_sure_nor_blind_stays_as_it_is() -> None:
    """Then the loss is the mean divergence, as users know it."""
    reference = ordinary()
    assert temperature(reference) == 1.0
    given = off(reference, 0.1)
    assert metric_of(reference, "classes").loss(reference, given) == mean_kl(reference, given)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, unit=st.floats(1e-6, 1e6).filter(lambda u: not 0.02 < u < 5))
def test_the_loss_does_not_depend_on_the_unit_of_scores_that_are_out_of_the_band(seed: int, unit: float) -> None:
    """Units between .02 and 5 leave some of these scores in the band, where the temperature is 1."""
    reference = scores(5.0 if unit > 1 else 0.5, 50, 6, seed)
    losses = []
    for factor in (1.0, unit):
        one = np.asarray(reference * factor, np.float32)
        losses.append(metric_of(one, "classes").loss(one, off(one, 0.1)))
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def test_errors_of_scores_count_as_a_divergence_does_but_for_what_all_scores_share() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(0, 0.1, (50, 12)).astype(np.float32)  # so flat that a softer softmax is nearly the same
    errors = rng.normal(0, 0.05, reference.shape).astype(np.float32)
    common = rng.normal(0, 1.0, (50, 1)).astype(np.float32)
    metric = Classes()
    found = metric.score_error(reference, reference + errors + common)
    assert found == pytest.approx(metric.score_error(reference, reference + errors), rel=1e-3)
    assert found == pytest.approx((1 - 1 / 12) * mean_kl(reference, reference + errors), rel=0.05)
    assert metric.score_error(reference, reference) == 0


def test_errors_of_scores_scatter_less_than_the_divergence_of_few_pictures() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(0, 3.0, (40, 1000)).astype(np.float32)
    networks = [reference + rng.normal(0, 0.3, reference.shape).astype(np.float32) for _ in range(20)]

    def scatter(measure: object) -> float:
        return float(np.std([np.log(measure(reference, given)) for given in networks]))

    assert scatter(Classes().score_error) < 0.4 * scatter(mean_kl)


# Values


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, exponents=st.lists(st.integers(-20, 20), min_size=4, max_size=4))
def test_the_loss_of_values_does_not_depend_on_their_units(seed: int, exponents: list[int]) -> None:
    """Powers of two, so that rounding is the same."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(3, 2, (60, 4)).astype(np.float32)
    given = reference + rng.normal(0, 0.1, reference.shape).astype(np.float32)
    units = np.exp2(np.array(exponents, np.float32))
    one = metric_of(reference, "values").loss(reference, given)
    other = metric_of(reference * units, "values").loss(reference * units, given * units)
    assert one > 0 and other == pytest.approx(one, rel=1e-6)


def test_the_loss_of_values_is_half_the_mean_square_of_their_relative_errors() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(0, [1.0, 50.0], (1000, 2)).astype(np.float32)
    given = np.asarray(reference + reference.std(0) * rng.choice([-0.1, 0.1], (1000, 2)), np.float32)
    np.testing.assert_allclose(relative_errors(reference, given), 0.1, rtol=1e-3)
    metric = metric_of(reference, "values")
    assert metric.loss(reference, given) == pytest.approx(0.1**2 / 2, rel=1e-3)
    assert metric.score_error(reference, given) == metric.loss(reference, given)


def test_an_output_that_never_changes_has_the_largest_deviation_of_the_others() -> None:
    """Its error must count for something, and must not count without bound."""
    still = np.full(50, 7.0)
    moving = np.linspace(-1, 1, 50)
    found = spreads(np.stack([moving, still, 3 * moving], 1).astype(np.float32))
    np.testing.assert_allclose(found, [moving.std(), 3 * moving.std(), 3 * moving.std()], rtol=1e-6)


def test_where_no_output_changes_each_counts_in_its_magnitude() -> None:
    found = spreads(np.tile(np.array([5.0, -0.25, 0.0], np.float32), (4, 1)))
    np.testing.assert_array_equal(found, [5.0, 0.25, 1.0])
    assert spreads(np.array([[3.0]], np.float32)) == [3.0]  # of a single picture, too


def test_rounding_noise_of_a_large_value_is_no_change() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([1e4 + 1e-3 * rng.normal(size=50), rng.normal(size=50)], 1)
    assert spreads(values.astype(np.float32))[0] == pytest.approx(values[:, 1].std(), rel=1e-3)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, factor=st.floats(0.85, 1.2))
def test_the_factor_of_values_is_that_of_least_squares(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    given = rng.normal(0, [1.0, 200.0], (50, 2))
    reference = factor * given + rng.normal(0, 5, 2)
    assert Values(spreads(reference.astype(np.float32))).factor(reference, given, np.zeros(2), 1.0) == (
        pytest.approx(factor, rel=1e-6)
    )


# What is to be expected of more pictures


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, error=st.floats(0.02, 0.3), classes=st.integers(2, 40))
def test_changes_of_the_first_class_are_foretold_from_errors(seed: int, error: float, classes: int) -> None:
    """Against 20 simulated networks whose scores have independent normal errors of that deviation, small enough
    that mostly one class comes near the first."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(0, 1.0, (400, classes)).astype(np.float32)

    def network() -> np.ndarray:
        return reference + rng.normal(0, error, reference.shape).astype(np.float32)

    told = expected_changes(reference, network())
    seen = np.mean([(network().argmax(1) != reference.argmax(1)).mean() for _ in range(20)])
    assert told == pytest.approx(seen, rel=0.25, abs=0.01)


def test_nothing_is_expected_to_change_without_errors() -> None:
    reference = ordinary()
    assert expected_changes(reference, reference) == 0
    tied = np.zeros((3, 4), np.float32)
    assert expected_changes(tied, tied) == 0


def test_of_few_pictures_about_as_many_changes_are_expected_as_of_many() -> None:
    """Though hardly one of 33 pictures is within the errors of a tie: on average, and within a half for most."""
    rng = np.random.default_rng(0)
    reference = rng.normal(0, 5, (2000, 10)).astype(np.float32)
    given = reference + rng.normal(0, 0.2, reference.shape).astype(np.float32)
    wanted, labels = expected_changes(reference, given), (reference + rng.normal(0, 3, reference.shape)).argmax(1)
    subsets = [rng.choice(2000, 33, replace=False) for _ in range(60)]
    told = np.array([expected_changes(reference[i], given[i]) for i in subsets])
    assert told.mean() == pytest.approx(wanted, rel=0.2)
    assert np.quantile(np.abs(told / wanted - 1), 0.8) < 0.5
    lost = np.array([expected_losses(reference[i], given[i], labels[i]).mean() for i in subsets])
    assert lost.mean() == pytest.approx(expected_losses(reference, given, labels).mean(), abs=0.3 * wanted)


def test_a_common_error_of_all_scores_changes_no_class() -> None:
    reference = ordinary()
    common = np.random.default_rng(0).normal(0, 5, (len(reference), 1)).astype(np.float32)
    assert expected_changes(reference, reference + common) < 1e-3


def test_expected_changes_scatter_less_than_counted_ones() -> None:
    rng = np.random.default_rng(0)
    reference = scores(5.0, 200)
    networks = [reference + rng.normal(0, 2.0, reference.shape).astype(np.float32) for _ in range(30)]
    told = [expected_changes(reference, network) for network in networks]
    counted = [(network.argmax(1) != reference.argmax(1)).mean() for network in networks]
    assert np.std(told) / np.mean(told) < 0.3 * np.std(counted) / np.mean(counted)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, error=st.floats(0.02, 0.3), classes=st.integers(2, 10))
def test_the_accuracy_that_is_lost_is_foretold_from_errors(seed: int, error: float, classes: int) -> None:
    """Against 30 simulated networks; a tenth of the labels are drawn anew, so that the float
    network is wrong about some. Errors are small enough that mostly one class comes near the label's."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(0, 1.0, (400, classes)).astype(np.float32)
    labels = np.where(rng.random(400) < 0.1, rng.integers(0, classes, 400), reference.argmax(1))

    def network() -> np.ndarray:
        return reference + rng.normal(0, error, reference.shape).astype(np.float32)

    right = (reference.argmax(1) == labels).mean()
    told = expected_losses(reference, network(), labels)
    seen = np.mean([right - (network().argmax(1) == labels).mean() for _ in range(30)])
    assert told.shape == (400,) and ((told >= -1) & (told <= 1)).all()
    assert told.mean() == pytest.approx(seen, rel=0.3, abs=0.01)


def test_pictures_that_the_float_network_gets_wrong_can_be_won() -> None:
    reference = np.array([[1.0, 0.9], [1.0, 0.9]], np.float32)
    given = reference + np.array([[0.2, 0.0], [-0.2, 0.0]], np.float32)
    lost, won = expected_losses(reference, given, np.array([0, 1]))
    assert lost == pytest.approx(-won)
    assert 0.4 / 16 < lost < 0.5 / 16  # half a picture, of errors that are taken 16 times larger
    np.testing.assert_array_equal(expected_losses(reference, reference, np.array([0, 1])), [0, 0])
