"""onnxruntime computes of an exported graph what ``evaluate`` computes, and importing it gives the graph back."""

from dataclasses import fields

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dcgen.errors import GraphError
from dcgen.importers.onnx_import import import_onnx
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import (
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Constant,
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
    Shape,
    Step,
    Upsample,
    Weight,
    Where,
)
from dcgen.ir.ops import window_count
from dcgen.ir.to_onnx import to_onnx
from dcgen.ir.verify import verify
from tests.graphs import FUNCTIONS

BOUNDS = (0.0, float("inf")), (0.0, 6.0), (-1.0, 0.5), (-float("inf"), 0.25)


@st.composite
def operators(draw: st.DrawFn, shape: Shape, rng: np.random.Generator) -> Op:
    """Any operator of one input that ``shape`` allows."""
    channels, height, width = shape

    def arrays(*size: int) -> np.ndarray:
        return rng.normal(size=size).astype(np.float32)

    def pads(limit: tuple[int, int]) -> tuple[int, int, int, int]:
        return tuple(draw(st.integers(0, limit[i % 2])) for i in range(4))

    kind = draw(
        st.sampled_from(
            ["conv", "affine", "clip", "max", "average", "global", "pad", "flatten", "function", "blocks"]
        )
    )
    kernel = (draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width))))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    inner = (kernel[0] - 1, kernel[1] - 1)
    match kind:
        case "conv":
            groups = draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
            out = groups * draw(st.integers(1, 3))
            weight, padded = Weight(arrays(out, channels // groups, *kernel)), pads((2, 2))
            dilation = tuple(
                draw(st.integers(1, (n + min(padded[i], padded[i + 2]) - 1) // (k - 1))) if k > 1 else 1
                for i, (n, k) in enumerate(zip((height, width), kernel, strict=True))
            )
            return Conv(weight, arrays(out), stride, padded, groups, dilation)
        case "affine":
            return Affine(arrays(channels), arrays(channels))
        case "clip":
            return Clip(*draw(st.sampled_from(BOUNDS)))
        case "max":
            return MaxPool(kernel, stride, pads(inner), draw(st.booleans()))
        case "average":
            return AvgPool(kernel, stride, pads(inner), draw(st.booleans()), draw(st.booleans()))
        case "pad":
            around = pads((2, 2))
            return draw(st.sampled_from([Pad(around), Pad(around, -1.5), Pad(around, edge=True)]))
        case "blocks":
            pixels = stride[0] * stride[1]
            made = channels // pixels if channels % pixels == 0 else channels
            return Upsample(stride, made, (draw(st.integers(0, stride[0] - 1)), 0))
        case "function":
            return Function((draw(st.sampled_from(FUNCTIONS)),))
        case "flatten" if (height, width) != (1, 1):
            return Flatten()
        case _:
            return GlobalAvgPool()


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A network of up to eight nodes with branches, sums and concatenations."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    picture = Input("picture", draw(st.tuples(st.integers(1, 4), st.integers(1, 8), st.integers(1, 8))))
    graph = Graph("random", (picture,), (), ("picture",))
    for n in range(draw(st.integers(1, 8))):
        source = draw(st.sampled_from(list(graph.shapes)))
        shape = graph.shapes[source]
        join = draw(st.sampled_from(["none", "none", "none", "add", "concat", "pair", "gate"]))
        others = [
            t
            for t, s in graph.shapes.items()
            if (
                s[1:] == shape[1:] if join == "concat" else s == (shape[0], 1, 1) if join == "gate" else s == shape
            )
        ]
        if join == "none" or not others:
            node = Node(f"n{n}", draw(operators(shape, rng)), (source,))
        else:
            pair = Pairwise("Mul" if join == "gate" else draw(st.sampled_from(["Sub", "Mul", "Max", "Min"])))
            op = {"add": Add(), "concat": Concat()}.get(join, pair)
            node = Node(f"n{n}", op, (source, draw(st.sampled_from(others))))
        graph = graph.with_nodes([*graph.nodes, node], outputs=(f"n{n}",))
    live, needed = [], set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in needed:
            live.append(node)
            needed |= set(node.inputs)
    return verify(graph.with_nodes(live[::-1]))


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options).run(None, feeds)


def assert_equal(a: Graph, b: Graph) -> None:
    assert (a.name, a.outputs) == (b.name, b.outputs)
    assert [(i.name, i.shape) for i in a.inputs] == [(i.name, i.shape) for i in b.inputs]
    assert [(n.name, type(n.op), n.inputs) for n in a.nodes] == [(n.name, type(n.op), n.inputs) for n in b.nodes]
    for m, n in zip(a.nodes, b.nodes, strict=True):
        for field in fields(m.op):
            x, y = getattr(m.op, field.name), getattr(n.op, field.name)
            if isinstance(x, Weight):
                x, y = x.values, y.values
            assert np.array_equal(x, y), (m.name, field.name)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), st.integers(1, 2))
def test_onnxruntime_computes_what_evaluate_says_in_every_tensor(graph: Graph, batch: int) -> None:
    x = np.random.default_rng(0).normal(size=(batch, *graph.inputs[0].shape)).astype(np.float32)
    names = [n.name for n in graph.nodes]
    ours = evaluate(graph, {"picture": x})
    for name, theirs in zip(names, run(to_onnx(graph, names), {"picture": x}), strict=True):
        assert theirs.shape == ours[name].shape
        np.testing.assert_allclose(theirs, ours[name], rtol=1e-4, atol=1e-4 * (1 + abs(ours[name]).max()))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_the_file_imports_as_the_graph_it_was_made_from(graph: Graph) -> None:
    assume(not isinstance(graph.nodes[-1].op, Function))  # a Sigmoid at the end is left to the host
    assert_equal(import_onnx(to_onnx(graph), "file").graph, graph)


def test_a_choice_is_imported_as_what_it_computes() -> None:
    """Its condition is a number here and a truth value in the file."""
    nodes = (
        Node("g", Function((Step("Greater", (0, Constant(0.5))),)), ("x",)),
        Node("e", Function((Step("Exp"),)), ("x",)),
        Node("y", Where(), ("g", "x", "e")),
    )
    graph = verify(Graph("g", (Input("x", (2, 3, 4)),), nodes, ("y",)))
    x = np.random.default_rng(0).normal(size=(2, 2, 3, 4)).astype(np.float32)
    again = import_onnx(to_onnx(graph), "file").graph
    for found in (graph, again):
        (theirs,) = run(to_onnx(found), {"x": x})
        np.testing.assert_allclose(theirs, np.where(x > 0.5, x, np.exp(x)), rtol=1e-6)
        np.testing.assert_allclose(evaluate(found, {"x": x})[found.outputs[0]], theirs, rtol=1e-6)


def test_the_round_trip_notices_a_changed_weight() -> None:
    def graph(weight: float) -> Graph:
        conv = Conv(Weight(np.full((1, 1, 1, 1), weight, np.float32)), np.zeros(1, np.float32))
        return Graph("g", (Input("x", (1, 2, 2)),), (Node("y", conv, ("x",)),), ("y",))

    with pytest.raises(AssertionError, match="weight"):
        assert_equal(import_onnx(to_onnx(graph(1)), "file").graph, graph(2))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2), st.integers(0, 2), st.booleans()
)
def test_window_count_is_that_of_onnx(
    size: int, kernel: int, stride: int, begin: int, end: int, ceil: bool
) -> None:
    pads = (min(begin, kernel - 1), min(end, kernel - 1))
    count = window_count(size, kernel, stride, *pads, ceil)
    if count < 1:
        return
    op = MaxPool((1, kernel), (1, stride), (0, pads[0], 0, pads[1]), ceil)
    graph = Graph("g", (Input("x", (1, 1, size)),), (Node("y", op, ("x",)),), ("y",))
    assert run(to_onnx(graph), {"x": np.zeros((1, 1, 1, size), np.float32)})[0].shape[-1] == count


def test_an_unknown_output_is_refused() -> None:
    graph = Graph("g", (Input("x", (1, 4, 4)),), (), ("x",))
    with pytest.raises(GraphError, match="g: has no tensor 'y' to export"):
        to_onnx(graph, outputs=["y"])
