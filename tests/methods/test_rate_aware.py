"""Rate-aware training: integers times a step, and their bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcgen.methods.method import Given
from dcgen.methods.rate_aware import Quantized, RateAware, code_lengths


def weights(density: float = 1.0) -> torch.Tensor:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(8, 9, 3, 3)) * (rng.random((8, 9, 3, 3)) < density)
    return torch.from_numpy(values.astype(np.float32))


def made(weight: torch.Tensor, method: RateAware) -> Quantized:
    found = method.parametrization(Given(weight))
    assert isinstance(found, Quantized)
    return found


@given(start=st.floats(0.01, 10.0), density=st.floats(0.0, 1.0))
def test_levels_are_exactly_the_weight_and_multiples_of_the_step(start: float, density: float) -> None:
    weight = weights(density)
    found = made(weight, RateAware(start=start))
    levels = found.levels(weight)
    assert levels.step == pytest.approx(float(found.log_step.detach().exp()))
    np.testing.assert_allclose(levels.values(), found(weight).detach().numpy(), rtol=1e-6)


def test_what_was_pruned_stays_zero_unless_it_may_return() -> None:
    weight = weights(0.3)
    moved = weight + 1.0
    assert not made(weight, RateAware())(moved)[weight == 0].any()
    assert made(weight, RateAware(keep_zeros=False))(moved)[weight == 0].all()


def test_common_integers_cost_less_and_all_have_a_finite_price() -> None:
    lengths = code_lengths(torch.tensor([0] * 90 + [1] * 9 + [5]))
    assert lengths[0] < lengths[1] < lengths[5] < lengths[4]
    assert bool(torch.isfinite(lengths).all())


def test_bits_are_those_of_the_rounded_weights_and_pull_all_weights_that_may_move_towards_zero() -> None:
    weight = weights(0.5)
    found = made(weight, RateAware())
    original = weight.clone().requires_grad_()
    bits = found.bits(original)
    whole = found.steps(weight).detach().abs().round()
    assert bits.item() == pytest.approx(float(code_lengths(whole)[whole.long()].sum()), rel=1e-5)
    bits.backward()
    assert original.grad is not None and torch.equal(original.grad.sign(), weight.sign())
    assert found.log_step.grad is None
