"""The divergence of networks with other weights from the float network."""

import numpy as np
import pytest

from dcgen.compress.evidence import Divergence
from dcgen.errors import NumericError
from dcgen.ir.graph import Clip, Concat, GlobalAvgPool, Graph, Input, Node, Weight
from dcgen.metric import Classes
from tests.compress.nets import net
from tests.graphs import conv


def fire() -> Graph:
    """Two convolutions that read the same tensor, and one that reads both."""
    rng = np.random.default_rng(2)
    nodes = (
        Node("squeeze", conv(rng, 4, 3, (1, 1)), ("x",)),
        Node("one", conv(rng, 8, 4, (1, 1)), ("squeeze",)),
        Node("three", conv(rng, 8, 4, (3, 3), pads=(1, 1, 1, 1)), ("squeeze",)),
        Node("both", Concat(), ("one", "three")),
        Node("r", Clip(), ("both",)),
        Node("head", conv(rng, 10, 16, (1, 1)), ("r",)),
        Node("p", GlobalAvgPool(), ("head",)),
    )
    return Graph("fire", (Input("x", (3, 8, 8)),), nodes, ("p",))


@pytest.mark.parametrize("graph", [net(), fire()], ids=lambda g: g.name)
def test_the_divergence_is_the_same_where_what_lies_before_a_layer_is_not_computed_again(graph) -> None:
    x = np.random.default_rng(3).normal(size=(10, *graph.inputs[0].shape)).astype(np.float32)
    whole, advancing = (Divergence(graph, x, Classes()) for _ in range(2))
    for node, op in graph.convs():
        advancing.advance(node.name)
        weights = {node.name: Weight(np.round(op.weight.values, 1))}
        biases = {node.name: op.bias + np.float32(0.01)}
        moved = whole(weights, biases)
        assert moved > 0
        assert advancing(weights, biases) == pytest.approx(moved, rel=1e-3)


def test_scores_that_are_not_finite_are_refused() -> None:
    graph = net()
    with pytest.raises(NumericError, match="not finite"):
        Divergence(graph, np.full((2, *graph.inputs[0].shape), np.inf, np.float32), Classes())
