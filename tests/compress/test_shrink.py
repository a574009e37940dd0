"""Channels that make no difference are removed, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.compress.fold import canonical
from dcgen.compress.share import share
from dcgen.compress.shrink import removed_channels, shrunk
from dcgen.compress.uniform import grid, levels_of
from dcgen.errors import UnsupportedError
from dcgen.ir.graph import (
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Conv,
    Flatten,
    Function,
    GlobalAvgPool,
    Graph,
    Input,
    MaxPool,
    Node,
    Op,
    Pad,
    Pairwise,
    Select,
    Step,
    Upsample,
    Weight,
)
from dcgen.ir.runner import FloatRunner
from dcgen.ir.verify import verify
from dcgen.pictures import explicit
from tests.graphs import conv, graphs

RNG = np.random.default_rng(19)
PRE = explicit("bgr", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "squash", None, 6)


def net(*nodes: Node, outputs: tuple[str, ...] = (), channels: int = 3) -> Graph:
    return verify(Graph("net", (Input("x", (channels, 6, 6)),), nodes, outputs or (nodes[-1].name,)))


def some(out: int, inp: int, size: int = 3, *, filters=(), inputs=(), bias=None, **more) -> Conv:
    """A convolution, of which some filters, and the weights for some inputs, are zero; ``bias`` is that of these
    filters."""
    made = conv(RNG, out, inp, (size, size), **more)
    weight, biases = made.weight.values.copy(), made.bias.copy()
    weight[list(filters)] = 0
    weight[:, list(inputs)] = 0
    if bias is not None:
        biases[list(filters)] = bias
    return replace(made, weight=Weight(weight), bias=biases)


def same(before: Graph) -> Graph:
    """The graph without the channels; it computes the same, has the same nodes, and nothing more can go."""
    after = shrunk(before)
    x = RNG.normal(size=(3, *before.inputs[0].shape)).astype(np.float32)
    expected, found = (FloatRunner(g).run(x) for g in (before, after))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert [n.name for n in after.nodes] == [n.name for n in before.nodes]
    assert [after.shapes[o] for o in after.outputs] == [before.shapes[o] for o in before.outputs]
    assert shrunk(after) is after
    return after


def channels(graph: Graph) -> dict[str, int]:
    return {name: shape[0] for name, shape in graph.shapes.items() if name != "x"}


def test_a_filter_without_weights_goes_into_the_biases_behind_it() -> None:
    before = net(
        Node("a", some(4, 3, filters=[1, 2], bias=[0.5, -0.5]), ("x",)),
        Node("r", Clip(), ("a",)),
        Node("b", conv(RNG, 5, 4, (3, 3)), ("r",)),
    )
    after = same(before)
    assert channels(after) == {"a": 2, "r": 2, "b": 5}
    weights, change = (
        before.by_name["b"].op.weight.values,
        after.by_name["b"].op.bias - before.by_name["b"].op.bias,
    )
    np.testing.assert_allclose(change, 0.5 * weights[:, 1].sum((1, 2)), rtol=1e-5)
    assert removed_channels(before, after) == {"a": 2, "b": 0}


def test_what_no_weight_reads_goes_with_all_that_only_it_needs() -> None:
    before = net(
        Node("a", conv(RNG, 4, 3, (1, 1)), ("x",)),
        Node("b", some(5, 4, inputs=[3]), ("a",)),
        Node("c", some(2, 5, 1, inputs=[0, 4]), ("b",)),
    )
    assert channels(same(before)) == {"a": 3, "b": 3, "c": 2}


def test_a_constant_stays_where_padding_would_make_a_difference() -> None:
    def found(bias: float) -> dict[str, int]:
        a = some(4, 3, 1, filters=[2], bias=bias)
        return channels(same(net(Node("a", a, ("x",)), Node("b", conv(RNG, 2, 4, (3, 3), pads=(1,) * 4), ("a",)))))

    assert found(0.25) == {"a": 4, "b": 2}
    assert found(0.0) == {"a": 3, "b": 2}


def test_a_plane_that_a_fully_connected_layer_reads_goes_with_all_its_weights() -> None:
    before = net(
        Node("a", some(4, 3, filters=[0], bias=0.5), ("x",)),
        Node("m", MaxPool((2, 2), (2, 2)), ("a",)),
        Node("f", Flatten(), ("m",)),
        Node("g", conv(RNG, 10, 4 * 2 * 2, (1, 1)), ("f",)),
    )
    after = same(canonical(before, PRE))
    assert after.by_name["g"].op.weight.values.shape == (10, 3, 2, 2)


@pytest.mark.parametrize(
    "between",
    [
        Clip(),
        Function((Step("Sigmoid"),)),
        MaxPool((2, 2), (1, 1), (1, 1, 0, 0)),
        AvgPool((2, 2), (1, 1), (1, 1, 0, 0)),
        GlobalAvgPool(),
        Pad((1, 1, 1, 1), edge=True),
        Pad((1, 1, 1, 1), 0.5),
        Upsample((2, 2), 4, (1, 0)),
        Select((3, 0, 1, 2)),
    ],
    ids=lambda op: type(op).__name__,
)
def test_a_constant_goes_through_what_treats_channels_alike(between: Op) -> None:
    before = net(
        Node("a", some(4, 3, filters=[1], bias=0.5), ("x",)),
        Node("o", between, ("a",)),
        Node("b", conv(RNG, 2, 4, (1, 1)), ("o",)),
    )
    assert channels(same(before)) == {"a": 3, "o": 3, "b": 2}


def test_an_average_with_padding_makes_no_constant_but_of_zero() -> None:
    def found(bias: float) -> int:
        pool = AvgPool((2, 2), (1, 1), (1, 1, 0, 0), count_include_pad=True)
        a = some(4, 3, filters=[1], bias=bias)
        nodes = Node("a", a, ("x",)), Node("p", pool, ("a",)), Node("b", conv(RNG, 2, 4, (1, 1)), ("p",))
        return channels(same(net(*nodes)))["p"]

    assert (found(0.5), found(0.0)) == (4, 3)


def test_tensors_that_are_added_lose_a_channel_together() -> None:
    """Channel 0 is constant in both terms, channel 1 in one of them."""
    before = net(
        Node("a", some(4, 3, filters=[0, 1], bias=0.5), ("x",)),
        Node("b", some(4, 3, filters=[0], bias=0.25), ("x",)),
        Node("s", Add(), ("a", "b")),
        Node("c", conv(RNG, 2, 4, (1, 1)), ("s",)),
    )
    assert channels(same(before)) == {"a": 3, "b": 3, "s": 3, "c": 2}


def test_a_gate_loses_the_channels_of_what_it_multiplies() -> None:
    before = net(
        Node("a", some(4, 3), ("x",)),
        Node("p", GlobalAvgPool(), ("a",)),
        Node("g", conv(RNG, 4, 4, (1, 1)), ("p",)),
        Node("m", Pairwise("Mul"), ("a", "g")),
        Node("c", some(2, 4, 1, inputs=[1]), ("m",)),
    )
    assert channels(same(before))["g"] == 4  # the gate's own convolution reads channel 1
    quiet = replace(before.by_name["g"].op, weight=some(4, 4, 1, inputs=[1]).weight)
    assert channels(same(before.with_weights({"g": quiet.weight}))) == {"a": 3, "p": 3, "g": 3, "m": 3, "c": 2}


def test_parts_of_a_concat_lose_channels_of_their_own() -> None:
    before = net(
        Node("a", some(2, 3, filters=[1]), ("x",)),
        Node("b", conv(RNG, 3, 3, (3, 3)), ("x",)),
        Node("j", Concat(), ("a", "b")),
        Node("c", some(2, 5, 1, inputs=[2]), ("j",)),
    )
    assert channels(same(before)) == {"a": 1, "b": 2, "j": 3, "c": 2}


def test_a_depthwise_convolution_loses_channels_with_its_input() -> None:
    depthwise = conv(RNG, 4, 4, (3, 3), groups=4, pads=(1,) * 4)
    before = net(
        Node("a", some(4, 3, 1, filters=[0], bias=0.0), ("x",)),
        Node("d", depthwise, ("a",)),
        Node("c", some(2, 4, 1, inputs=[2]), ("d",)),
    )
    after = same(before)
    assert channels(after) == {"a": 2, "d": 2, "c": 2} and after.by_name["d"].op.groups == 2


def test_a_convolution_of_groups_loses_a_group_as_a_whole() -> None:
    def found(*unread: int) -> tuple[int, int]:
        nodes = Node("a", conv(RNG, 4, 3, (1, 1)), ("x",)), Node("g", conv(RNG, 6, 4, (1, 1), groups=2), ("a",))
        after = same(net(*nodes, Node("c", some(2, 6, 1, inputs=unread), ("g",))))
        return channels(after)["a"], channels(after)["g"]

    assert found(0, 1) == (4, 6)
    assert found(0, 1, 2) == (2, 3)


def test_pixels_of_a_block_go_together() -> None:
    before = net(
        Node("a", conv(RNG, 12, 3, (1, 1)), ("x",)),
        Node("u", Upsample((2, 2), 3), ("a",)),
        Node("c", some(2, 3, 1, inputs=[1]), ("u",)),
    )
    assert channels(same(before)) == {"a": 8, "u": 2, "c": 2}


def test_outputs_keep_their_channels_and_every_tensor_one() -> None:
    empty = some(4, 3, filters=range(4))
    before = net(
        Node("a", empty, ("x",)),
        Node("b", conv(RNG, 3, 4, (1, 1)), ("a",)),
        Node("c", empty, ("x",)),
        Node("d", some(2, 4, inputs=range(4)), ("c",)),
        outputs=("b", "d"),
    )
    assert channels(same(before)) == {"a": 1, "b": 3, "c": 1, "d": 2}


def test_a_filter_that_is_kept_for_its_node_alone_has_no_weights() -> None:
    before = net(Node("a", conv(RNG, 4, 3, (3, 3)), ("x",)), Node("b", some(2, 4, inputs=range(4)), ("a",)))
    after = same(before)
    assert channels(after) == {"a": 1, "b": 2} and not after.by_name["a"].op.weight.values.any()


def test_a_network_without_such_channels_is_the_same_object() -> None:
    before = net(Node("a", conv(RNG, 4, 3, (3, 3)), ("x",)), Node("b", conv(RNG, 2, 4, (1, 1)), ("a",)))
    assert shrunk(before) is before


def test_levels_lose_what_only_removed_filters_had() -> None:
    integers = np.array([[1, 2, 0], [0, 0, 0], [3, -1, 1], [5, 5, 5]], np.int16).reshape(4, 3, 1, 1)
    reads = levels_of(np.array([[1, 1, 2, 0]], np.int16).reshape(1, 4, 1, 1), 0.5)

    def book(symmetric: bool, scale: np.ndarray | None = None) -> list[float]:
        levels = replace(levels_of(integers, 0.25, symmetric), channel_scale=scale)
        a, b = (Conv(Weight.of(x), np.zeros(len(x.indices), np.float32)) for x in (levels, reads))
        after = same(net(Node("a", a, ("x",)), Node("b", b, ("a",))))
        found = after.by_name["a"].op.weight.levels
        assert found.step == 0.25 and found.indices.shape == (2, 3, 1, 1)
        assert scale is None or found.channel_scale.tolist() == [1.0, 3.0]
        return (found.codebook / 0.25).tolist()

    assert book(symmetric=False) == [0, -1, 1, 2, 3]
    assert book(symmetric=True) == [0, -3, -2, -1, 1, 2, 3]
    assert book(symmetric=False, scale=np.array([1.0, 2.0, 3.0, 4.0])) == [0, -1, 1, 2, 3]


def test_an_operator_that_no_canonical_graph_has_is_refused() -> None:
    affine = Affine(np.ones(3, np.float32), np.ones(3, np.float32))
    with pytest.raises(UnsupportedError, match="s: Affine cannot lose channels"):
        shrunk(net(Node("s", affine, ("x",))))


@st.composite
def sparse_graphs(draw):
    """A canonical graph in which half of the filters and inputs of convolutions are zero, some with levels."""
    graph = canonical(draw(graphs(max_nodes=8)), PRE)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["raw", "grid", "shared"]))
    weights, biases = {}, {}
    for node, op in graph.convs():
        values, bias = op.weight.values.copy(), op.bias.copy()
        rows, columns = (rng.random(n) < 0.5 for n in values.shape[:2])
        values[rows] = 0
        if op.groups == 1:
            values[:, columns] = 0
        bias[rows & (rng.random(len(bias)) < 0.5)] = 0
        step = float(np.abs(values).max()) / 20 or 1.0
        shared = share(values, 4, "linear", rng) if values.any() and kind == "shared" else grid(values, step)
        weights[node.name] = Weight(values) if kind == "raw" else Weight.of(shared)
        biases[node.name] = bias
    return verify(graph.with_weights(weights, biases))


@settings(max_examples=150)
@given(sparse_graphs())
def test_any_network_computes_the_same_without_channels_that_make_no_difference(before: Graph) -> None:
    after = same(before)
    assert min(removed_channels(before, after).values(), default=0) >= 0
    nonzeros = [sum(np.count_nonzero(op.weight.values) for _, op in g.convs()) for g in (before, after)]
    assert nonzeros[1] <= nonzeros[0]


@settings(max_examples=50)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_in_a_chain_of_convolutions_each_filter_that_is_left_counts(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes, shape, emptied = [], 3, 0
    for number, size in enumerate(sizes):
        empty = np.flatnonzero(rng.random(size) < 0.4) if number < len(sizes) - 1 else []
        emptied += min(len(empty), size - 1)
        nodes.append(
            Node(f"c{number}", some(size, shape, 1, filters=empty), (f"r{number - 1}" if number else "x",))
        )
        nodes.append(Node(f"r{number}", Clip(-1.0, 1.0), (f"c{number}",)))
        shape = size
    before = net(*nodes)
    after = same(before)
    assert sum(removed_channels(before, after).values()) >= emptied
    convs = [op.weight.values for _, op in after.convs()]
    for made, read in pairwise(convs):
        assert len(made) == 1 or (made.any((1, 2, 3)).all() and read.any((0, 2, 3)).all())
