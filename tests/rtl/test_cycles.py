"""Random networks on the whole engine in Verilator: every byte the golden model's, every cycle as predicted.

One engine, built once; the networks were not used in writing the model.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from dcgen.emit.engine_data import describe, play_files
from dcgen.emit.hdl import engine_verilog
from dcgen.encode.blob import Blob, encode
from dcgen.encode.coding import CodingSettings
from dcgen.errors import PlanError
from dcgen.plan.cycles import predict
from dcgen.plan.engine import EnginePlan, plan_engine
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QGraph
from hw.parameters import EngineParameters
from hw.sim import network, playback, tensors
from tests.rtl.bench import CACHE
from tests.strategies import qgraphs

ENGINE = EngineParameters(
    lanes=7,
    words=512,
    requantisers=7,
    list_entries=256,
    max_taps=49,
    max_outputs=64,
    max_symbols=1024,
    max_tensors=64,
    command_words=4096,
    picture_bytes=3,
)
NETWORKS = 50
CODINGS = (CodingSettings(), CodingSettings("deep-compression", 3, 5), CodingSettings("smallest"))


def plan_in(words: int, graph: QGraph, blob: Blob) -> EnginePlan | None:
    """A plan that uses ``words`` words of the engine, None if there is none."""
    try:
        return plan_engine(graph, blob, replace(ENGINE, words=words))
    except PlanError:
        return None


def tightest(graph: QGraph, blob: Blob) -> EnginePlan | None:
    """A plan in little memory: strips and rings, where the network has any use for them."""
    found, words = None, ENGINE.words
    while words and (plan := plan_in(words, graph, blob)):
        found, words = plan, min(words - 1, plan.schedule.live_words * 3 // 4)
    return found


def networks(count: int) -> list[tuple[QGraph, Blob, EnginePlan]]:
    """``count`` random networks that the engine can hold."""
    found: list[tuple[QGraph, Blob, EnginePlan]] = []

    @seed(20)
    @settings(
        max_examples=4 * count, deadline=None, suppress_health_check=list(HealthCheck), database=None,
        phases=[Phase.generate],
    )  # fmt: skip
    @given(qgraphs(max_nodes=6))
    def draw(graph: QGraph) -> None:
        if len(found) < count:
            blob = encode(graph, CODINGS[len(found) % len(CODINGS)])
            plan = tightest(graph, blob) if len(found) % 2 else plan_in(ENGINE.words, graph, blob)
            if plan is not None:
                found.append((graph, blob, plan))

    draw()
    return found


@pytest.mark.slow
def test_random_networks_take_the_predicted_cycles(tmp_path: Path) -> None:
    engine = tmp_path / "engine.v"
    engine.write_text(engine_verilog(ENGINE))
    cases = networks(NETWORKS)
    assert len(cases) == NETWORKS
    assert sum(any(len(s.ends) > 1 for s in plan.schedule.segments) for _, _, plan in cases) >= 3
    built = None
    for number, (graph, blob, plan) in enumerate(cases):
        prediction = predict(plan, graph, blob)
        described = describe(graph, plan, prediction)
        built = built or network.build(engine, described, CACHE)
        c, h, w = graph.input.shape
        picture = np.random.default_rng(number).integers(0, 256, (h, w, c), np.uint8)
        run = tmp_path / str(number)
        playback.write(run, *play_files(blob.data, plan.program, plan.commands, described, picture))
        played = network.play(built, described, run)
        assert network.failure(described, played) == ""
        trace: dict[str, np.ndarray] = {}
        scores = execute(graph, picture[None], trace)[0]
        assert np.array_equal(played.scores, scores), number
        for name, found in tensors.rebuild(described["trace"], played.writes).items():
            assert np.array_equal(found, trace[name][0]), (number, name)
        counted = network.counted(described, played)
        expected = {"total": prediction.total, **prediction.causes}
        assert {name: counted[name] for name in expected} == expected, number
