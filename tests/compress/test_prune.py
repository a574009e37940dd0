"""Magnitude pruning."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dcgen.compress.prune import magnitude, prune, scan
from dcgen.ir.graph import Clip, Graph, Input, Node
from tests.compress.nets import evidence as evidence_for
from tests.graphs import conv


@given(st.floats(0, 1), st.integers(0, 100))
def test_pruning_keeps_exactly_the_largest_weights(density, seed):
    w = np.random.default_rng(seed).choice([-2, -1, 1, 2], (4, 3, 2, 2)).astype(np.float32)
    pruned = magnitude(w, density)
    kept = pruned != 0
    assert kept.sum() == round(density * w.size)
    np.testing.assert_array_equal(pruned[kept], w[kept])
    if kept.any() and not kept.all():
        assert np.abs(w[kept]).min() >= np.abs(w[~kept]).max()


def _graph() -> Graph:
    rng = np.random.default_rng(0)
    nodes = (
        Node("a", conv(rng, 8, 1, (3, 3)), ("x",)),
        Node("r", Clip(), ("a",)),
        Node("b", conv(rng, 10, 8, (6, 6)), ("r",)),
    )
    return Graph("g", (Input("x", (1, 8, 8)),), nodes, ("b",))


def test_only_named_layers_are_pruned():
    found = {n.name: float((c.weight.values != 0).mean()) for n, c in prune(_graph(), {"b": 0.25}).convs()}
    assert found == {"a": 1.0, "b": 0.25}


def test_a_stricter_scan_keeps_more():
    pictures = np.random.default_rng(0).normal(size=(8, 1, 8, 8)).astype(np.float32)
    evidence = evidence_for(_graph(), measure=pictures, held_out=pictures)
    strict, loose = (scan(_graph(), evidence, kl) for kl in (1e-4, 1e-1))
    assert all(strict[n] >= loose[n] for n in strict)
    assert sum(strict.values()) > sum(loose.values())
