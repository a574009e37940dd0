"""Where selections of channels go: into weights wherever a convolution can take them over."""

from __future__ import annotations

import numpy as np
import pytest

from dcgen.compress.selections import fold_selections
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import (
    AvgPool,
    Clip,
    Concat,
    Conv,
    Function,
    GlobalAvgPool,
    Graph,
    Input,
    MaxPool,
    Node,
    Op,
    Select,
    Step,
)
from dcgen.ir.verify import verify
from tests.graphs import conv

RNG = np.random.default_rng(5)
SHUFFLE = Select((0, 3, 1, 4, 2, 5))


def folded(*nodes: Node, outputs: tuple[str, ...] = ()) -> Graph:
    """The nodes on an input of 6 channels without what can be folded; it computes the same."""
    before = Graph("net", (Input("x", (6, 5, 4)),), nodes, outputs or (nodes[-1].name,))
    after = verify(fold_selections(before))
    x = RNG.normal(size=(2, 6, 5, 4))
    expected, found = (evaluate(g, {"x": x}) for g in (before, after))
    for one, other in zip(before.outputs, after.outputs, strict=True):
        np.testing.assert_allclose(found[other], expected[one], rtol=1e-5, atol=1e-6)
    return after


def kinds(graph: Graph) -> list[type[Op]]:
    return [type(n.op) for n in graph.nodes]


def test_a_split_reads_its_half_of_the_channels_by_the_weights_behind_it() -> None:
    found = folded(Node("s", Select((3, 4, 5)), ("x",)), Node("c", conv(RNG, 2, 3, (3, 3), pads=(1,) * 4), ("s",)))
    assert kinds(found) == [Conv]
    weight = found.nodes[0].op.weight.values
    assert weight.shape == (2, 6, 3, 3) and not weight[:, :3].any()


def test_a_channel_that_is_taken_twice_has_the_sum_of_the_weights() -> None:
    assert kinds(folded(Node("s", Select((1, 1)), ("x",)), Node("c", conv(RNG, 2, 2, (1, 1)), ("s",)))) == [Conv]


def test_a_shuffle_behind_a_convolution_is_the_order_of_its_filters() -> None:
    nodes = [Node("c", conv(RNG, 6, 6, (1, 1)), ("x",)), Node("r", Clip(), ("c",))]
    nodes += [Node("f", Function((Step("Tanh"),)), ("r",)), Node("s", SHUFFLE, ("f",))]
    assert kinds(folded(*nodes, Node("m", MaxPool((2, 2), (2, 2)), ("s",)))) == [Conv, Clip, Function, MaxPool]


@pytest.mark.parametrize(
    "between",
    [Clip(), Function((Step("Tanh"),)), MaxPool((2, 2), (1, 1)), AvgPool((2, 2), (1, 1)), GlobalAvgPool()],
    ids=lambda op: type(op).__name__,
)
def test_a_shuffle_goes_through_what_treats_channels_alike(between: Op) -> None:
    nodes = Node("s", SHUFFLE, ("x",)), Node("b", between, ("s",)), Node("c", conv(RNG, 2, 6, (1, 1)), ("b",))
    assert kinds(folded(*nodes)) == [type(between), Conv]


def test_a_shuffle_goes_through_a_depthwise_convolution() -> None:
    """A unit of ShuffleNet, whose last convolution has groups: what they read is copied."""
    shuffled = Node("s", SHUFFLE, ("x",)), Node("d", conv(RNG, 6, 6, (3, 3), groups=6), ("s",))
    assert kinds(folded(*shuffled, Node("c", conv(RNG, 2, 6, (1, 1)), ("d",)))) == [Conv, Conv]
    assert kinds(folded(*shuffled, Node("c", conv(RNG, 2, 6, (1, 1), groups=2), ("d",)))) == [Conv, Select, Conv]


def test_of_a_shuffle_and_a_split_one_half_is_copied_where_no_convolution_reads_it() -> None:
    """A unit of ShuffleNet v2."""
    nodes = [
        Node("s", SHUFFLE, ("x",)),
        Node("a", Select((0, 1, 2)), ("s",)),
        Node("b", Select((3, 4, 5)), ("s",)),
    ]
    nodes += [Node("c", conv(RNG, 3, 3, (1, 1)), ("b",)), Node("j", Concat(), ("a", "c"))]
    found = folded(*nodes)
    assert kinds(found) == [Select, Conv, Concat]
    assert found.nodes[0].op == Select((0, 3, 1)) and found.nodes[1].inputs == ("x",)


def test_what_is_read_otherwise_too_stays() -> None:
    c, s = Node("c", conv(RNG, 6, 6, (1, 1)), ("x",)), Node("s", SHUFFLE, ("c",))
    assert kinds(folded(c, s, outputs=("c", "s"))) == [Conv, Select]
    pools = Node("p", GlobalAvgPool(), ("s",)), Node("m", MaxPool((2, 2), (2, 2)), ("s",))
    nodes = Node("s", SHUFFLE, ("x",)), *pools, Node("d", conv(RNG, 2, 6, (1, 1)), ("s",))
    assert kinds(folded(*nodes, outputs=("p", "m", "d"))) == [Select, GlobalAvgPool, MaxPool, Conv]
