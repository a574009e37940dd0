"""Whole networks on the whole engine in Verilator: every byte the golden model's, every cycle as predicted.

The random networks were not used in writing the model.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from dcgen.emit.engine_data import describe, play_files
from dcgen.emit.hdl import engine_verilog
from dcgen.encode.blob import Blob, encode
from dcgen.encode.coding import CodingSettings
from dcgen.errors import PlanError
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.sim import network, playback, tensors
from dcgen.models.catalogue import V1_0
from dcgen.plan.engine.cycles import predict
from dcgen.plan.engine.plan import EnginePlan, plan_engine
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QAdd, QGraph
from dcgen.targets.engines import ULX3S_85F
from tests.rtl.bench import CACHE
from tests.rtl.collisions import spoil
from tests.squeezenets import squeezenet
from tests.strategies import qgraphs

ENGINE = EngineParameters(
    lanes=7,
    words=512,
    requantizers=7,
    list_entries=256,
    max_taps=49,
    max_outputs=64,
    max_symbols=1024,
    max_tensors=64,
    command_words=4096,
    picture_bytes=3,
)
NETWORKS = 50
READ_PORTS = 14
"""Clocked read ports of the engine besides those of the lanes' banks."""
IN_STRIPS = 3
"""How many of the ``NETWORKS``, at least, are planned in segments of several layers."""
CODINGS = (CodingSettings(), CodingSettings("deep-compression", 3, 5), CodingSettings("smallest"))


def plan_in(words: int, graph: QGraph, blob: Blob) -> EnginePlan | None:
    """A plan for an engine of ``words`` words, None if there is none."""
    try:
        return plan_engine(graph, blob, replace(ENGINE, words=words))
    except PlanError:
        return None


def tightest(graph: QGraph, blob: Blob) -> EnginePlan | None:
    """A plan in as little memory as possible, which has strips and rings where they save any."""
    found, words = None, ENGINE.words
    while words and (plan := plan_in(words, graph, blob)):
        found, words = plan, min(words - 1, plan.schedule.live_words * 3 // 4)
    return found


def in_strips(plan: EnginePlan) -> bool:
    return any(len(segment.ends) > 1 for segment in plan.schedule.segments)


def networks(count: int) -> list[tuple[QGraph, Blob, EnginePlan]]:
    """``count`` random networks that the engine can run, of which at least ``IN_STRIPS`` run in strips.

    Which ones are drawn depends on the modules loaded: hypothesis takes numbers from their sources.
    """
    whole: list[tuple[QGraph, Blob, EnginePlan]] = []
    strips: list[tuple[QGraph, Blob, EnginePlan]] = []

    @seed(20)
    @settings(
        max_examples=40 * count, deadline=None, suppress_health_check=list(HealthCheck), database=None,
        phases=[Phase.generate],
    )  # fmt: skip
    @given(qgraphs(max_nodes=6, for_engine=True))
    def draw(graph: QGraph) -> None:
        found = len(whole) + len(strips)
        if found == count:
            return
        blob = encode(graph, CODINGS[found % len(CODINGS)])
        plan = plan_in(ENGINE.words, graph, blob) if len(whole) < count // 2 else tightest(graph, blob)
        if plan is not None and in_strips(plan):
            strips.append((graph, blob, plan))
        elif plan is not None and len(whole) < count - IN_STRIPS:
            whole.append((graph, blob, plan))

    draw()
    return whole + strips


def assert_exact(engine: Path, graph: QGraph, blob: Blob, plan: EnginePlan, run: Path, seed: int) -> None:
    """Run a random picture on ``engine``: tensors and scores are the golden model's, cycles those predicted."""
    prediction = predict(plan, graph, blob)
    described = describe(graph, plan, prediction)
    built = network.build(engine, described, CACHE)
    c, h, w = graph.input.shape
    picture = np.random.default_rng(seed).integers(0, 256, (h, w, c), np.uint8)
    playback.write(run, *play_files(blob.data, plan.program, plan.commands, described, picture))
    played = network.play(built, described, run)
    assert network.failure(described, played) == ""
    trace: dict[str, np.ndarray] = {}
    scores = execute(graph, picture[None], trace)[0]
    assert np.array_equal(played.scores, scores)
    for name, found in tensors.rebuild(described["trace"], played.writes).items():
        assert np.array_equal(found, trace[name][0]), name
    counted = network.counted(described, played)
    expected = {"total": prediction.total, **prediction.causes}
    assert {name: counted[name] for name in expected} == expected


@pytest.mark.slow
def test_random_networks_take_the_predicted_cycles(tmp_path: Path) -> None:
    """The memories here answer wrongly where a byte is written while it is read; no such answer may matter."""
    engine = tmp_path / "engine.v"
    spoiled, ports = spoil(engine_verilog(ENGINE))
    assert ports == ENGINE.lanes + READ_PORTS
    engine.write_text(spoiled)
    cases = networks(NETWORKS)
    assert len(cases) == NETWORKS
    assert sum(in_strips(plan) for _, _, plan in cases) >= IN_STRIPS
    for number, (graph, blob, plan) in enumerate(cases):
        assert_exact(engine, graph, blob, plan, tmp_path / str(number), number)


@pytest.mark.slow
@pytest.mark.parametrize("bypass", ("none", "simple"))
def test_squeezenet_1_0_runs_on_the_board_s_engine(bypass: Literal["none", "simple"], tmp_path: Path) -> None:
    """The network has a 7x7 convolution and additions; the picture is 128x128."""
    engine = tmp_path / "engine.v"
    engine.write_text(engine_verilog(ULX3S_85F.parameters))
    graph = squeezenet(replace(V1_0, size=128, bypass=bypass))
    blob = encode(graph)
    plan = plan_engine(graph, blob, ULX3S_85F.parameters)
    assert any(isinstance(n.op, QAdd) for n in graph.nodes) == (bypass == "simple")
    assert_exact(engine, graph, blob, plan, tmp_path / "run", seed=1)
