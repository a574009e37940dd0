"""The default recipe meets its goals on held-out pictures, keeps its constraints, and is repeatable."""

from dataclasses import replace

import numpy as np
import pytest

from dcgen.compress import secondorder
from dcgen.compress.recipes import recipe
from dcgen.compress.uniform import grid, levels_of
from dcgen.errors import ConfigError
from dcgen.ir.graph import Weight
from tests.compress.nets import bits, density, evidence, net

RNG = np.random.default_rng(0)


def compressed(**settings):
    return recipe("second-order", settings).apply(net(), evidence())


def test_a_divergence_is_met_on_held_out_pictures_and_a_looser_one_costs_fewer_bits():
    seen, sizes = evidence(), []
    for goal in (1e-3, 1e-2):
        found = compressed(max_kl=goal)
        assert seen.trial(found).mean_kl <= goal
        sizes.append(bits(found))
    assert sizes[1] < 0.8 * sizes[0]


def test_a_size_is_met_and_nearly_used():
    seen = evidence()
    found = compressed(max_bytes=1800)
    assert 1600 < seen.trial(found).blob_bytes <= 1800


def test_it_is_far_smaller_than_rounding_to_nearest_at_the_same_divergence():
    """Levels by second-order error and rate need less than three quarters of the bits."""
    g, seen = net(), evidence()
    step = 0.1
    rounded = g.with_weights({n.name: Weight.of(grid(c.weight.values, step)) for n, c in g.convs()})
    found = compressed(max_kl=seen.trial(rounded).mean_kl)
    assert bits(found) < 0.75 * bits(rounded)


def test_constraints_are_kept():
    sparse = compressed(density=0.1)
    assert 0.08 < density(sparse) <= 0.1
    capped = compressed(levels=8, max_kl=0.05)
    assert max(len(c.weight.levels.codebook) for _, c in capped.convs()) <= 8
    mirrored = compressed(levels=8, symmetric=True, max_kl=0.05)
    for _, c in mirrored.convs():
        book = c.weight.levels.codebook
        assert len(book) <= 7
        np.testing.assert_allclose(np.sort(book), np.sort(-book))


@pytest.mark.parametrize("even", [False, True])
def test_mirror_images_count_where_they_look_the_same_to_the_network(even, monkeypatch):
    # The noise and its mirror image have the same class in 11 of 12 cases.
    monkeypatch.setattr(secondorder, "MIRROR_ALIKE", 0.95)
    reports, walked = {}, []
    seen = evidence(tell=reports.__setitem__)
    if even:
        seen = replace(seen, held_out=(seen.held_out + seen.held_out[..., ::-1]) / 2)
    walk = secondorder.Walk
    monkeypatch.setattr(secondorder, "Walk", lambda *a, **k: walked.append(walk(*a, **k)) or walked[-1])
    recipe("second-order", {"max_bytes": 1800}).apply(net(), seen)
    mirrored = reports["mirrored"]
    assert mirrored["measured"] == (mirrored["agreement"] >= secondorder.MIRROR_ALIKE) == even
    assert walked[0].count == 24  # sensitivities are measured without them
    assert {w.count for w in walked[1:]} == {48 if even else 24}


def test_what_a_weight_costs_on_the_target_makes_that_layer_sparser():
    plain = recipe("second-order", {"max_kl": 0.01}).apply(net(), evidence())
    found = recipe("second-order", {"max_kl": 0.01}).apply(net(), evidence(work={"a": 20.0}, weighed=True))

    def nonzeros(g):
        return np.count_nonzero(g.by_name["a"].op.weight.values)

    assert nonzeros(found) < 0.9 * nonzeros(plain)
    assert evidence().trial(found).mean_kl <= 0.01


def test_zeros_of_a_pruned_layer_stay():
    g = net()
    values = g.by_name["b"].op.weight.values.copy()
    values[np.abs(values) < np.median(np.abs(values))] = 0
    g = g.with_weights({"b": Weight(values)})
    found = recipe("second-order", {"max_kl": 1e-3}).apply(g, evidence(g))
    assert not found.by_name["b"].op.weight.values[values == 0].any()


def test_the_same_evidence_gives_the_same_levels():
    one, two = (compressed(max_kl=5e-3) for _ in range(2))
    for (_, a), (_, b) in zip(one.convs(), two.convs(), strict=True):
        np.testing.assert_array_equal(a.weight.values, b.weight.values)
        np.testing.assert_array_equal(a.bias, b.bias)


def test_goals_out_of_reach_say_what_was_reached():
    with pytest.raises(ConfigError, match=r"max_bytes: 1 cannot be met, .* was reached with .* bytes"):
        compressed(max_bytes=1)
    with pytest.raises(ConfigError, match="max_kl: 1e-09 cannot be met"):
        compressed(max_kl=1e-9)
    with pytest.raises(ConfigError, match="max_bytes: and max_kl are both goals"):
        compressed(max_kl=0.1, max_bytes=1000)
    with pytest.raises(ConfigError, match="max_top1_drop: needs labels of the calibration pictures"):
        compressed(max_top1_drop=1.0)


def test_a_grid_rounds_to_nearest_and_is_exact_about_its_step():
    w = RNG.normal(size=(4, 2, 3, 3)).astype(np.float32)
    levels = grid(w, 0.05)
    assert levels.step == 0.05 and levels.codebook[0] == 0
    assert np.abs(w - levels.codebook[levels.indices]).max() <= 0.025 + 1e-9
    assert np.abs(grid(w, 1e-4).codebook / 1e-4).max() <= 127.5


def test_levels_of_extreme_integers():
    q = np.array([[-32767, 0], [32767, 5]], np.int32)
    levels = levels_of(q, 0.5)
    np.testing.assert_array_equal(levels.codebook[levels.indices], q * 0.5)
