"""Runs a plan on the functional model of the engine and compares every tensor with the golden model."""

from __future__ import annotations

import numpy as np

from dcgen.encode.blob import encode
from dcgen.hw.contract.model import run
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.plan.engine.plan import EnginePlan, plan_engine
from dcgen.plan.engine.replay import replay_lists
from dcgen.plan.engine.trace import tensors_of
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QGraph


def planned(graph: QGraph, parameters: EngineParameters) -> EnginePlan:
    return plan_engine(graph, encode(graph), parameters)


def assert_equal_to_golden(graph: QGraph, plan: EnginePlan, seed: int = 0) -> None:
    """Run one random picture in a memory full of garbage: every tensor and score must equal the golden model's."""
    c, h, w = graph.input.shape
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (h, w, c), np.uint8)
    p = plan.parameters
    garbage = rng.integers(0, 256, (p.words, p.lanes), np.uint8)
    trace: dict[str, np.ndarray] = {}
    scores = execute(graph, picture[None], trace)[0]
    done = run(plan.commands, replay_lists(graph, plan), picture.reshape(-1), p, garbage)
    found = tensors_of(graph, plan, done.writes)
    assert set(found) | {graph.input.name} == set(graph.tensors)
    assert [name for name, tensor in found.items() if not np.array_equal(tensor, trace[name][0])] == []
    assert np.array_equal(done.scores, scores)
