"""Dynamic network surgery: masks with two thresholds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcgen.methods.method import Given
from dcgen.methods.surgery import Masked, Surgery


def made(weight: Tensor, method: Surgery) -> Masked:
    found = method.parametrization(Given(weight))
    assert isinstance(found, Masked)
    return found


def of(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None, None]


def test_thresholds_lie_around_mean_and_deviation_of_the_magnitudes() -> None:
    weight = of(1.0, -3.0, 0.0, 5.0)
    found = made(weight, Surgery(deviations=0.5, margin=0.1))
    centre = 3.0 + 0.5 * (8 / 3) ** 0.5
    assert found.low == pytest.approx(0.9 * centre) and found.high == pytest.approx(1.1 * centre)


def test_between_the_thresholds_a_mask_stays_as_it_is() -> None:
    found = made(of(1.0, 1.0, 1.0, 1.0), Surgery(deviations=0.0, margin=0.2))  # thresholds 0.8 and 1.2
    found.update(of(0.7, 0.79, 0.9, 1.5))
    assert found.mask.flatten().tolist() == [False, False, True, True]
    found.update(of(1.1, 1.3, 0.85, 0.1))
    assert found.mask.flatten().tolist() == [False, True, True, False]


def test_hidden_weights_learn_from_the_gradient_of_the_masked_ones() -> None:
    found = made(of(0.1, 2.0), Surgery(deviations=0.0))
    original = of(0.1, 2.0).requires_grad_()
    found.update(original.detach())
    weight = found(original)
    assert weight.flatten().tolist() == [0.0, 2.0]
    (weight * of(3.0, 5.0)).sum().backward()
    assert original.grad is not None and original.grad.flatten().tolist() == [3.0, 5.0]


def test_updates_become_rarer_and_end() -> None:
    torch.manual_seed(0)
    found, counts = made(of(1.0), Surgery(decay=9.0, until=0.6)), []
    calls: list[Tensor] = []
    found.update = calls.append  # type: ignore[method-assign]
    for progress in (0.0, 1 / 3, 0.6):
        calls.clear()
        for _ in range(400):
            found.advance(of(1.0), progress)
        counts.append(len(calls))
    assert counts[0] == 400 and 60 < counts[1] < 140 and counts[2] == 0


def test_zeros_that_come_are_masked_but_may_return() -> None:
    found = made(of(0.0, 2.0), Surgery(deviations=0.0))
    assert found.mask.flatten().tolist() == [False, True]
    found.update(of(9.0, 2.0))
    assert found.mask.flatten().tolist() == [True, True]


def test_a_layer_of_zeros_stays_a_layer_of_zeros() -> None:
    weight = of(0.0, 0.0)
    assert not made(weight, Surgery())(weight).any()
