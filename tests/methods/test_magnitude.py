"""Pruning by magnitude: what is left, and when."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dcgen.methods.magnitude import Magnitude, Pruned, lamp
from dcgen.methods.method import Given


def drawn(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    values = np.random.default_rng(seed).normal(0, scale, shape)
    return torch.from_numpy(values.astype(np.float32))


def pruned(weight: Tensor, method: Magnitude) -> Pruned:
    (made,) = method.parametrizations([Given(weight)])
    assert isinstance(made, Pruned)
    return made


def test_the_largest_weights_are_left_and_keep_their_values() -> None:
    weight = torch.tensor([[0.1, -4.0, 0.3], [2.0, -0.2, 3.0]])[:, :, None, None]
    made = pruned(weight, Magnitude(density=0.5))
    original = weight.clone()
    made.advance(original, 1.0)
    assert made(original).flatten().tolist() == [0.0, -4.0, 0.0, 2.0, 0.0, 3.0]


def test_a_threshold_is_in_deviations_of_the_layer() -> None:
    weights = [drawn(40, 25, 1, 1, seed=i, scale=s) for i, s in enumerate((1.0, 10.0))]
    kept = Magnitude(deviations=1.5).kept(weights)
    assert kept == [int((w.abs() > 1.5 * w.std(correction=0)).sum()) for w in weights]


def test_one_threshold_shares_a_density_out_and_uniform_gives_each_layer_the_same() -> None:
    narrow, wide = drawn(10, 100, 1, 1), 10 * drawn(10, 100, 1, 1, seed=1) ** 3
    kept = Magnitude(density=0.1, spread="deviations").kept([narrow, wide])
    assert sum(kept) == 200
    least, most = [], []  # in deviations, of what is kept and of what is not
    for weight, count in zip((narrow, wide), kept, strict=True):
        sizes = (weight.abs() / weight.std(correction=0)).flatten().sort(descending=True).values
        least.append(sizes[count - 1])
        most.append(sizes[count])
    assert min(least) > max(most)
    assert Magnitude(density=0.1, spread="uniform").kept([narrow, wide]) == [100, 100]


def test_lamp_is_the_share_of_the_weights_that_are_no_smaller() -> None:
    scores = lamp(torch.tensor([[1.0, -4.0], [2.0, 0.0]])[:, :, None, None])
    assert scores.tolist() == pytest.approx([1.0, 4 / 20, 1 / 21, 0.0])


def test_by_lamp_a_small_layer_keeps_more_whatever_the_size_of_its_weights() -> None:
    small, large = drawn(10, 10, 1, 1), 100 * drawn(100, 100, 1, 1)
    kept = Magnitude(density=0.05).kept([small, large])
    assert sum(kept) == 505 and kept[0] > 0.3 * 100
    assert kept == Magnitude(density=0.05).kept([100 * small, large])


@given(
    density=st.floats(0.01, 1.0),
    curve=st.sampled_from(["cubic", "rounds"]),
    until=st.floats(0.0, 1.0),
    zeros=st.integers(0, 60),
)
def test_weights_only_disappear_until_the_density_is_exact(
    density: float, curve: str, until: float, zeros: int
) -> None:
    weight = drawn(10, 10, 1, 1)
    weight.view(-1)[:zeros] = 0
    made = pruned(weight, Magnitude(density=density, curve=curve, until=until, rounds=3))  # type: ignore[arg-type]
    original, before = weight.clone(), weight != 0
    for step in range(21):
        original += 0.1 * drawn(10, 10, 1, 1, seed=step)  # as momentum moves masked weights, too
        made.advance(original, step / 20)
        now = made(original) != 0
        assert not (now & ~before).any()
        before = now
    wanted = max(1, int(density * 100 + 1e-6))
    assert int(before.sum()) == min(wanted, 100 - zeros)


def test_rounds_keep_the_same_share_of_what_is_left() -> None:
    made = pruned(drawn(10, 100, 1, 1), Magnitude(density=0.008, curve="rounds", rounds=3, until=0.9))
    assert [made.wanted(made.method.share(p)) for p in (0.0, 0.29, 0.31, 0.61, 0.9, 1.0)] == [
        200,
        200,
        40,
        8,
        8,
        8,
    ]


def test_the_cubic_curve_is_that_of_the_paper() -> None:
    made = pruned(drawn(10, 100, 1, 1), Magnitude(density=0.2, until=0.5))
    for progress in (0.0, 0.1, 0.25, 0.4):
        sparsity = 0.8 + (0.0 - 0.8) * (1 - progress / 0.5) ** 3
        assert made.wanted(made.method.share(progress)) == pytest.approx(1000 * (1 - sparsity), abs=1)


@pytest.mark.parametrize(("curve", "first"), [("cubic", 0.6), ("rounds", 0.41)])
def test_it_has_arrived_when_nothing_more_is_pruned(curve: str, first: float) -> None:
    method = Magnitude(curve=curve, rounds=3, until=0.6)  # type: ignore[arg-type]
    assert method.arrived(first) and method.arrived(1.0) and not method.arrived(first - 0.05)


def test_no_gradient_reaches_what_is_pruned() -> None:
    weight = drawn(4, 5, 1, 1)
    made = pruned(weight, Magnitude(density=0.5))
    original = weight.clone().requires_grad_()
    with torch.no_grad():
        made.advance(original, 1.0)
    made(original).sum().backward()
    assert original.grad is not None and torch.equal(original.grad != 0, made.mask)


def test_a_layer_keeps_at_least_one_weight() -> None:
    assert Magnitude(deviations=10.0).kept([drawn(2, 2, 1, 1)]) == [1]
