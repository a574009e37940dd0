"""The default recipe meets its goal on held-out pictures and spends bits where they matter."""

import numpy as np
import pytest

from dcgen.compress.balanced import allocate
from dcgen.compress.evidence import Divergence, Evidence
from dcgen.compress.statistics import corrected_bias, input_moments
from dcgen.compress.uniform import entropy_bits, grid, levels_of, rate_curve
from dcgen.errors import ConfigError
from dcgen.fidelity import mean_kl
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import Clip, Conv, GlobalAvgPool, Graph, Input, Node, Weight
from tests.graphs import conv

RNG = np.random.default_rng(0)


def net() -> Graph:
    rng = np.random.default_rng(0)
    nodes = (
        Node("a", conv(rng, 16, 3, (3, 3)), ("x",)),
        Node("ra", Clip(), ("a",)),
        Node("b", conv(rng, 32, 16, (3, 3)), ("ra",)),
        Node("rb", Clip(), ("b",)),
        Node("c", conv(rng, 10, 32, (1, 1)), ("rb",)),
        Node("p", GlobalAvgPool(), ("c",)),
    )
    return Graph("net", (Input("x", (3, 10, 10)),), nodes, ("p",))


def evidence() -> Evidence:
    x = np.random.default_rng(1).normal(size=(24, 3, 10, 10)).astype(np.float32)
    return Evidence(x[:12], x[12:], lambda *_: None)


def _bits(graph: Graph) -> float:
    return sum(entropy_bits(c.weight.levels.indices) for _, c in graph.convs())


def test_the_goal_is_met_on_held_out_pictures_and_a_looser_one_costs_fewer_bits():
    seen = evidence()
    sizes = []
    for goal in (1e-4, 1e-2):
        found = allocate(net(), seen, goal)
        weights = {n.name: c.weight for n, c in found.convs()}
        biases = {n.name: c.bias for n, c in found.convs()}
        assert Divergence(net(), seen.held_out)(weights, biases) <= goal
        sizes.append(_bits(found))
    assert sizes[1] < 0.8 * sizes[0]


def test_the_same_evidence_gives_the_same_levels():
    one, two = (allocate(net(), evidence(), 1e-3) for _ in range(2))
    for (_, a), (_, b) in zip(one.convs(), two.convs(), strict=True):
        np.testing.assert_array_equal(a.weight.values, b.weight.values)
        np.testing.assert_array_equal(a.bias, b.bias)


def test_a_goal_beyond_255_levels_is_refused():
    with pytest.raises(ConfigError, match="max_kl: goal of 1e-12 nats cannot be met"):
        allocate(net(), evidence(), 1e-12)


def test_divergence_is_zero_for_the_network_itself_and_matches_its_definition():
    g, seen = net(), evidence()
    assert Divergence(g, seen.held_out)({}) == 0
    a, b = (RNG.normal(size=(5, 7)).astype(np.float32) for _ in range(2))
    p, q = (np.exp(z) / np.exp(z).sum(1, keepdims=True) for z in (a, b))
    assert mean_kl(a, b) == pytest.approx(float((p * np.log(p / q)).sum(1).mean()), rel=1e-5)


def test_a_corrected_bias_keeps_the_mean_output():
    g, x = net(), evidence().measure
    op = g.by_name["b"].op
    coarse = Weight.of(grid(op.weight.values, 0.2))
    moments = input_moments(g, x)["b"]
    fixed = Conv(coarse, corrected_bias(op, coarse, moments))
    outputs = {}
    for name, other in (("float", op), ("plain", Conv(coarse, op.bias)), ("fixed", fixed)):
        nodes = [Node(n.name, other, n.inputs) if n.name == "b" else n for n in g.nodes]
        outputs[name] = evaluate(g.with_nodes(nodes), {"x": x})["b"].mean((0, 2, 3))
    moved = {k: np.abs(outputs[k] - outputs["float"]).max() for k in ("plain", "fixed")}
    assert moved["fixed"] < 0.3 * moved["plain"]


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


def test_entropy_is_that_of_the_definition():
    assert entropy_bits(np.array([0, 0, 1, 2])) == pytest.approx(4 * 1.5)


def test_coarser_steps_cost_fewer_bits_and_more_error():
    curve = rate_curve(RNG.normal(size=(16, 16, 3, 3)).astype(np.float32), np.ones(16))
    assert (np.diff(curve.bits) <= 1e-6).mean() > 0.95
    assert curve.errors[-1] > 100 * curve.errors[0]
    assert curve.cheapest(1e9) < curve.cheapest(1.0)
