"""Augmented pictures are like pictures, differ from draw to draw, and are repeatable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgen.train.augmentation import augmented, mixed

torch = pytest.importorskip("torch")


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    strength=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_and_strength_gives_finite_pictures_of_the_same_shape(shape, strength, seed):
    x = torch.from_numpy(np.random.default_rng(seed).uniform(-128, 128, shape).astype(np.float32))
    one, two = (augmented(x, np.random.default_rng(seed), strength) for _ in range(2))
    assert one.shape == x.shape and one.dtype == x.dtype and bool(one.isfinite().all())
    assert torch.equal(one, two)


def test_strength_0_changes_nothing_and_1_everything():
    x = torch.from_numpy(np.random.default_rng(0).uniform(-128, 128, (8, 3, 16, 16)).astype(np.float32))
    assert torch.equal(augmented(x, np.random.default_rng(0), 0.0), x)
    rng = np.random.default_rng(0)
    one, two = augmented(x, rng, 1.0), augmented(x, rng, 1.0)
    for a, b, c in zip(x, one, two, strict=True):
        assert not torch.equal(a, b) and not torch.equal(b, c)


def test_mixed_pictures_lie_between_two_and_closer_to_their_own():
    x = torch.eye(8).reshape(8, 1, 8, 1).expand(8, 1, 8, 8).contiguous()
    found = mixed(x, np.random.default_rng(0), 0.5)[:, 0, :, 0].numpy()
    own = np.diag(found)
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-6)
    assert (own >= 0.5).all() and 0 < (own < 1).sum() < 8
    assert torch.equal(mixed(x, np.random.default_rng(0), 0.0), x)


def test_a_small_strength_is_close_to_the_picture_or_its_mirror_image():
    x = torch.linspace(-100, 100, 16).expand(8, 3, 16, 16).contiguous()
    found = augmented(x, np.random.default_rng(0), 0.01)
    near = [[float((f - p).abs().max()) < 8 for p in (a, a.flip(-1))] for f, a in zip(found, x, strict=True)]
    assert all(sum(pair) == 1 for pair in near)
    assert {pair.index(True) for pair in near} == {0, 1}
