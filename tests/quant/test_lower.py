"""Lowering: the integer network computes what the float one does, up to its steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.compress.fold import canonical
from dcgen.compress.share import share
from dcgen.compress.uniform import grid
from dcgen.errors import ConfigError, GraphError, NumericError
from dcgen.inputs.tensor import TensorInput
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
    Pairwise,
    Step,
    Weight,
)
from dcgen.pictures import explicit
from dcgen.quant.execute import execute
from dcgen.quant.levels import integer_levels
from dcgen.quant.lower import lower
from dcgen.quant.qgraph import QAdd, QAvgPool, QConcat, QConv, QMul, QScores, QTable
from dcgen.quant.ranges import Range, calibrate
from dcgen.quant.scales import with_copies
from tests.graphs import conv, graphs

PRE = explicit("bgr", (110.0, 120.0, 130.0), (60.0, 60.0, 60.0), "squash", None, 8)


def shared(graph: Graph, uniform: bool = True) -> Graph:
    """Every weight on 255 uniform or 255 k-means levels."""

    def levels(w):
        if uniform:
            return grid(w, max(float(np.abs(w).max()), 1e-3) / 127)
        return share(w, 8, "linear", np.random.default_rng(0))

    return graph.with_weights({n.name: Weight.of(levels(c.weight.values)) for n, c in graph.convs()})


def quantize(graph: Graph, pictures, uniform: bool = True):
    """The canonical graph with shared weights, and its integer network with the ranges of these pictures."""
    g = with_copies(shared(canonical(graph, PRE), uniform))
    x = PRE.centred(pictures)
    ranges = calibrate(lambda: [evaluate(g, {g.inputs[0].name: x})], "minmax")
    return g, lower(g, ranges, PRE.camera_mean)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(0, 2**32 - 1), st.booleans())
def test_scores_follow_the_float_network(graph, seed, uniform):
    _, h, w = graph.inputs[0].shape
    pictures = np.random.default_rng(seed).integers(0, 256, (2, h, w, 3), np.uint8)
    g, q = quantize(graph, pictures, uniform)
    tensors = evaluate(g, {"x": PRE.centred(pictures)})
    reference = tensors[g.outputs[0]].reshape(2, -1)
    found = execute(q, pictures) * q.score_scale
    # each of the few nodes errs by about half of its step; the widest tensor bounds what that does
    widest = max(float(np.abs(t).max()) for name, t in tensors.items() if name != "x")
    assert np.abs(found - reference).max() <= 0.04 * len(g.nodes) * max(widest, 1e-6)


@settings(max_examples=30, deadline=None)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_canonical_form_is_exact_in_real_arithmetic(graph, seed):
    _, h, w = graph.inputs[0].shape
    pictures = np.random.default_rng(seed).integers(0, 256, (2, h, w, 3), np.uint8)
    g = canonical(graph, PRE)
    before = evaluate(graph, {"x": PRE.normalise(pictures)})[graph.outputs[0]].reshape(2, -1)
    after = evaluate(g, {"x": PRE.centred(pictures)})[g.outputs[0]].reshape(2, -1)
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(before).max())))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _net(*nodes: Node, out: str) -> Graph:
    return Graph("net", (Input("x", (3, 8, 8)),), nodes, (out,))


def _pictures(n=2):
    return np.random.default_rng(1).integers(0, 256, (n, 8, 8, 3), np.uint8)


def test_relu_fuses_into_the_convolution_as_a_clip_bound(rng):
    g = _net(
        Node("c", conv(rng, 4, 3, (3, 3)), ("x",)),
        Node("r", Clip(), ("c",)),
        Node("m", MaxPool((2, 2), (2, 2)), ("r",)),
        out="m",
    )
    _, q = quantize(g, _pictures())
    assert isinstance(q.nodes[0].op, QConv)
    assert len(q.nodes) == 3 and isinstance(q.nodes[-1].op, QScores)
    assert q.nodes[0].op.requant.lo == q.tensors["c"].zero_point == 0


def test_relu6_keeps_its_bound_when_a_concat_widens_the_scale(rng):
    wide = conv(rng, 2, 3, (1, 1))
    wide = Conv(Weight(wide.weight.values * 40), wide.bias)
    g = _net(
        Node("a", conv(rng, 2, 3, (1, 1)), ("x",)),
        Node("a6", Clip(0.0, 1.0), ("a",)),
        Node("b", wide, ("x",)),
        Node("j", Concat(), ("a6", "b")),
        out="j",
    )
    _, q = quantize(g, _pictures())
    t = q.tensors["a"]
    assert t.scale == q.tensors["b"].scale == q.tensors["j"].scale
    hi = q.nodes[0].op.requant.hi
    assert abs((hi - t.zero_point) * t.scale - 1.0) <= t.scale / 2
    assert hi < 255


def test_a_tensor_needed_in_two_places_is_copied_exactly(rng):
    g = _net(Node("a", conv(rng, 2, 3, (1, 1)), ("x",)), Node("j", Concat(), ("a", "a")), out="j")
    _, q = quantize(g, _pictures())
    assert [type(n.op) for n in q.nodes] == [QConv, QAdd, QConcat, QScores]
    trace = {}
    execute(q, _pictures(), trace)
    np.testing.assert_array_equal(trace["j"][:, :2], trace["j"][:, 2:])


def test_a_dilated_kernel_has_zeros_between_its_taps(rng):
    op = conv(rng, 4, 3, (3, 2), dilation=(2, 3))
    g, q = quantize(_net(Node("d", op, ("x",)), out="d"), _pictures())
    indices, given = q.nodes[0].op.indices, g.nodes[0].op.weight.levels.indices
    assert indices.shape == (4, 3, 5, 4)
    np.testing.assert_array_equal(indices[:, :, ::2, ::3], given)
    assert np.count_nonzero(indices) == np.count_nonzero(given)
    reference = evaluate(g, {"x": PRE.centred(_pictures())})["d"].reshape(2, -1)
    np.testing.assert_allclose(execute(q, _pictures()) * q.score_scale, reference, atol=2 * q.score_scale)


def test_the_bytes_in_front_of_a_function_stop_where_it_does(rng):
    wide = conv(rng, 4, 3, (1, 1))
    wide = Conv(Weight(20 * wide.weight.values), wide.bias)
    g = _net(Node("c", wide, ("x",)), Node("f", Function((Step("HardSwish"),)), ("c",)), out="f")
    _, q = quantize(g, _pictures())
    assert [type(n.op) for n in q.nodes] == [QConv, QTable, QScores]
    t = q.tensors["c"]
    assert -t.zero_point * t.scale == pytest.approx(-3, abs=t.scale)


def test_a_gate_scales_channels(rng):
    g = _net(
        Node("c", conv(rng, 4, 3, (3, 3)), ("x",)),
        Node("p", GlobalAvgPool(), ("c",)),
        Node("e", conv(rng, 4, 4, (1, 1)), ("p",)),
        Node("s", Function((Step("HardSigmoid", (0,), (("alpha", 0.2), ("beta", 0.5))),)), ("e",)),
        Node("y", Pairwise("Mul"), ("c", "s")),
        out="y",
    )
    g, q = quantize(g, _pictures())
    assert [type(n.op) for n in q.nodes] == [QConv, QAvgPool, QConv, QTable, QMul, QScores]
    reference = evaluate(g, {"x": PRE.centred(_pictures())})["y"].reshape(2, -1)
    np.testing.assert_allclose(execute(q, _pictures()) * q.score_scale, reference, atol=4 * q.score_scale)


def test_a_product_far_smaller_than_its_factors_gets_a_finer_accumulator(rng):
    two = _net(
        Node("a", conv(rng, 4, 3, (1, 1)), ("x",)),
        Node("b", conv(rng, 4, 3, (1, 1)), ("x",)),
        Node("y", Pairwise("Mul"), ("a", "b")),
        out="y",
    )
    two = with_copies(shared(canonical(two, PRE)))
    ranges = {"a": Range(-1, 1), "b": Range(-1, 1), "y": Range(0, 1e-3)}
    product = lower(two, ranges, PRE.camera_mean)
    op = product.nodes[2].op
    unit = (2 / 255) ** 2 / op.factor
    assert op.factor == 32 and 0.25 < unit / product.tensors["y"].scale < 0.5
    ranges["y"] = Range(0, 1e-9)
    widened = lower(two, ranges, PRE.camera_mean)
    assert widened.nodes[2].op.factor == 1 << 15 and widened.tensors["y"].scale > 1e-11


def test_a_final_global_average_becomes_undivided_sums(rng):
    g = _net(Node("a", conv(rng, 5, 3, (1, 1)), ("x",)), Node("p", GlobalAvgPool(), ("a",)), out="p")
    _, q = quantize(g, _pictures())
    assert q.nodes[-1].op == QScores(total=True)
    trace = {}
    scores = execute(q, _pictures(), trace)
    t = q.tensors["a"]
    np.testing.assert_array_equal(scores, (trace["a"].astype(int) - t.zero_point).sum((2, 3)))


def test_a_final_convolution_gives_its_accumulators(rng):
    g = _net(Node("a", conv(rng, 5, 3, (8, 8)), ("x",)), out="a")
    _, q = quantize(g, _pictures())
    assert q.nodes[-1].op.requant is None and q.n_scores == 5


def _conv(levels):
    return Conv(Weight.of(levels), np.zeros(4, np.float32))


def test_a_padded_first_convolution_pads_with_the_mean(rng):
    """Border scores, where most taps are padding, are as exact as the accumulators."""
    op = conv(rng, 2, 3, (3, 3), pads=(2, 2, 2, 2))
    op = Conv(Weight(np.abs(op.weight.values)), op.bias, pads=op.pads)  # so that no two errors cancel
    g = _net(Node("c", op, ("x",)), out="c")
    g, q = quantize(g, _pictures())
    assert q.input.pad == (130, 120, 110)
    reference = evaluate(g, {"x": PRE.centred(_pictures())})["c"].reshape(2, -1)
    np.testing.assert_allclose(execute(q, _pictures()) * q.score_scale, reference, atol=2 * q.score_scale)


def test_a_mean_that_is_no_camera_byte_cannot_be_padded_with(rng):
    far = explicit("rgb", (900.0, 0.0, 0.0), (1.0, 1.0, 1.0), "squash", None, 8)
    with pytest.raises(ConfigError, match=r"mean: padding reads it as a camera byte: expected 0 to 255, found"):
        canonical(_net(Node("c", conv(rng, 2, 3, (3, 3), pads=(1, 1, 1, 1)), ("x",)), out="c"), far)
    canonical(_net(Node("c", conv(rng, 2, 3, (3, 3)), ("x",)), out="c"), far)


def test_a_large_padded_average_keeps_its_accumulator_within_32_bits(rng):
    g = Graph(
        "big",
        (Input("x", (3, 70, 70)),),
        (Node("c", conv(rng, 2, 3, (1, 1)), ("x",)), Node("a", AvgPool((70, 70), (1, 1), (1, 1, 1, 1)), ("c",))),
        ("a",),
    )
    pictures = rng.integers(0, 256, (1, 70, 70, 3), np.uint8)
    g, q = quantize(g, pictures)
    reference = evaluate(g, {"x": PRE.centred(pictures)})["a"].reshape(1, -1)
    np.testing.assert_allclose(execute(q, pictures) * q.score_scale, reference, atol=1.01 * q.score_scale)


def test_uniform_levels_are_exact_and_shared_ones_leave_room():
    w = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    uniform = grid(w, 0.1)
    levels, step = integer_levels(_conv(uniform), 1.0, "c")
    assert step == 0.1
    np.testing.assert_array_equal(levels * np.float64(0.1), uniform.codebook)
    levels, step = integer_levels(_conv(share(w, 6, "linear", np.random.default_rng(0))), 1.0, "c")
    assert 2**13 < np.abs(levels).max() <= 32767


def test_weights_without_levels_are_refused():
    with pytest.raises(GraphError, match="conv: has weights that no recipe has shared"):
        integer_levels(Conv(Weight(np.ones((1, 1, 1, 1), np.float32)), np.zeros(1, np.float32)), 1.0, "conv")


def test_a_tensor_that_is_always_zero_gets_a_usable_scale(rng):
    dead = Conv(Weight(-np.ones((2, 3, 1, 1), np.float32)), np.full(2, -20, np.float32))
    g = _net(
        Node("c", dead, ("x",)),
        Node("r", Clip(), ("c",)),
        Node("m", MaxPool((1, 1), (1, 1)), ("r",)),
        Node("r6", Clip(0.0, 6.0), ("m",)),
        out="r6",
    )
    _, q = quantize(g, _pictures())
    assert not execute(q, _pictures()).any()


def test_a_dead_tensor_leaves_room_for_the_biases_behind_it(rng):
    """A tensor's scale near zero once made an ordinary bias 1.6e12 accumulator steps."""
    dead = Conv(Weight(-np.ones((2, 3, 1, 1), np.float32)), np.full(2, -20, np.float32))
    g = _net(
        Node("c", dead, ("x",)), Node("r", Clip(), ("c",)), Node("d", conv(rng, 2, 2, (1, 1)), ("r",)), out="d"
    )
    g, q = quantize(g, _pictures())
    np.testing.assert_allclose(
        execute(q, _pictures()) * q.score_scale,
        np.repeat(g.by_name["d"].op.bias, 64)[None].repeat(2, 0),
        atol=1e-3,
    )


def test_a_bias_beyond_32_bits_is_refused_by_name(rng):
    g = _net(
        Node("huge", Conv(Weight(np.full((1, 3, 1, 1), 1e-2, np.float32)), np.array([1e9], np.float32)), ("x",)),
        out="huge",
    )
    with pytest.raises(NumericError, match=r"huge: bias of .* does not fit 32 bits"):
        quantize(g, _pictures())


@pytest.mark.parametrize("kind", ["max pool", "mean", "clip", "depthwise"])
def test_an_input_of_many_channels_that_no_full_convolution_reads(kind, rng):
    """It is scaled by a convolution of each channel for itself, which subtracts that channel's mean."""
    kinds = {"max pool": MaxPool((2, 2), (2, 2)), "mean": GlobalAvgPool(), "clip": Clip()}
    first = kinds.get(kind) or conv(rng, 5, 5, (3, 3), groups=5)
    form = TensorInput("float32", 0.02, 130.0, (5, 8, 8))
    inputs = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 5), np.uint8)
    graph = Graph("net", (Input("x", (5, 8, 8)),), (Node("first", first, ("x",)),), ("first",))
    g = with_copies(shared(canonical(graph, form)))
    ranges = calibrate(lambda: [evaluate(g, {"x": form.centred(inputs)})], "minmax")
    q = lower(g, ranges, form.camera_mean)
    reference = evaluate(graph, {"x": form.normalise(inputs)})["first"].reshape(4, -1)
    found = execute(q, inputs) * q.score_scale
    assert np.abs(found - reference).max() <= 0.03 * np.abs(reference).max()
