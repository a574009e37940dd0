"""Plans in strips, fed row by row: the same bytes as layer after layer, in rings as small as planned."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgen.emit.golden import Golden
from dcgen.encode.schema import Status
from dcgen.plan.segments import Cutter, Schedule
from dcgen.quant.qgraph import QGraph
from tests.firmware.build import Program
from tests.firmware.nets import every_operator, pictures
from tests.firmware.test_runtime import DENSE, PAIRS, equal
from tests.plan.test_segments import schedules
from tests.strategies import MANY_CHANNELS, qgraphs


@pytest.mark.parametrize("strips", [1, 2, 3, 50])
@pytest.mark.parametrize("seed", range(3))
def test_every_operator_in_one_segment(seed: int, strips: int, tmp_path: Path) -> None:
    graph = every_operator(seed)
    schedule = Cutter(graph, streamed=True).schedule([(0, len(graph.nodes), strips)])
    equal(Program(tmp_path, graph, schedule=schedule))


def streams(graph: QGraph, schedule: Schedule, flags: tuple[str, ...]) -> None:
    with TemporaryDirectory() as folder:
        equal(Program(Path(folder), graph, flags=flags, schedule=schedule))


@given(st.data(), qgraphs(max_nodes=7), st.sampled_from(((), PAIRS, DENSE)))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_network_in_any_strips(data: st.DataObject, graph: QGraph, flags: tuple[str, ...]) -> None:
    streams(graph, data.draw(schedules(graph)), flags)


@pytest.mark.slow
@given(
    st.data(),
    qgraphs(max_nodes=9, max_side=20, convs=4, channels=MANY_CHANNELS),
    st.sampled_from(((), PAIRS, DENSE)),
)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_networks_in_any_strips(data: st.DataObject, graph: QGraph, flags: tuple[str, ...]) -> None:
    streams(graph, data.draw(schedules(graph)), flags)


def test_the_selftest_pushes_rows(tmp_path: Path) -> None:
    graph = every_operator(0)
    schedule = Cutter(graph, streamed=True).schedule([(0, 6, 3), (6, len(graph.nodes), 2)])
    golden = Golden.of(graph, pictures(graph, 1))
    assert Program(tmp_path, graph, golden, schedule=schedule).call("selftest") == b"0 65535 -\n"


def pushing(folder: Path, graph: QGraph, schedule: Schedule | None) -> list[Status | int]:
    """Statuses of calls in every order, and whether a picture that is pushed has the scores of a whole one."""
    program = Program(folder, graph, schedule=schedule)
    (folder / "picture").write_bytes(pictures(graph, 1).tobytes())
    *statuses, equal_scores = map(int, program.call("rows", str(folder / "picture")).split())
    return [*map(Status, statuses), equal_scores]


def test_rows_are_taken_from_the_begin_of_a_picture_to_its_end(tmp_path: Path) -> None:
    graph = every_operator(1)
    schedule = Cutter(graph, streamed=True).schedule([(0, 5, 3), (5, len(graph.nodes), 1)])
    ok, refused = Status.OK, Status.ARGUMENT
    expected = [refused, refused, refused, ok, refused, refused, ok, ok, refused, ok, refused, 1]
    assert pushing(tmp_path, graph, schedule) == expected


def test_a_plan_by_whole_layers_takes_no_rows(tmp_path: Path) -> None:
    ok, refused = Status.OK, Status.ARGUMENT
    assert pushing(tmp_path, every_operator(1), None) == [*[refused] * 7, ok, *[refused] * 3, 0]
