"""Weight sharing with trained centroids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dcgen.compress.share import Init, share
from dcgen.methods.method import Given
from dcgen.methods.sharing import Clustered, Sharing


def made(weight: Tensor, method: Sharing, fully_connected: bool = True) -> Clustered:
    found = method.parametrization(Given(weight, fully_connected))
    assert isinstance(found, Clustered)
    return found


def drawn(*shape: int, density: float = 1.0) -> Tensor:
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape) * (rng.random(shape) < density)
    return torch.from_numpy(values.astype(np.float32))


@pytest.mark.parametrize("start", ["linear", "density", "forgy"])
def test_it_begins_with_the_centroids_of_k_means(start: Init) -> None:
    weight = drawn(10, 20, 1, 1, density=0.5)
    wanted = share(weight.numpy(), 4, start, np.random.default_rng(3)).values()
    assert np.array_equal(made(weight, Sharing(bits_fc=4, start=start, seed=3))(weight).detach().numpy(), wanted)


def test_the_gradient_of_a_centroid_is_the_sum_over_its_cluster() -> None:
    weight = torch.tensor([1.0, 1.0, 5.0, 0.0, 5.0, 5.0])[:, None, None, None]
    found = made(weight, Sharing(bits_fc=2))
    gradients = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])[:, None, None, None]
    (found(weight) * gradients).sum().backward()
    assert found.codebook.tolist() == [1.0, 5.0]
    assert found.codebook.grad is not None and found.codebook.grad.tolist() == [3.0, 52.0]


@given(bits=st.integers(2, 8), density=st.floats(0.0, 1.0), moved=st.integers(0, 9))
def test_zeros_stay_zero_and_levels_are_at_most_two_to_the_bits(bits: int, density: float, moved: int) -> None:
    weight = drawn(6, 7, 3, 3, density=density)
    found = made(weight, Sharing(bits_fc=bits))
    with torch.no_grad():
        found.codebook += torch.randn(found.codebook.shape, generator=torch.Generator().manual_seed(moved))
    values, levels = found(weight).detach(), found.levels(weight)
    assert not values[weight == 0].any()
    assert len(levels.codebook) <= 2**bits
    assert np.array_equal(levels.values(), values.numpy())


def test_convolutions_and_fully_connected_layers_have_bits_of_their_own() -> None:
    weight, method = drawn(30, 30, 1, 1), Sharing(bits_conv=6, bits_fc=3, start="density")
    assert len(made(weight, method, fully_connected=True).codebook) == 7
    assert len(made(weight, method, fully_connected=False).codebook) == 63


def test_clusters_of_an_earlier_stage_are_kept() -> None:
    weight = torch.tensor([0.0, 0.125, -3.0, 0.125, 2.5, 0.25])[:, None, None, None]
    assert torch.equal(made(weight, Sharing(bits_fc=3))(weight), weight)


def test_a_centroid_that_reaches_another_or_zero_shares_its_level() -> None:
    weight = torch.tensor([1.0, 2.0, 3.0])[:, None, None, None]
    found = made(weight, Sharing(bits_fc=2))
    with torch.no_grad():
        found.codebook.copy_(torch.tensor([0.0, 2.0, 2.0]))
    levels = found.levels(weight)
    assert levels.codebook.tolist() == [0.0, 2.0] and levels.indices.flatten().tolist() == [0, 1, 1]
