"""A student is its network to begin with, moves as its parameters do, and chooses levels by their cost."""

from dataclasses import replace

import numpy as np
import pytest

from dcgen.compress.evidence import Divergence
from dcgen.compress.goals import prices
from dcgen.compress.rate import level_costs
from dcgen.compress.secondorder import Constraints, Quantizer
from dcgen.compress.student import Rates, parametrized, point_of, requantized, student, trained
from dcgen.compress.uniform import MAX_LEVEL
from dcgen.train.teaching import Lesson, Teacher
from tests.compress.nets import evidence, net

PRICE = 1e-5
LESSON = Lesson(8, augment=0.0, mix=0.0, features=0.0)
RATES = Rates(offset=1e-2, stretch=1e-3, shift=1e-3)


@pytest.fixture(scope="module")
def quantizer():
    return Quantizer(net(), evidence(), Constraints())


@pytest.fixture(scope="module")
def point(quantizer):
    return quantizer.at(prices(quantizer, PRICE, 0.0), "test")


def taught(quantizer, sites, layers, lesson, rates, speeds, teacher=None):
    """The layers after a round of training, and the mean divergence."""
    teacher = teacher or Teacher(quantizer.graph, quantizer.evidence.measure, lesson)
    convs = {name: parametrized(sites[name], layer, rates) for name, layer in layers.items()}
    found, divergence = teacher.round(convs, speeds, np.random.default_rng(0), lambda _: None)
    return trained(sites, layers, found), divergence


def test_it_is_the_network_to_begin_with(quantizer, point):
    sites, layers = student(quantizer, point)
    found = point_of(quantizer, sites, layers)
    assert found.bits == pytest.approx(point.bits)
    for name in point.weights:
        np.testing.assert_array_equal(found.weights[name].values, point.weights[name].values)
        np.testing.assert_allclose(found.biases[name], point.biases[name], rtol=1e-5, atol=1e-6)


def test_offsets_of_mean_square_1_in_its_basis_cost_as_much_as_the_levels_do(quantizer, point):
    sites, layers = student(quantizer, point)
    rng = np.random.default_rng(0)
    for name, layer in layers.items():
        problem = sites[name].problem
        error = problem.error(layer.integers * layer.step)
        coordinates = rng.normal(size=layer.integers.shape)
        cost = problem.error(problem.target + coordinates @ sites[name].basis)
        assert cost == pytest.approx(error * (coordinates**2).mean(), rel=1e-6)


def test_a_move_of_weights_keeps_mean_outputs_and_one_of_means_moves_them(quantizer, point):
    sites, layers = student(quantizer, point)
    for name, layer in layers.items():
        site = sites[name]
        offset = np.random.default_rng(0).normal(size=layer.integers.shape)
        moved = layer.moved(offset, 0.1, np.ones(len(layer.centre)))
        assert moved.step == pytest.approx(layer.step * np.exp(0.1))
        went = moved.target - layer.target
        np.testing.assert_allclose(went, layer.integers * (moved.step - layer.step) + offset, atol=1e-9)
        bias = point_of(quantizer, {name: site}, {name: moved}).biases[name]
        means = bias + site.mean_outputs(moved.integers * moved.step)
        np.testing.assert_allclose(means, layer.centre + 1, rtol=1e-4, atol=1e-5)


def test_levels_follow_their_targets_and_the_price(quantizer, point):
    sites, layers = student(quantizer, point)
    paid = prices(quantizer, PRICE, 0.0)
    moved = {n: x.moved(0.6 * x.step * np.ones(x.integers.shape), 0.0, 0 * x.centre) for n, x in layers.items()}
    after = requantized(quantizer, sites, moved, paid, 2)
    dear = requantized(quantizer, sites, moved, prices(quantizer, 20 * PRICE, 0.0), 2)
    for name, layer in moved.items():
        assert (after[name].integers - layer.integers).mean() > 0.3

        def cost(integers, layer=layer, name=name):
            problem = sites[name].problem
            rest = layer.target - integers * layer.step
            price = quantizer.error_of_a_bit(name, problem, paid)
            bits = level_costs(layer.integers)[integers.astype(int) + MAX_LEVEL].sum()
            return ((rest @ problem.hessian) * rest).sum() + price * bits

        assert cost(after[name].integers) < cost(layer.integers)
        assert np.count_nonzero(dear[name].integers) < np.count_nonzero(after[name].integers)


def test_without_speed_nothing_moves_and_the_divergence_is_that_of_the_network(quantizer, point):
    pytest.importorskip("torch")
    sites, layers = student(quantizer, point)
    x = quantizer.evidence.measure
    found, divergence = taught(quantizer, sites, layers, replace(LESSON, batch=len(x)), RATES, [0.0])
    stands = point_of(quantizer, sites, layers)
    assert divergence == pytest.approx(
        Divergence(quantizer.graph, x, quantizer.evidence.metric)(stands.weights, stands.biases), rel=1e-3
    )
    for name, layer in layers.items():
        np.testing.assert_allclose(found[name].target, layer.target, atol=1e-9)
        np.testing.assert_array_equal(found[name].centre, layer.centre)
        assert found[name].step == pytest.approx(layer.step)


@pytest.mark.parametrize("features", [0.0, 1.0])
def test_training_lowers_the_divergence_on_what_it_sees(quantizer, point, features):
    pytest.importorskip("torch")
    sites, layers = student(quantizer, point)
    lesson = replace(LESSON, batch=24, features=features)
    teacher = Teacher(quantizer.graph, quantizer.evidence.measure, lesson)
    _, first = taught(quantizer, sites, layers, lesson, RATES, [0.0], teacher)
    _, last = taught(quantizer, sites, layers, lesson, RATES, [1.0] * 40, teacher)
    assert last < 0.8 * first


def test_only_what_has_a_rate_moves(quantizer, point):
    pytest.importorskip("torch")
    sites, layers = student(quantizer, point)
    found, _ = taught(quantizer, sites, layers, LESSON, Rates(0.0, 0.0, 1e-3), [1.0] * 3)
    for name, layer in layers.items():
        np.testing.assert_allclose(found[name].target, layer.target, atol=1e-9)
        assert found[name].step == pytest.approx(layer.step)
        moved = np.abs(found[name].centre - layer.centre).max() / sites[name].scale
        assert 0 < moved <= 3.1e-3
