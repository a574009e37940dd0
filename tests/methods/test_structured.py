"""Whole channels: what is joined goes together, what is removed is gone from the compiled network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dcgen.compress.joined import FIXED, numbered
from dcgen.compress.shrink import removed_channels, shrunk
from dcgen.ir.graph import Add, Clip, Concat, Graph, Input, MaxPool, Node, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.ir.verify import verify
from dcgen.methods.group_lasso import GroupLasso
from dcgen.methods.method import Method
from dcgen.methods.structured import Filters, Zeros
from dcgen.train.network import GraphNetwork
from tests.graphs import conv

RNG = np.random.default_rng(7)
SAMPLES = RNG.normal(size=(8, 3, 6, 6)).astype(np.float32)


def chain(a: int = 4, b: int = 6) -> Graph:
    """Two hidden layers of so many channels, rectified, and a third that makes the output."""
    nodes = [Node("a", conv(RNG, a, 3, (3, 3), pads=(1,) * 4), ("x",)), Node("ra", Clip(), ("a",))]
    nodes += [Node("p", MaxPool((2, 2), (2, 2)), ("ra",))]
    nodes += [Node("b", conv(RNG, b, a, (3, 3)), ("p",)), Node("rb", Clip(), ("b",))]
    nodes += [Node("c", conv(RNG, 2, b, (1, 1)), ("rb",))]
    return verify(Graph("chain", (Input("x", (3, 6, 6)),), tuple(nodes), ("c",)))


def joined() -> Graph:
    """A residual block of a depthwise convolution, and a Concat behind it."""
    nodes = (
        Node("a", conv(RNG, 4, 3, (1, 1)), ("x",)),
        Node("d", conv(RNG, 4, 4, (3, 3), groups=4, pads=(1,) * 4), ("a",)),
        Node("b", conv(RNG, 4, 4, (1, 1)), ("d",)),
        Node("s", Add(), ("a", "b")),
        Node("r", Clip(), ("s",)),
        Node("e", conv(RNG, 3, 4, (1, 1)), ("r",)),
        Node("j", Concat(), ("r", "e")),
        Node("c", conv(RNG, 2, 7, (1, 1)), ("j",)),
    )
    return verify(Graph("joined", (Input("x", (3, 6, 6)),), nodes, ("c",)))


def with_rows(graph: Graph, name: str, factors: list[float]) -> Graph:
    """The graph with the filters of a convolution multiplied by factors."""
    op = graph.by_name[name].op
    scaled = op.weight.values * np.array(factors, np.float32).reshape(-1, 1, 1, 1)
    return graph.with_weights({name: Weight(scaled)}, {name: op.bias * 0})


def parametrized(graph: Graph, method: Method) -> GraphNetwork:
    network = GraphNetwork(graph)
    network.parametrize(method, SAMPLES)
    return network


def trained(network: GraphNetwork) -> Graph:
    """The network's graph with its weights after some steps in random directions."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.from_numpy(SAMPLES)).square().sum().backward()
        optimizer.step()
    weights = {n: Weight(layer.weight.detach().numpy().copy()) for n, layer in network.named()}
    return network.graph.with_weights(weights, {n: layer.bias.detach().numpy() for n, layer in network.named()})


def left(graph: Graph) -> dict[str, int]:
    """Channels of the convolutions when those that make no difference are gone; the outputs are the same."""
    after = shrunk(graph)
    expected, found = (FloatRunner(g).run(SAMPLES) for g in (graph, after))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    return {node.name: len(op.bias) for node, op in after.convs()}


def test_channels_that_are_joined_have_one_number() -> None:
    numbers = numbered(joined())
    for name in ("d", "b", "s", "r"):
        assert numbers[name].tolist() == numbers["a"].tolist()
    assert numbers["j"].tolist() == [*numbers["a"], *numbers["e"]]
    assert sorted({*numbers["a"], *numbers["e"]}) == list(range(7))
    assert set(numbers["x"]) == set(numbers["c"]) == {FIXED}


def test_the_smallest_filters_go_and_stay_away_while_the_others_learn() -> None:
    graph = with_rows(with_rows(chain(), "a", [1, 0.1, 1, 0.1]), "b", [1, 1, 0.1, 1, 0.1, 0.1])
    after = trained(parametrized(graph, Filters(keep=0.5)))
    assert left(after) == {"a": 2, "b": 3, "c": 2}
    assert after.by_name["a"].op.weight.values.any((1, 2, 3)).tolist() == [True, False, True, False]
    assert (after.by_name["a"].op.weight.values[0] != graph.by_name["a"].op.weight.values[0]).all()


def test_a_removed_channel_is_not_read_so_that_its_bias_does_not_matter() -> None:
    after = trained(parametrized(with_rows(chain(), "a", [1, 0.1, 1, 1]), Filters(keep=0.75)))
    assert not after.by_name["b"].op.weight.values[:, 1].any()


def test_each_stage_removes_its_share_of_what_is_left() -> None:
    graph = chain(a=8, b=8)
    for expected in (4, 2, 1, 1):
        graph = trained(parametrized(graph, Filters(keep=0.5)))
        assert left(graph) == {"a": expected, "b": expected, "c": 2}


def test_joined_channels_go_in_all_layers() -> None:
    graph = joined()
    for name in ("a", "b", "d"):
        graph = with_rows(graph, name, [1, 0.1, 0.1, 1])
    assert left(trained(parametrized(graph, Filters(keep=0.5)))) == {"a": 2, "d": 2, "b": 2, "e": 2, "c": 2}


@pytest.mark.parametrize(("norm", "kept"), [("l1", 1), ("l2", 0)])
def test_norms_differ_in_what_one_large_weight_is_worth(norm: str, kept: int) -> None:
    graph = chain(a=2)
    weight = np.full((2, 3, 3, 3), 0.1, np.float32)
    weight[0] *= 0.01
    weight[0, 0, 0, 0] = 1.0
    network = parametrized(graph.with_weights({"a": Weight(weight)}), Filters(keep=0.5, norm=norm))
    assert np.flatnonzero(trained(network).by_name["a"].op.weight.values.any((1, 2, 3))).tolist() == [kept]


def test_filters_below_a_share_of_the_largest_go() -> None:
    graph = chain()
    op = graph.by_name["a"].op
    unit = op.weight.values / np.linalg.norm(op.weight.values.reshape(4, -1), axis=1).reshape(4, 1, 1, 1)
    graph = with_rows(graph.with_weights({"a": Weight(unit)}), "a", [1.0, 0.05, 0.5, 0.001])
    assert left(trained(parametrized(graph, Filters(below=0.1, norm="l2"))))["a"] == 2


def test_channels_that_are_mostly_zero_go() -> None:
    graph = chain()
    bias = np.array([0.0, -9.0, 0.0, -9.0], np.float32)
    graph = graph.with_weights({}, {"a": bias})
    after = trained(parametrized(graph, Zeros(keep=0.5)))
    assert np.flatnonzero(after.by_name["a"].op.weight.values.any((1, 2, 3))).tolist() == [0, 2]
    one = graph.with_weights({}, {"a": np.array([0.0, -9.0, 0.0, 0.0], np.float32)})
    found = trained(parametrized(one, Zeros(deviations=1.5)))
    assert np.flatnonzero(found.by_name["a"].op.weight.values.any((1, 2, 3))).tolist() == [0, 2, 3]


def test_layers_without_a_rectifier_have_no_zeros_to_count_and_stay_whole() -> None:
    graph = chain()
    nodes = [replace(n, op=Clip(-np.inf, np.inf)) if n.name == "ra" else n for n in graph.nodes]
    assert left(trained(parametrized(graph.with_nodes(nodes), Zeros(keep=0.5)))) == {"a": 4, "b": 3, "c": 2}


def test_the_penalty_is_the_norm_of_what_can_be_removed() -> None:
    """Of the first layer only filters, of the last only what reads channels: inputs and outputs stay."""
    graph = chain()
    network = parametrized(graph, GroupLasso(strength=0.5))
    for (_, layer), groups in zip(network.named(), ((0,), (0, 1), (1,)), strict=True):
        made = layer.parametrizations["weight"][0]
        weight = layer.parametrizations["weight"].original.detach()
        rows = [np.moveaxis(weight.numpy(), g, 0).reshape(weight.shape[g], -1) for g in groups]
        sums = [np.linalg.norm(r, axis=1) for r in rows]
        np.testing.assert_allclose(float(made.penalty(weight)), 0.5, rtol=1e-5)
        np.testing.assert_allclose(1 / made.factor, 2 * np.concatenate(sums).sum(), rtol=1e-5)


def test_with_a_penalty_alone_filters_shrink_and_a_stage_behind_removes_them() -> None:
    graph = with_rows(chain(), "a", [1, 1, 0.05, 0.05])
    network = parametrized(graph, GroupLasso(strength=1.0))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        parts = [layer.parametrizations["weight"] for _, layer in network.named()]
        torch.stack([p[0].penalty(p.original) for p in parts]).sum().backward()
        optimizer.step()
    weights = {n: Weight(layer.weight.detach().numpy().copy()) for n, layer in network.named()}
    assert left(trained(parametrized(graph.with_weights(weights), Filters(below=0.1, norm="l2"))))["a"] == 2


def test_weights_that_were_pruned_stay_zero_under_a_penalty() -> None:
    graph = chain()
    weight = graph.by_name["a"].op.weight.values.copy()
    weight[:, 1] = 0
    after = trained(parametrized(graph.with_weights({"a": Weight(weight)}), GroupLasso()))
    assert not after.by_name["a"].op.weight.values[:, 1].any()


def test_removed_channels_are_counted() -> None:
    graph = trained(parametrized(chain(), Filters(keep=0.5)))
    assert removed_channels(graph, shrunk(graph)) == {"a": 2, "b": 3, "c": 0}
