"""Plans that compute in strips while rows arrive give the same bytes as whole layers, in rings of rows as small as
planned."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgen.emit.golden import Golden
from dcgen.encode.schema import Status
from dcgen.plan.firmware.segments import Cutter, Schedule
from dcgen.quant.qgraph import QGraph
from tests.firmware.build import Program
from tests.firmware.nets import every_operator, pictures
from tests.firmware.test_runtime import FLAGS, equal
from tests.plan.firmware.test_segments import schedules
from tests.strategies import MANY_CHANNELS, qgraphs


@pytest.mark.parametrize("strips", [1, 2, 3, 50])
@pytest.mark.parametrize("seed", range(3))
def test_every_operator_in_one_segment(seed: int, strips: int, tmp_path: Path) -> None:
    graph = every_operator(seed)
    schedule = Cutter(graph, streamed=True).schedule([(0, len(graph.nodes), strips)])
    equal(Program(tmp_path, graph, schedule=schedule))


def streams(graph: QGraph, schedule: Schedule, flags: tuple[str, ...]) -> None:
    """Assert that the network, computed as ``schedule`` says, equals the golden model."""
    with TemporaryDirectory() as folder:
        equal(Program(Path(folder), graph, flags=flags, schedule=schedule))


@given(st.data(), qgraphs(max_nodes=7), st.sampled_from(FLAGS))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_network_in_any_strips(data: st.DataObject, graph: QGraph, flags: tuple[str, ...]) -> None:
    streams(graph, data.draw(schedules(graph)), flags)


@pytest.mark.slow
@given(
    st.data(),
    qgraphs(max_nodes=9, max_side=20, convs=4, channels=MANY_CHANNELS),
    st.sampled_from(FLAGS),
)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_networks_in_any_strips(data: st.DataObject, graph: QGraph, flags: tuple[str, ...]) -> None:
    streams(graph, data.draw(schedules(graph)), flags)


def test_the_selftest_pushes_rows(tmp_path: Path) -> None:
    graph = every_operator(0)
    schedule = Cutter(graph, streamed=True).schedule([(0, 6, 3), (6, len(graph.nodes), 2)])
    golden = Golden.of(graph, pictures(graph, 1))
    assert Program(tmp_path, graph, golden, schedule=schedule).call("selftest") == b"0 65535 -\n"


def calls(folder: Path, graph: QGraph, schedule: Schedule | None, mode: str) -> list[int]:
    """What the test program's ``rows`` or ``steps`` prints for one picture; see program.c."""
    program = Program(folder, graph, schedule=schedule)
    (folder / "picture").write_bytes(pictures(graph, 1).tobytes())
    return list(map(int, program.call(mode, str(folder / "picture")).split()))


OK, REFUSED = Status.OK, Status.ARGUMENT


def in_strips(graph: QGraph) -> Schedule:
    """Two segments, the first one in three strips."""
    return Cutter(graph, streamed=True).schedule([(0, 5, 3), (5, len(graph.nodes), 1)])


def test_rows_are_taken_from_the_begin_of_a_picture_to_its_end(tmp_path: Path) -> None:
    graph = every_operator(1)
    expected = [REFUSED, REFUSED, REFUSED, OK, REFUSED, REFUSED, OK, OK, REFUSED, OK, REFUSED, 1]
    assert calls(tmp_path, graph, in_strips(graph), "rows") == expected


def test_a_plan_by_whole_layers_takes_no_rows(tmp_path: Path) -> None:
    assert calls(tmp_path, every_operator(1), None, "rows") == [*[REFUSED] * 7, OK, *[REFUSED] * 3, 0]


@pytest.mark.parametrize("streamed", [True, False])
def test_steps_run_in_turn_and_only_then(streamed: bool, tmp_path: Path) -> None:
    graph = every_operator(1)
    not_begun, refused = [0, 0], [REFUSED] * 2
    begun = [*refused, REFUSED, OK, REFUSED]
    complete, failed = [OK, 0, 1, 1, 1, *refused], [Status.CODE, 0, *refused]
    expected = [*not_begun, *refused, *refused, *begun, *complete, *failed, OK]
    assert calls(tmp_path, graph, in_strips(graph) if streamed else None, "steps") == expected
