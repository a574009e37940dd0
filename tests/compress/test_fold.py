"""The structure of canonical graphs. That they compute the same is a property in tests/quant/test_lower.py."""

import numpy as np
import pytest

from dcgen.compress.fold import (
    before_blocks,
    canonical,
    flatten_late,
    fold_affines,
    fold_pads,
    merge_flattens,
    scaled_input,
)
from dcgen.compress.share import share
from dcgen.errors import ConfigError, UnsupportedError
from dcgen.ir.evaluate import evaluate
from dcgen.ir.functions import Step
from dcgen.ir.graph import (
    Add,
    Affine,
    Clip,
    Conv,
    Flatten,
    Function,
    Graph,
    Input,
    MaxPool,
    Node,
    Pad,
    Upsample,
    Weight,
)
from dcgen.pictures import explicit, preset
from tests.graphs import conv

RNG = np.random.default_rng(0)
PRE = explicit("bgr", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "squash", None, 6)


def net(*nodes: Node, out: str = "", channels: int = 3) -> Graph:
    """A graph of these nodes on one input, whose output is ``out`` or the last of them."""
    return Graph("net", (Input("x", (channels, 6, 6)),), nodes, (out or nodes[-1].name,))


def affine(c: int) -> Affine:
    return Affine(RNG.uniform(0.5, 2, c).astype(np.float32), RNG.normal(size=c).astype(np.float32))


def same(before: Graph, after: Graph) -> None:
    """Assert that two graphs compute the same, but for rounding."""
    x = RNG.normal(size=(2, *before.inputs[0].shape)).astype(np.float32)
    outputs = [evaluate(g, {"x": x})[g.outputs[0]].reshape(2, -1) for g in (before, after)]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)


def operators(graph: Graph) -> list[str]:
    return [type(n.op).__name__ for n in graph.nodes]


def test_batch_normalisation_goes_into_the_convolution_before_it():
    g = net(Node("c", conv(RNG, 4, 3, (3, 3)), ("x",)), Node("b", affine(4), ("c",)), Node("r", Clip(), ("b",)))
    found = fold_affines(g)
    assert operators(found) == ["Conv", "Clip"]
    same(g, found)


def test_two_affines_in_a_row_go_into_one_convolution():
    g = net(Node("c", conv(RNG, 4, 3, (3, 3)), ("x",)), Node("b", affine(4), ("c",)), Node("d", affine(4), ("b",)))
    found = fold_affines(g)
    assert operators(found) == ["Conv"] and found.outputs == ("c",)
    same(g, found)


@pytest.mark.parametrize(
    ("pads", "left"), [((0, 0, 0, 0), ["MaxPool", "Conv"]), ((1, 1, 1, 1), ["MaxPool", "Conv", "Conv"])]
)
def test_an_affine_goes_into_the_convolution_behind_it_only_if_that_does_not_pad(pads, left):
    g = net(
        Node("p", MaxPool((2, 2), (1, 1)), ("x",)),
        Node("b", affine(3), ("p",)),
        Node("c", conv(RNG, 4, 3, (2, 2), pads=pads), ("b",)),
    )
    found = fold_affines(g)
    assert operators(found) == left
    same(g, found)


def test_levels_that_an_affine_is_merged_into_keep_their_codebook_and_get_a_factor_for_each_channel():
    op = conv(RNG, 4, 3, (3, 3))
    levels = share(op.weight.values, 4, "linear", RNG)
    g = net(Node("c", Conv(Weight.of(levels), op.bias), ("x",)), Node("b", affine(4), ("c",)))
    found = fold_affines(g)
    kept = found.by_name["c"].op.weight.levels
    np.testing.assert_array_equal(kept.codebook, levels.codebook)
    assert kept.channel_scale.shape == (4,)
    same(g, found)


def test_zero_padding_goes_into_convolutions_and_stays_elsewhere():
    pad = Node("p", Pad((1, 0, 2, 1)), ("x",))
    g = net(pad, Node("c", conv(RNG, 2, 3, (3, 3), pads=(0, 1, 0, 0)), ("p",)))
    found = fold_pads(g)
    assert operators(found) == ["Conv"] and found.by_name["c"].op.pads == (1, 1, 2, 1)
    same(g, found)
    for other in (
        net(pad, Node("m", MaxPool((2, 2), (1, 1)), ("p",))),
        net(Node("p", Pad((1, 1, 1, 1), 0.5), ("x",)), Node("c", conv(RNG, 2, 3, (3, 3)), ("p",))),
    ):
        assert operators(fold_pads(other)) == operators(other)


def test_a_gemm_behind_flatten_becomes_a_full_size_convolution():
    g = net(
        Node("f", Flatten(), ("x",)),
        Node("r", Clip(), ("f",)),
        Node("g", conv(RNG, 5, 108, (1, 1)), ("r",)),
        Node("s", Flatten(), ("g",)),
    )
    found = merge_flattens(g)
    assert operators(found) == ["Clip", "Conv"] and found.by_name["g"].op.kernel == (6, 6)
    same(g, found)


def test_a_factor_behind_flatten_becomes_one_of_the_plane():
    scaled = Affine(np.full(108, 2, np.float32), np.full(108, -1, np.float32))
    g = net(
        Node("f", Flatten(), ("x",)),
        Node("r", Clip(), ("f",)),
        Node("a", scaled, ("r",)),
        Node("s", Function((Step("Tanh"),)), ("a",)),
        Node("g", conv(RNG, 5, 108, (1, 1)), ("s",)),
    )
    found = flatten_late(g)
    assert operators(found) == ["Clip", "Affine", "Function", "Flatten", "Conv"]
    assert found.by_name["r"].op.scale.shape == (3,) and found.shapes["a"] == (3, 6, 6)
    same(g, found)
    same(g, merge_flattens(fold_affines(found)))


def test_factors_that_differ_behind_flatten_stay_where_they_are():
    each = Affine(np.arange(108, dtype=np.float32), np.zeros(108, np.float32))
    g = net(Node("f", Flatten(), ("x",)), Node("a", each, ("f",)))
    assert operators(flatten_late(g)) == ["Flatten", "Affine"]


def test_a_flattened_plane_used_otherwise_is_refused_by_name():
    g = net(Node("f", Flatten(), ("x",)), Node("sum", Add(), ("f", "f")))
    with pytest.raises(UnsupportedError, match="sum: Add on a flattened 3x6x6 tensor"):
        merge_flattens(g)


def test_an_input_that_feeds_a_pool_gets_a_convolution_in_front():
    found = canonical(net(Node("m", MaxPool((2, 2), (1, 1)), ("x",))), PRE)
    assert [n.name for n in found.nodes] == ["x.scaled", "m"]
    w = found.by_name["x.scaled"].op.weight.values[:, :, 0, 0]
    np.testing.assert_allclose(w, np.diag([1 / 4, 1 / 5, 1 / 6])[:, ::-1])


def test_an_input_is_scaled_apart_where_that_is_asked_for():
    g = net(Node("c", conv(np.random.default_rng(0), 2, 3, (3, 3)), ("x",)))
    found = canonical(g, PRE, apart=True)
    assert [n.name for n in found.nodes] == [scaled_input(g), "c"]
    assert np.array_equal(found.by_name["c"].op.weight.values, g.by_name["c"].op.weight.values)


def test_models_that_do_not_fit_the_pictures_are_refused():
    with pytest.raises(ConfigError, match="preprocess: caffe delivers 3 channels, the network takes 1"):
        canonical(net(Node("m", MaxPool((2, 2), (1, 1)), ("x",)), channels=1), preset("caffe"))
    two = Input("x", (3, 6, 6)), Input("z", (3, 6, 6))
    with pytest.raises(UnsupportedError, match="net: has 2 inputs and 1 outputs"):
        canonical(Graph("net", two, (Node("a", Clip(), ("x",)),), ("a",)), PRE)


def test_a_flattened_output_of_what_is_an_output_too_stays_one_of_its_own():
    nodes = Node("m", MaxPool((2, 2), (1, 1)), ("x",)), Node("f", Flatten(), ("m",))
    g = canonical(Graph("net", (Input("x", (3, 6, 6)),), nodes, ("m", "f")), PRE)
    assert g.outputs == ("m", "f") and g.by_name["f"].op == Clip(-np.inf, np.inf)


def test_levels_need_one_deviation_for_all_channels():
    op = conv(RNG, 4, 3, (3, 3))
    g = net(Node("c", Conv(Weight.of(share(op.weight.values, 4, "linear", RNG)), op.bias), ("x",)))
    with pytest.raises(ConfigError, match="needs one deviation for all channels"):
        canonical(g, PRE)


def test_what_each_pixel_goes_through_behind_blocks_is_done_before_them():
    graph = net(
        Node("c", conv(RNG, 8, 3, (1, 1)), ("x",)),
        Node("u", Upsample((2, 2), 2), ("c",)),
        Node("a", affine(2), ("u",)),
        Node("r", Clip(), ("a",)),
    )
    found = fold_affines(before_blocks(graph))
    assert operators(found) == ["Conv", "Clip", "Upsample"]
    same(graph, found)
