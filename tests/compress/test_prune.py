"""Magnitude pruning."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgen.compress.evidence import Divergence, Evidence
from dcgen.compress.prune import SCAN, Scan, magnitude, prune, scan
from dcgen.ir.graph import Clip, Graph, Input, Node, Weight
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


@pytest.fixture(scope="module")
def scanned() -> tuple[Evidence, Scan]:
    pictures = np.random.default_rng(0).normal(size=(8, 1, 8, 8)).astype(np.float32)
    evidence = evidence_for(_graph(), measure=pictures, held_out=pictures)
    return evidence, scan(_graph(), evidence)


def test_a_stricter_scan_keeps_more(scanned):
    strict, loose = (scanned[1].densities(loss) for loss in (1e-4, 1e-1))
    assert all(strict[n] >= loose[n] for n in strict)
    assert sum(strict.values()) > sum(loose.values())


def test_a_density_of_the_scan_costs_what_the_scan_says(scanned):
    """At the scan's own densities exactly, between two of them about."""
    evidence, found = scanned
    divergence = Divergence(_graph(), evidence.held_out, evidence.metric)
    values = _graph().by_name["b"].op.weight.values
    exact = found.losses["b"][6]
    assert found.densities(exact)["b"] == pytest.approx(SCAN[6])
    for limit in (exact, 1.3 * exact, 3 * exact):
        pruned = Weight(magnitude(values, found.densities(limit)["b"]))
        assert divergence({"b": pruned}) == pytest.approx(limit, rel=0.3)


def test_beyond_what_was_scanned_the_last_density_stays(scanned):
    _, found = scanned
    assert set(found.densities(0.0).values()) == {1.0}
    last = {name: SCAN[len(losses) - 1] for name, losses in found.losses.items()}
    assert found.densities(1e9) == last


def test_of_losses_that_scatter_the_lowest_density_counts_that_costs_no_more():
    found = Scan({"a": (0.0, 0.2, 0.1, 0.4)})  # at densities 1, .9, .8 and .7
    assert [found.densities(limit)["a"] for limit in (0.0, 0.1, 0.4, 9.0)] == pytest.approx([1.0, 0.8, 0.7, 0.7])
    assert found.densities(0.05)["a"] == pytest.approx(0.9) and found.densities(0.2)["a"] < 0.8
    assert Scan({"a": (0.0, 0.0, 0.1)}).densities(0.0) == {"a": 0.9}  # what costs nothing is pruned
