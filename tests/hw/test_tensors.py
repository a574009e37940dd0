"""The golden model's tensors can be rebuilt from what an engine writes to its activation memory.

The plan describes for this which bytes of which tensor each of its steps writes, and where.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from dcgen.emit.engine_data import trace_description
from dcgen.errors import PlanError
from dcgen.hw.contract import model
from dcgen.hw.sim import playback, tensors
from dcgen.plan.engine.replay import replay_lists
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QGraph
from tests.hw.nets import SMALL, Net, fire_net, planned
from tests.strategies import qgraphs


def writes_of(net: Net) -> tuple[np.ndarray, np.ndarray]:
    """What the engine without its clock (``model``) makes of the net's picture.

    Returns the scores, and the writes to the activation memory in the form in which a simulation records them.
    """
    lists = replay_lists(net.graph, net.plan)
    run = model.run(net.plan.commands, lists, net.picture.reshape(-1), net.plan.parameters)
    records = []
    for w in run.writes:
        part = np.zeros(len(w.words), playback.trace_type(SMALL.lanes))
        part["step"], part["word"], part["lane"], part["count"] = w.step, w.words, w.lanes, w.counts
        part["data"][:, : w.data.shape[1]] = w.data
        records.append(part)
    return run.scores, np.concatenate(records)


@settings(max_examples=40, deadline=None)
@given(qgraphs(for_engine=True))
def test_rebuilt_tensors_are_the_golden_ones(graph: QGraph) -> None:
    try:
        net = planned(graph)
    except PlanError:
        return
    scores, writes = writes_of(net)
    golden: dict[str, np.ndarray] = {}
    expected = execute(graph, net.picture[None], golden)
    assert np.array_equal(scores, expected[0])
    found = tensors.rebuild(trace_description(graph, net.plan), writes)
    for name, tensor in found.items():
        if name in golden:
            assert np.array_equal(tensor, golden[name][0]), name
    nodes = {n.name for n in graph.nodes[:-1]}  # the last one makes the scores, which are sent and not written
    assert nodes <= set(found)


def test_a_write_that_is_left_out_shows() -> None:
    net = planned(fire_net())
    _, writes = writes_of(net)
    description = trace_description(net.graph, net.plan)
    whole = tensors.rebuild(description, writes)
    dropped = tensors.rebuild(description, writes[: len(writes) // 2])
    assert any(not np.array_equal(whole[name], dropped[name]) for name in whole)
