"""K-means weight sharing as in Deep Compression."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgen.compress.share import existing, initial, kmeans, of_channels, share

RNG = np.random.default_rng(0)
W = RNG.laplace(size=(8, 4, 3, 3)).astype(np.float32)


def _error(samples, centroids):
    return float((np.abs(samples[:, None] - centroids).min(1) ** 2).sum())


@pytest.mark.parametrize("init", ["linear", "density", "forgy"])
def test_lloyd_never_worsens_its_start_and_ends_in_a_fixed_point(init):
    x = W.ravel().astype(np.float64)
    start = initial(x, 15, init, np.random.default_rng(1))
    found = kmeans(x, start)
    assert _error(x, found) < _error(x, start)
    nearest = np.abs(x[:, None] - found).argmin(1)
    alive = [k for k in range(15) if (nearest == k).any()]
    np.testing.assert_allclose(found[alive], [x[nearest == k].mean() for k in alive])


def test_starts_are_those_of_the_paper():
    x = np.sort(W.ravel().astype(np.float64))
    linear = initial(x, 5, "linear", RNG)
    np.testing.assert_allclose(np.diff(linear), (x[-1] - x[0]) / 4)
    density = initial(x, 4, "density", RNG)
    np.testing.assert_allclose((x[:, None] < density).mean(0), [0.125, 0.375, 0.625, 0.875], atol=0.01)
    assert np.isin(initial(x, 4, "forgy", np.random.default_rng(3)), x).all()


@given(st.integers(1, 8), st.floats(0, 1))
def test_pruned_weights_stay_zero_and_the_rest_takes_its_nearest_level(bits, density):
    w = W * (np.random.default_rng(0).random(W.shape) < density)
    levels = share(w, bits, "linear", RNG)
    assert len(levels.codebook) <= 2**bits and levels.codebook[0] == 0
    np.testing.assert_array_equal(levels.indices == 0, w == 0)
    others = levels.codebook[1:]
    if len(others):
        distance = np.abs(w[w != 0][:, None].astype(np.float64) - others)
        np.testing.assert_allclose(np.abs(w - levels.values())[w != 0], distance.min(1), atol=1e-6)


def test_existing_levels_are_found_exactly_or_not_at_all():
    levels = share(W, 5, "linear", RNG)
    found = existing(levels.values())
    np.testing.assert_array_equal(found.values(), levels.values())
    assert found.codebook[0] == 0 and len(found.codebook) == len(levels.codebook)
    assert existing(RNG.normal(size=(10, 10, 3, 3)).astype(np.float32)) is None


@given(st.integers(0, 2**32 - 1), st.sampled_from([(-127, 127), (-128, 127), (-40, 215)]))
def test_integers_with_a_scale_for_each_channel_are_found(seed, limits):
    """Of signed integers, and of unsigned ones whose zero point is taken off; a channel may be empty."""
    rng = np.random.default_rng(seed)
    integers = rng.integers(limits[0], limits[1] + 1, (6, 4, 3, 3))
    integers[2] = 0
    scales = rng.uniform(1e-4, 1.0, 6)
    values = integers.astype(np.float32) * scales.astype(np.float32).reshape(-1, 1, 1, 1)
    found = of_channels(values)
    assert found is not None and found.step == 1 and len(found.codebook) <= 256
    np.testing.assert_allclose(found.values(), values, rtol=1e-6)
    full = [o for o in range(6) if np.gcd.reduce(integers[o].ravel()) == 1]
    np.testing.assert_allclose(found.channel_scale[full], scales[full], rtol=1e-6)


def test_real_weights_are_no_integers_of_channels():
    assert of_channels(W) is None
