"""The cycle model adds up. tests/rtl shows that the gateware takes exactly these cycles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings

from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.errors import PlanError
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.models.catalogue import DIGITS
from dcgen.plan.engine.cycles import CAUSES, nonzero_macs, predict
from dcgen.plan.engine.plan import plan_engine
from dcgen.plan.engine.replay import replay_lists, step_lists
from dcgen.plan.engine.stream_facts import stream_facts
from dcgen.quant.execute import convolve
from dcgen.quant.qgraph import QConv, QGraph
from tests.squeezenets import squeezenet
from tests.strategies import qgraphs

ENGINE = EngineParameters(
    lanes=8, words=2048, requantizers=2, picture_bytes=4, command_words=1 << 14, max_taps=255
)


@settings(max_examples=30, deadline=None)
@given(qgraphs(for_engine=True))
def test_steps_and_causes_each_sum_to_the_total(graph: QGraph) -> None:
    blob = encode(graph)
    try:
        plan = plan_engine(graph, blob, ENGINE)
    except PlanError:
        assume(False)
    found = predict(plan, graph, blob)
    assert set(found.causes) == set(CAUSES)
    assert sum(found.steps) == sum(found.causes.values()) == sum(found.nodes(plan).values()) == found.total
    issued = sum(
        len(one) * s.fields["tiles"]
        for s in plan.steps
        for one in step_lists(graph, s)
        if "tiles" in s.fields and s.taps
    )
    assert found.causes["mac"] == issued
    assert found.nonzero_macs <= issued * ENGINE.lanes


def test_fewer_weights_take_fewer_cycles() -> None:
    totals = []
    for density in (0.1, 0.5, 1.0):
        graph = squeezenet(DIGITS, density)
        blob = encode(graph)
        found = predict(plan_engine(graph, blob, EngineParameters()), graph, blob)
        totals.append(found.total)
        assert 0 < found.utilisation < 1
    assert totals == sorted(totals) and totals[0] < totals[-1]


def test_macs_are_those_of_a_convolution_of_ones() -> None:
    graph = squeezenet(DIGITS)
    total = 0
    for node in graph.nodes:
        if isinstance(node.op, QConv):
            op, source = node.op, graph.tensors[node.inputs[0]]
            ones = QConv(
                np.array([0, 1], np.int16), (op.indices > 0).astype(np.uint8), np.zeros_like(op.bias), 0, None,
                op.stride, op.pads, op.groups,
            )  # fmt: skip
            total += int(
                convolve(
                    ones, np.ones((1, *source.shape), np.uint8), replace(source, pad=(1,) * source.shape[0])
                ).sum()
            )
    assert nonzero_macs(graph) == total


@settings(max_examples=30, deadline=None)
@given(qgraphs(for_engine=True))
def test_stream_facts_count_every_entry_of_either_coding(graph: QGraph) -> None:
    for settings_ in (CodingSettings(), CodingSettings("deep-compression", 3, 5)):
        found = stream_facts(encode(graph, settings_).data)
        assert len(found) == len(graph.nodes)
        for node, facts in zip(graph.nodes, found, strict=True):
            assert (facts is not None) == isinstance(node.op, QConv)
            if facts is not None and isinstance(node.op, QConv):
                assert int(facts.kept.sum()) == np.count_nonzero(node.op.indices)
                assert facts.gaps == (settings_.coding == "deep-compression")
                assert len(facts.tables) == 1 + facts.gaps
                assert int((facts.runs + 1).sum()) <= node.op.indices.size


def test_the_model_takes_as_many_lists_as_are_predicted() -> None:
    graph = squeezenet(DIGITS)
    plan = plan_engine(graph, encode(graph), EngineParameters())
    outputs = sum(s.fields["outputs"] if s.taps else 1 for s in plan.steps if step_lists(graph, s))
    assert len(list(replay_lists(graph, plan))) == outputs
