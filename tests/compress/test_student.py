"""A student stands where its network stands, moves as it is told, and chooses levels by their cost."""

import numpy as np
import pytest

from dcgen.compress.goals import prices
from dcgen.compress.rate import level_costs
from dcgen.compress.secondorder import Constraints, Quantizer
from dcgen.compress.student import point_of, requantized, student
from dcgen.compress.uniform import MAX_LEVEL
from tests.compress.nets import evidence, net

PRICE = 1e-5


@pytest.fixture(scope="module")
def quantizer():
    return Quantizer(net(), evidence(), Constraints())


@pytest.fixture(scope="module")
def point(quantizer):
    return quantizer.at(prices(quantizer, PRICE, 0.0), "test")


def test_it_stands_where_the_network_stands(quantizer, point):
    sites, layers = student(quantizer, point)
    found = point_of(quantizer, sites, layers)
    assert found.bits == pytest.approx(point.bits)
    for name in point.weights:
        np.testing.assert_array_equal(found.weights[name].values, point.weights[name].values)
        np.testing.assert_allclose(found.biases[name], point.biases[name], rtol=1e-5, atol=1e-6)


def test_in_its_basis_all_offsets_cost_alike_and_as_much_as_the_levels_do(quantizer, point):
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
        means = bias + site.shift(moved.integers * moved.step)
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
