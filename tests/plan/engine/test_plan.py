"""The engine's plan: the commands of any network, run on the engine's functional model, give the golden bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dcgen.errors import PlanError
from dcgen.hw.contract.commands import Op
from dcgen.hw.contract.model import unpack_list
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.models.catalogue import DIGITS, V1_0, V1_1
from dcgen.models.spec import SqueezeNetSpec
from dcgen.plan.engine.plan import TENSORS, summary
from dcgen.quant.lower import dilated
from dcgen.quant.qgraph import (
    QAdd,
    QAvgPool,
    QConcat,
    QConv,
    QGraph,
    QMul,
    QNode,
    QPad,
    QScores,
    QTable,
    QTensor,
    QUpsample,
    Requant,
)
from tests.plan.engine.engine_run import assert_equal_to_golden, planned
from tests.squeezenets import squeezenet
from tests.strategies import qgraphs

ENGINES = st.builds(
    lambda lanes, beat: EngineParameters(
        lanes[0], 1 << 14, lanes[1], max_taps=255, picture_bytes=beat, command_words=1 << 20, list_entries=1 << 12
    ),
    st.sampled_from(((4, 2), (5, 1), (7, 7), (8, 2), (49, 7))),
    st.integers(1, 4),
)
ONE = Requant(np.array([1 << 14], np.uint16), np.array([17], np.uint8))


def one_node(
    op: QConv | QAvgPool | QPad | QTable | QUpsample, shape: tuple[int, int, int], out: tuple[int, int, int]
) -> QGraph:
    """A network of ``op`` alone, from a picture to scores."""
    tensors = {n: QTensor(n, s, 1.0, 0, (0,) * s[0]) for n, s in (("picture", shape), ("node", out))}
    nodes = QNode("node", op, ("picture",)), QNode("scores", QScores(False), ("node",))
    return QGraph("net", tensors["picture"], tensors, nodes, 1.0)


def product() -> QGraph:
    """A network of the product of a picture with itself."""
    graph = one_node(QTable(np.zeros(256, np.uint8)), (1, 5, 5), (1, 5, 5))
    return replace(graph, nodes=(QNode("node", QMul(1, ONE), ("picture", "picture")), graph.nodes[1]))


def conv(shape: tuple[int, int, int, int], stride: tuple[int, int] = (1, 1)) -> QConv:
    levels, indices = np.array([0, 1], np.int16), np.ones(shape, np.uint8)
    return QConv(levels, indices, np.zeros(shape[0], np.int32), 0, ONE, stride, (0, 0, 0, 0))


@settings(max_examples=40, deadline=None)
@given(qgraphs(for_engine=True), ENGINES)
def test_any_network_equals_the_golden_model(graph: QGraph, engine: EngineParameters) -> None:
    try:
        plan = planned(graph, engine)
    except PlanError as error:
        assert any(isinstance(n.op, QAvgPool) for n in graph.nodes), error
        assume(False)
    assert_equal_to_golden(graph, plan)


@settings(max_examples=25, deadline=None)
@given(qgraphs(max_nodes=8, for_engine=True), ENGINES)
def test_less_memory_gives_the_same_bytes_until_it_is_refused(graph: QGraph, engine: EngineParameters) -> None:
    words = engine.words
    while words:
        try:
            plan = planned(graph, replace(engine, words=words))
        except PlanError:
            break
        assert plan.words_used <= words
        assert_equal_to_golden(graph, plan)
        words = min(words - 1, plan.schedule.live_words * 3 // 4)


def test_a_dilated_kernel_is_a_larger_one_with_zeros() -> None:
    op = conv((2, 1, 3, 3))
    op = replace(op, indices=dilated(op.indices, (2, 3)), pads=(2, 3, 2, 3))
    graph = one_node(op, (1, 9, 8), (2, 9, 8))
    assert_equal_to_golden(graph, planned(graph, EngineParameters(lanes=8, requantizers=2, picture_bytes=8)))


def test_digits_fit_without_strips() -> None:
    graph = squeezenet(DIGITS)
    plan = planned(graph, EngineParameters())
    assert all(len(s.ends) == 1 for s in plan.schedule.segments)
    assert_equal_to_golden(graph, plan)


def test_digits_in_little_memory_run_in_strips() -> None:
    graph = squeezenet(DIGITS)
    plan = planned(graph, EngineParameters(lanes=8, requantizers=2, words=500, picture_bytes=8))
    assert any(len(s.ends) > 1 for s in plan.schedule.segments)
    assert any(b.ring for b in plan.buffers)
    assert_equal_to_golden(graph, plan)


def test_a_branch_may_be_read_before_its_concat_is_complete() -> None:
    """Nodes b and d read the first channels of the joined planes before c has made the others."""
    shape = (1, 6, 6)
    inputs = {"a": "picture", "b": "a", "d": "b", "e": "a", "c": "d"}
    tensors = {name: QTensor(name, shape, 1.0, 0, (0,)) for name in ("picture", *inputs)}
    tensors["joined"] = QTensor("joined", (2, 6, 6), 1.0, 0, (0, 0))
    nodes = [QNode(name, QAdd((1,), ONE), (source,)) for name, source in inputs.items()]
    nodes += [QNode("joined", QConcat(), ("a", "c")), QNode("scores", QScores(True), ("joined",))]
    graph = QGraph("net", tensors["picture"], tensors, tuple(nodes), 1.0)
    for words in (1000, 30):
        assert_equal_to_golden(graph, planned(graph, EngineParameters(4, words, requantizers=2, picture_bytes=4)))


SIMPLE = replace(V1_0, bypass="simple")


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    (replace(V1_1, size=227), replace(V1_0, size=128), replace(SIMPLE, size=128)),
    ids=("1.1", "1.0", "bypass"),
)
def test_squeezenets_fit_the_reference_engine(spec: SqueezeNetSpec) -> None:
    graph = squeezenet(spec)
    plan = planned(graph, EngineParameters(command_words=4096))
    assert_equal_to_golden(graph, plan)


def test_the_program_names_the_sections_in_the_order_of_the_records() -> None:
    plan = planned(squeezenet(DIGITS), EngineParameters())
    records = [f for f, _ in unpack_list(plan.commands)]
    assert [f["op"] for f in (records[0], records[-1])] == [Op.TENSORS, Op.END]
    assert plan.program[0] == TENSORS
    assert list(plan.program[1:]) == [f["node"] for f in records if f["kind"]]
    assert set(plan.program[1:]) == set(range(max(plan.program) + 1))


def test_figures_are_those_of_the_plan() -> None:
    plan = planned(squeezenet(DIGITS), EngineParameters())
    figures = summary(plan)
    assert figures["command_words_used"] == len(plan.commands) <= figures["command_words"]
    assert figures["memory_words_used"] == max(b.base + b.channels * b.words for b in plan.buffers)


def test_buffers_alive_together_do_not_overlap() -> None:
    plan = planned(squeezenet(DIGITS), EngineParameters(lanes=8, requantizers=2, words=500, picture_bytes=8))
    for i, a in enumerate(plan.buffers):
        for b in plan.buffers[:i]:
            if a.first <= b.last and b.first <= a.last:
                assert a.base + a.channels * a.words <= b.base or b.base + b.channels * b.words <= a.base


@pytest.mark.parametrize(
    ("graph", "engine", "parts"),
    (
        (one_node(conv((2, 1, 3, 3)), (1, 9, 9), (2, 7, 7)), {"max_taps": 8}, ("node", "9 kernel", "at most 8")),
        (one_node(conv((4, 1, 1, 1)), (1, 3, 3), (4, 3, 3)), {"max_outputs": 2}, ("node", "4 output channels")),
        (one_node(conv((1, 5, 1, 1)), (5, 3, 3), (1, 3, 3)), {"list_entries": 4}, ("node", "5 non-zero weights")),
        (one_node(conv((1, 17, 1, 1)), (17, 3, 3), (1, 3, 3)), {}, ("picture", "17 channels", "at most 16")),
        (one_node(conv((1, 1, 1, 1)), (1, 3, 3), (1, 3, 3)), {"max_tensors": 1}, ("net", "2 tensors")),
        (one_node(conv((1, 1, 1, 1)), (1, 3, 3), (1, 3, 3)), {"command_words": 64}, ("net", "of commands", "64")),
        (one_node(conv((1, 1, 1, 1)), (1, 9, 9), (1, 9, 9)), {"words": 3}, ("node", "the engine has 3")),
        (
            one_node(QAvgPool((3, 3), (1, 1), (1, 1, 1, 1), False, False, 9, ONE), (1, 5, 5), (1, 5, 5)),
            {},
            ("node", "meet the padding"),
        ),
        (
            one_node(QAvgPool((1, 1), (1, 1), (0, 0, 0, 0), False, False, 1 << 20, ONE), (1, 5, 5), (1, 5, 5)),
            {},
            ("node", "65535"),
        ),
        (
            one_node(QTable(np.zeros(256, np.uint8)), (1, 5, 5), (1, 5, 5)),
            {},
            ("node: is a function that is looked up in a table, which the engine cannot do",),
        ),
        (
            one_node(QUpsample((2, 2), 1, (0, 0)), (1, 5, 5), (1, 10, 10)),
            {},
            ("node: makes blocks of pixels, which the engine cannot do (microcontrollers can)",),
        ),
        (
            one_node(QPad((1, 1, 1, 1), 0, edge=True), (1, 5, 5), (1, 7, 7)),
            {},
            ("node: pads with the nearest pixel, which the engine cannot do (microcontrollers can)",),
        ),
        (
            product(),
            {},
            ("node: multiplies two tensors, which the engine cannot do (microcontrollers can)",),
        ),
    ),
)  # fmt: skip
def test_what_an_engine_cannot_do_is_named(graph: QGraph, engine: dict[str, int], parts: tuple[str, ...]) -> None:
    with pytest.raises(PlanError) as error:
        planned(graph, EngineParameters(**{"lanes": 8, "requantizers": 2, "picture_bytes": 8, **engine}))
    assert [p for p in parts if p not in str(error.value)] == []


def test_a_distance_beyond_a_command_field_names_the_node() -> None:
    graph = one_node(conv((1, 1, 1, 200)), (1, 2, 300), (1, 2, 101))
    with pytest.raises(PlanError, match=r"node.*tap dx is 128, expected -128\.\.127"):
        planned(graph, EngineParameters(lanes=8, requantizers=2, max_taps=255, picture_bytes=8))
