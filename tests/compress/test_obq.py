"""Levels by second-order error and rate."""

import numpy as np
import pytest

from dcgen.compress.obq import STEP_RATIO, Problem, _least, best_step
from dcgen.compress.rate import level_costs
from dcgen.compress.uniform import MAX_LEVEL


def problem(groups=1, rows=24, columns=40, **changes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(groups, 4 * columns, columns)) @ rng.normal(size=(groups, columns, columns))
    hessian = x.transpose(0, 2, 1) @ x / x.shape[1]
    hessian += 0.01 * np.einsum("gdd->g", hessian)[:, None, None] / columns * np.eye(columns)
    return Problem(rng.normal(size=(groups, rows, columns)), hessian, **changes)


def objective(p, integers, step, price):
    costs = level_costs(integers)
    return p.error(integers * step) + price * costs[integers.astype(int) + MAX_LEVEL].sum()


def test_a_choice_states_its_error_and_bits():
    p = problem()
    found = best_step(p, 0.5)
    assert found.error == pytest.approx(p.error(found.integers * found.step))
    costs = level_costs(found.integers)
    assert found.bits == pytest.approx(costs[found.integers.astype(int) + MAX_LEVEL].sum())


def test_errors_are_made_up_for_by_other_weights():
    """Error and bits together are less than by rounding to nearest, with the same step or any other."""
    p, price = problem(), 1.0
    found = best_step(p, price)
    nearest = min(
        objective(p, np.clip(np.rint(p.target / s), -127, 127), s, price)
        for s in found.step * 2.0 ** np.arange(-4, 3)
    )
    assert objective(p, found.integers, found.step, price) < 0.9 * nearest


def test_no_single_weight_would_rather_have_another_level():
    p, price = problem(rows=6, columns=12), 0.5
    found = best_step(p, price)
    costs, q = level_costs(found.integers), found.integers.astype(int)
    here = p.error(q * found.step) + price * costs[q + MAX_LEVEL].sum()
    for at in np.ndindex(q.shape):
        for other in (q[at] - 1, q[at] + 1, 0):
            moved = q.copy()
            moved[at] = other
            there = p.error(moved * found.step) + price * costs[moved + MAX_LEVEL].sum()
            assert there > here - 0.02 * here


def test_a_dearer_bit_gives_fewer_bits_and_more_zeros():
    cheap, dear = (best_step(problem(), price) for price in (1.0, 30.0))
    assert dear.bits < 0.6 * cheap.bits
    assert np.count_nonzero(dear.integers) < np.count_nonzero(cheap.integers)
    charged = best_step(problem(), 1.0, nonzero=6.0)
    assert np.count_nonzero(charged.integers) < 0.8 * np.count_nonzero(cheap.integers)


@pytest.mark.parametrize("best", [0.01, 0.9, 1.0, 1.07, 40.0])
def test_the_step_of_least_cost_is_found_from_any_and_between_those_compared(best) -> None:
    """Were it one of a coarse row, networks of nearly one price would differ by more than their price does."""
    tried = []

    def cost(step):
        tried.append(step)
        return np.log(step / best) ** 2

    assert _least(cost, 1.0) == pytest.approx(best, rel=1e-6)
    assert len(tried) == len(set(tried)) <= 4 + abs(np.log(best) / np.log(STEP_RATIO))


def test_where_cost_does_not_curve_the_best_step_that_was_compared_is_taken() -> None:
    assert _least(lambda step: 1.0, 2.0) == 2.0
    assert _least(lambda step: np.inf if step > 1 else 1 - step / 10, 1.0) == 1.0


def test_a_step_that_is_known_is_kept_but_for_its_fit() -> None:
    p = problem()
    found = best_step(p, 0.5)
    again = best_step(p, 0.5, step=found.step)
    assert again.step == pytest.approx(found.step, rel=0.05)
    assert again.error + 0.5 * again.bits == pytest.approx(found.error + 0.5 * found.bits, rel=0.02)


def test_groups_are_independent_and_constraints_hold():
    rng = np.random.default_rng(3)
    free = rng.random((5, 4, 9)) < 0.6
    p = problem(groups=5, rows=4, columns=9, low=-3, high=2, free=free)
    found = best_step(p, 0.01)
    assert found.integers.shape == p.target.shape
    assert found.integers.min() >= -3 and found.integers.max() <= 2
    assert not found.integers[~free].any()


def test_a_layer_of_zeros_stays_a_layer_of_zeros():
    p = problem()
    found = best_step(Problem(np.zeros_like(p.target), p.hessian), 1.0)
    assert not found.integers.any() and np.isfinite(found.step)


def test_costs_of_levels_are_those_of_their_frequencies():
    q = np.array([0] * 500 + [1] * 250 + [-1] * 250)
    costs = level_costs(q, nonzero=3.0)
    assert costs[MAX_LEVEL] == pytest.approx(1.0, abs=0.02)
    assert costs[MAX_LEVEL + 1] == costs[MAX_LEVEL - 1] == pytest.approx(5.0, abs=0.02)
    assert costs[MAX_LEVEL + 2] > 14
