"""The back end on whole random networks: every write and every score is the model's, every cycle as predicted.

``model`` executes the same command list on the same lists; ``back_timing`` predicts the cycles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings

from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.errors import PlanError
from dcgen.hw.back.back_end import CAUSES
from dcgen.hw.contract import back_timing, model
from dcgen.hw.contract.commands import Op, pack_step
from dcgen.hw.contract.lists import ReplayList
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.plan.engine.plan import plan_engine
from dcgen.plan.engine.replay import replay_lists
from dcgen.quant.qgraph import QGraph
from tests.hw.back.run import Seen, flattened, run_back_end
from tests.strategies import qgraphs

SIZES = ((4, 2), (7, 7), (8, 2), (9, 3))
WORDS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 2048)


@dataclass(frozen=True, eq=False)
class Case:
    """A command list, its replay lists in order, and the picture's bytes."""

    parameters: EngineParameters
    commands: tuple[int, ...]
    lists: tuple[ReplayList, ...]
    picture: tuple[int, ...]

    def reference(self) -> model.Run:
        picture = np.array(self.picture, np.uint8)
        return model.run(self.commands, iter(self.lists), picture, self.parameters)

    def run(self, stall: float = 0.0) -> Seen:
        return run_back_end(self.parameters, self.commands, self.lists, self.picture, stall=stall, gap=stall)


def case_of(graph: QGraph, lanes: int, requantizers: int) -> Case:
    """``graph`` planned in the least memory that holds it, so that planes become rings. Raises PlanError."""
    blob = encode(graph, CodingSettings())
    p = EngineParameters(
        lanes=lanes, requantizers=requantizers, picture_bytes=min(4, lanes), command_words=8192, list_entries=1024
    )
    for words in WORDS:
        try:
            plan = plan_engine(graph, blob, replace(p, words=words))
        except PlanError:
            if words == WORDS[-1]:
                raise
            continue
        c, h, w = graph.input.shape
        picture = np.random.default_rng(words).integers(0, 256, h * w * c)
        return Case(plan.parameters, plan.commands, tuple(replay_lists(graph, plan)), tuple(picture.tolist()))
    raise AssertionError


def cases(count: int, number: int, steps: tuple[int, int] = (6, 40)) -> list[Case]:
    """``count`` random networks, whose steps are as many as ``steps`` says, on engines of all ``SIZES``."""
    found: list[Case] = []

    @seed(number)
    @settings(max_examples=12 * count, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(qgraphs(max_nodes=4, for_engine=True))
    def draw(graph: QGraph) -> None:
        if len(found) == count:
            return
        try:
            case = case_of(graph, *SIZES[len(found) % len(SIZES)])
        except PlanError:
            return
        records = list(model.unpack_list(case.commands))
        work = sum(len(one) for one in case.lists) + len(case.picture)
        if steps[0] <= len(records) <= steps[1] and work < 3000:
            found.append(case)

    draw()
    assert len(found) == count
    return found


def assert_reference(seen: Seen, case: Case) -> None:
    reference = case.reference()
    assert seen.writes == flattened(reference.writes)
    assert seen.scores == reference.scores.tolist()
    assert seen.last == [0] * (len(seen.scores) - 1) + [1]


def publication(cycles: list[int]) -> back_timing.Publish:
    """A front end that publishes its lists in the cycles in which ``seen`` did."""
    return lambda number, free: cycles[number]


@pytest.mark.slow
def test_writes_scores_and_cycles_of_random_networks():
    rings = 0
    for case in cases(16, 1):
        seen = case.run()
        assert_reference(seen, case)
        records = [fields for fields, _ in model.unpack_list(case.commands)]
        lengths = [len(one) for one in case.lists]
        times = back_timing.walk(records, lengths, publication(seen.published), case.parameters)
        assert seen.steps == [one.start + 1 for one in times] + [times[-1].end]
        before_busy = {"other": 1}  # the cycle of the start pulse
        for cause in CAUSES:
            total = sum(getattr(one, cause) for one in times)
            assert seen.causes[cause] == total - before_busy.get(cause, 0)
        rings += sum(f["op"] == Op.LOAD for f in records) > 1
    assert rings  # some networks run in strips


@pytest.mark.slow
@pytest.mark.parametrize("stall", [0.2, 0.7])
def test_stalls_of_any_stream_change_nothing_but_time(stall):
    for case in cases(6, 2):
        assert_reference(case.run(stall), case)


def test_unknown_operation_is_a_fault():
    p = EngineParameters(lanes=4, requantizers=2, words=16, picture_bytes=4, command_words=64)
    seen = run_back_end(p, pack_step({"op": 9}) + pack_step({"op": Op.END}), [])
    assert seen.fault
    assert seen.cycles == back_timing.dispatched(0) + 1


def test_empty_list_of_commands_is_done_at_once():
    p = EngineParameters(lanes=4, requantizers=2, words=16, picture_bytes=4, command_words=64)
    seen = run_back_end(p, pack_step({"op": Op.END}), [])
    assert not seen.fault
    assert seen.cycles == back_timing.skip_end(0)
