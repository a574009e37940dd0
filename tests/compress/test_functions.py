"""However a function of one tensor is spelled, it becomes one Function, and what cannot be one stays as it is."""

import numpy as np
import pytest
from hypothesis import given, settings

from dcgen.compress.functions import merge_functions, split_extremes
from dcgen.errors import GraphError, UnsupportedError
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import Add, Affine, Clip, Constant, Function, Graph, Input, Node, Pairwise, Step, Where
from dcgen.ir.to_onnx import to_onnx
from dcgen.ir.verify import verify
from tests.graphs import conv, graphs
from tests.ir.test_to_onnx import run

RNG = np.random.default_rng(0)


def net(*nodes: Node, out: str = "") -> Graph:
    """A graph of a convolution ``c`` and these nodes, whose output is ``out`` or the last of them."""
    nodes = (Node("c", conv(RNG, 2, 3, (1, 1)), ("x",)), *nodes)
    return verify(Graph("net", (Input("x", (3, 4, 4)),), nodes, (out or nodes[-1].name,)))


def one(kind: str, *inputs: str, name: str) -> Node:
    return Node(name, Function((Step(kind),)), inputs)


def affine(scale: float, shift: float, channels: int = 2) -> Affine:
    return Affine(np.full(channels, scale, np.float32), np.full(channels, shift, np.float32))


def operators(graph: Graph) -> list[str]:
    return [type(n.op).__name__ for n in graph.nodes]


def values(graph: Graph) -> np.ndarray:
    x = 3 * np.random.default_rng(1).normal(size=(2, 3, 4, 4)).astype(np.float32)
    found = evaluate(graph, {"x": x})[graph.outputs[0]]
    np.testing.assert_allclose(run(to_onnx(graph), {"x": x})[0], found, rtol=1e-3, atol=1e-4)
    return found


SPELLINGS = {
    "SiLU": (one("Sigmoid", "c", name="s"), Node("y", Pairwise("Mul"), ("c", "s"))),
    "SiLU as a quotient": (
        Node("n", affine(-1, 0), ("c",)),
        one("Exp", "n", name="e"),
        Node("d", affine(1, 1), ("e",)),
        Node("y", Pairwise("Div"), ("c", "d")),
    ),
    "HardSwish": (
        Node("a", affine(1, 3), ("c",)),
        Node("r", Clip(0.0, 6.0), ("a",)),
        Node("m", Pairwise("Mul"), ("c", "r")),
        Node("y", affine(1 / 6, 0), ("m",)),
    ),
    "GELU": (
        Node("d", affine(2**-0.5, 0), ("c",)),
        one("Erf", "d", name="e"),
        Node("p", affine(1, 1), ("e",)),
        Node("m", Pairwise("Mul"), ("c", "p")),
        Node("y", affine(0.5, 0), ("m",)),
    ),
    "Mish": (
        one("Softplus", "c", name="s"),
        one("Tanh", "s", name="t"),
        Node("y", Pairwise("Mul"), ("t", "c")),
    ),
    "Softplus with a threshold": (
        one("Softplus", "c", name="s"),
        Node("g", Function((Step("Greater", (0, Constant(2.0))),)), ("c",)),
        Node("y", Where(), ("g", "c", "s")),
    ),
    "a difference": (one("Abs", "c", name="a"), Node("y", Pairwise("Sub"), ("a", "c"))),
    "a square behind a bound": (Node("s", Pairwise("Mul"), ("c", "c")), Node("y", Clip(0.0, 2.0), ("s",))),
}


@pytest.mark.parametrize("nodes", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_every_spelling_becomes_one_function(nodes: tuple[Node, ...]) -> None:
    graph = net(*nodes)
    found = verify(merge_functions(graph))
    assert [(n.name, type(n.op).__name__, n.inputs) for n in found.nodes[1:]] == [("y", "Function", ("c",))]
    np.testing.assert_allclose(values(found), values(graph), rtol=1e-6, atol=1e-9)


def test_a_rectifier_in_front_is_left_to_the_convolution() -> None:
    graph = net(Node("r", Clip(), ("c",)), one("Tanh", "r", name="t"), Node("y", Pairwise("Mul"), ("r", "t")))
    found = merge_functions(graph)
    assert operators(found) == ["Conv", "Clip", "Function"]
    assert found.nodes[2].inputs == ("r",)
    np.testing.assert_allclose(values(found), values(graph))


def test_a_tensor_that_others_read_too_gets_a_function_of_its_own() -> None:
    other = conv(RNG, 2, 2, (1, 1))
    graph = net(
        one("Sigmoid", "c", name="s"),
        Node("m", Pairwise("Mul"), ("c", "s")),
        Node("d", other, ("s",)),
        Node("y", Add(), ("m", "d")),
    )
    found = merge_functions(graph)
    assert [(n.name, type(n.op).__name__, n.inputs) for n in found.nodes[1:3]] == [
        ("s", "Function", ("c",)),
        ("m", "Function", ("c",)),
    ]
    np.testing.assert_allclose(values(found), values(graph))


def test_clips_and_factors_alone_stay_as_they_are() -> None:
    graph = net(Node("a", affine(2, 1), ("c",)), Node("y", Clip(), ("a",)))
    assert operators(merge_functions(graph)) == ["Conv", "Affine", "Clip"]


def test_a_factor_for_each_channel_is_no_function_of_one_number() -> None:
    slopes = Affine(np.array([0.5, 0.25], np.float32), np.zeros(2, np.float32))
    graph = net(Node("a", slopes, ("c",)), Node("y", Pairwise("Mul"), ("a", "c")))
    assert operators(merge_functions(graph)) == ["Conv", "Affine", "Pairwise"]


def test_a_chain_of_more_steps_than_a_function_has_is_cut() -> None:
    nodes = [one("Sigmoid", "c" if i == 0 else f"n{i - 1}", name=f"n{i}") for i in range(100)]
    graph = net(*nodes)
    found = merge_functions(graph)
    assert operators(found) == ["Conv", "Function", "Function"]
    np.testing.assert_allclose(values(found), values(graph))


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_any_graph_computes_the_same(graph: Graph) -> None:
    found = verify(split_extremes(merge_functions(graph)))
    x = np.random.default_rng(0).normal(size=(1, *graph.inputs[0].shape)).astype(np.float32)
    before, after = (evaluate(g, {"x": x})[g.outputs[0]] for g in (graph, found))
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(before).max())))


@pytest.mark.parametrize("kind", ["Max", "Min"])
def test_an_extreme_of_two_tensors_is_a_sum_with_a_rectified_difference(kind: str) -> None:
    graph = net(Node("d", conv(RNG, 2, 3, (1, 1)), ("x",)), Node("y", Pairwise(kind), ("c", "d")))
    found = verify(split_extremes(graph))
    assert [n.name for n in found.nodes] == ["c", "d", "y.difference", "y.excess", "y"]
    np.testing.assert_allclose(values(found), values(graph), atol=1e-12)


def test_a_quotient_of_two_tensors_is_refused_by_name() -> None:
    graph = net(Node("d", conv(RNG, 2, 3, (1, 1)), ("x",)), Node("y", Pairwise("Div"), ("c", "d")))
    with pytest.raises(UnsupportedError) as error:
        split_extremes(merge_functions(graph))
    assert str(error.value) == (
        "y: divides c by d (a quotient is supported where one tensor is the only one that it depends on)"
    )


def test_a_choice_between_tensors_is_refused_by_name() -> None:
    graph = net(
        Node("g", Function((Step("Greater", (0, Constant(2.0))),)), ("c",)),
        Node("d", conv(RNG, 2, 3, (1, 1)), ("x",)),
        Node("y", Where(), ("g", "c", "d")),
    )
    with pytest.raises(UnsupportedError) as error:
        split_extremes(merge_functions(graph))
    assert str(error.value) == (
        "y: chooses between c and d (a choice is supported where one tensor is the only one that it depends on)"
    )


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((), "f: a function has 1 to 64 steps, found 0"),
        ((Step("Sine"),), "f: 'Sine' is no function of single numbers"),
        ((Step("Add", (0, 1)),), r"f: step 0 reads a value that no earlier step makes: (0, 1)"),
    ],
)
def test_what_is_no_function_is_refused(steps: tuple[Step, ...], message: str) -> None:
    with pytest.raises(GraphError) as error:
        net(Node("f", Function(steps), ("c",)))
    assert str(error.value) == message


def test_a_constant_is_no_value() -> None:
    assert Step("Add", (0, Constant(1.0))) != Step("Add", (0, 1))
