"""The front end makes the lists that the planner expects of random networks, in all codings, with any stalls."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings

from dcgen.encode.blob import Blob, encode
from dcgen.encode.coding import CodingSettings
from dcgen.errors import BlobError, PlanError
from dcgen.hw.contract.blob_format import Cause, Kind
from dcgen.hw.contract.front_timing import first_word, publisher
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.plan.engine.plan import TENSORS, EnginePlan, plan_engine
from dcgen.plan.engine.stream_facts import stream_facts
from dcgen.quant.qgraph import QGraph
from tests.hw.front.run import FrontCase, FrontRun, assert_lists, run_fronts, section_packets
from tests.rtl.damaged_packets import campaign, meaning, packets
from tests.strategies import qgraphs

PARAMETERS = EngineParameters(lanes=4, requantizers=2, words=2048, picture_bytes=4)
CODINGS = (CodingSettings(), CodingSettings("deep-compression", 3, 5), CodingSettings("smallest"))
CYCLE_LIMIT = 60_000
"""Cycles after which a run has failed; none of these small networks takes as many, damaged or not."""
Planned = tuple[QGraph, Blob, EnginePlan]


def planned_networks(count: int, number: int, max_nodes: int = 4) -> list[Planned]:
    """``count`` random networks that fit the engine of PARAMETERS; ``number`` is the seed."""
    found: list[Planned] = []

    @seed(number)
    @settings(max_examples=2 * count, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(qgraphs(max_nodes=max_nodes, for_engine=True))
    def draw(graph: QGraph) -> None:
        blob = encode(graph, CODINGS[len(found) % 3])
        try:
            found.append((graph, blob, plan_engine(graph, blob, PARAMETERS)))
        except PlanError:
            return

    draw()
    return found[:count]


@pytest.mark.parametrize(("sim", "count"), [("icarus", 4), pytest.param("verilator", 60, marks=pytest.mark.slow)])
def test_lists_are_those_of_the_plan(tmp_path: Path, sim: str, count: int) -> None:
    networks = planned_networks(count, 2)
    assert len(networks) == count
    cases = []
    for n, (_, blob, plan) in enumerate(networks):
        rng = random.Random(n)
        holds = tuple(rng.choice((1, 1, 7, 60)) for _ in range(17)) if n % 2 else (1,)
        packets = section_packets(blob.data, plan)
        cases.append(FrontCase(plan.commands, packets, (1.0, 1.0, 0.1, 0.3)[n % 4], holds, n))
    runs = run_fronts(cases, PARAMETERS, tmp_path, sim)
    for run, case, (graph, blob, plan) in zip(runs, cases, networks, strict=True):
        assert run.cause == Cause.NONE
        assert_lists(run.lists, graph, plan)
        if case.hurry == 1:
            assert_cycles(run, blob, plan)


def assert_cycles(run: FrontRun, blob: Blob, plan: EnginePlan) -> None:
    """Asserts that lists were published in the cycles that ``front_timing`` predicts for a blob without stalls."""
    facts = stream_facts(blob.data)
    publish = publisher(
        [(s.fields, facts[s.node] if s.fields.get("kind") == Kind.CONV else None) for s in plan.steps]
    )
    released = [None, None, *run.releases]
    assert [publish(n, released[n]) for n in range(len(run.published))] == run.published
    assert first_word() == run.first_word


@pytest.mark.slow
def test_damaged_sections_are_refused_or_mean_what_the_reader_says(tmp_path: Path) -> None:
    refuse(tmp_path, planned_networks(20, 3), 25)


def refuse(folder: Path, networks: list[Planned], damages: int) -> Counter[str]:
    """Sends ``damages`` damaged forms of each network, and counts what came of them.

    Where Python's reader refuses a form, the front end must report an error, else make the lists of what it means.
    """
    cases, wanted = [], []
    for n, (graph, blob, plan) in enumerate(networks):
        sound = packets(blob.data)
        for sent in campaign(sound, damages, 1000 * n):
            program = tuple((sent.tensors if i == TENSORS else sent.nodes[i]).hex() for i in plan.program)
            cases.append(FrontCase(plan.commands, program, holds=(1,), limit=CYCLE_LIMIT))
            names = (graph.input.name, *(node.name for node in graph.nodes))
            try:
                wanted.append((meaning(blob.data, sent, names), plan, sent.tensors == sound.tensors))
            except BlobError as error:
                wanted.append((error.code, plan, True))
    seen: Counter[str] = Counter()
    for n, (run, (meant, plan, same_tensors)) in enumerate(
        zip(run_fronts(cases, PARAMETERS, folder, "verilator"), wanted, strict=True)
    ):
        found = Cause(run.cause)
        if isinstance(meant, str):
            seen[f"{meant} {found.name}"] += 1
            assert found != Cause.NONE, (n, meant)
        elif found == Cause.NONE:
            seen["sound"] += 1
            assert_lists(run.lists, meant, plan)
        else:
            # ``meaning`` does not judge the tensors' scales, nor whether an average's weight fits the engine.
            seen[f"sound {found.name}"] += 1
            assert found == Cause.CAPACITY or not same_tensors or "AVG" in str(plan.steps), (n, found)
    return seen
