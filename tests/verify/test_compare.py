"""Each single fault in a machine's results is found. Results are written in Python in place of a machine's."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgen.errors import ToolError
from dcgen.quant.qgraph import U8, QConcat, QGraph
from dcgen.targets import HOST, find
from dcgen.verify.compare import Check, Mismatch, compare, golden
from dcgen.verify.machines import MachineRun

Record = tuple[int, int, int, int, bytes]


def run_records(graph: QGraph, pictures: U8, ticks: int = 100, step: int = 0) -> list[Record]:
    """The records of a correct machine that measures and traces the only picture."""
    scores, tensors = golden(graph, pictures)
    measured, traced = ((1, 0, 0, 0, struct.pack("<iIQQQ", 0, 640, ticks, 0, s)) for s in (0, step))
    score_record = (2, 0, 0, 0, scores[0].tobytes())
    rows = [
        (3, i, c, y, tensors[node.name][0, c, y].tobytes())
        for i, node in enumerate(graph.nodes[:-1])
        if not isinstance(node.op, QConcat)
        for c in range(graph.tensors[node.name].shape[0])
        for y in range(graph.tensors[node.name].shape[1])
    ]
    return [measured, score_record, *rows, traced, score_record]


def check(graph: QGraph, pictures: U8, records: list[Record], folder: Path, target: str = "host") -> Check:
    path = folder / "results.bin"
    parts = [struct.pack("<HHHHI", *r[:4], len(r[4])) + r[4] for r in [*records, (4, 0, 0, 0, b"")]]
    path.write_bytes(b"".join(parts))
    return compare(graph, pictures, MachineRun(find(target), path, 1, 1, 1, 0.5))


@pytest.fixture
def picture(pictures: U8) -> U8:
    return pictures[:1]


def test_a_right_machine_passes_and_everything_is_counted(graph: QGraph, picture: U8, tmp_path: Path) -> None:
    result = check(graph, picture, run_records(graph, picture), tmp_path)
    tensors = [t for t in graph.tensors.values() if t.name not in ("picture", "join")]
    assert result.passed
    assert result.layers == len(tensors) + 1
    assert result.bytes_compared == sum(int(np.prod(t.shape)) for t in tensors) + 2 * 4 * graph.n_scores
    assert result.to_json() == {
        "target": "host",
        "passed": True,
        "pictures": 1,
        "layers": 9,
        "bytes_compared": result.bytes_compared,
        "mismatches": 0,
        "seconds": 0.5,
    }


def test_ticks_become_instructions_by_the_machine(graph: QGraph, picture: U8, tmp_path: Path) -> None:
    records = run_records(graph, picture, ticks=1000, step=8)
    m4, m55 = (check(graph, picture, records, tmp_path, t) for t in ("cortex-m4", "cortex-m55"))
    assert (m4.instructions, m55.instructions) == (40_000, 31_250)
    assert (m4.longest_step_instructions, m55.longest_step_instructions) == (320, 250)
    assert m4.to_json()["stack_bytes"] == 640
    assert "flash_bytes" not in m4.to_json()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found_at_its_place(
    data: st.DataObject, graph: QGraph, picture: U8, tmp_path: Path
) -> None:
    records = run_records(graph, picture)
    at = data.draw(st.sampled_from([i for i, r in enumerate(records) if r[0] == 3]))
    kind, node, channel, row, values = records[at]
    x = data.draw(st.integers(0, len(values) - 1))
    found = data.draw(st.integers(0, 255).filter(lambda v: v != values[x]))
    records[at] = (kind, node, channel, row, values[:x] + bytes([found]) + values[x + 1 :])
    result = check(graph, picture, records, tmp_path)
    assert result.mismatches == 1
    assert result.first_mismatch == Mismatch(graph.nodes[node].name, channel, row, x, values[x], found)
    assert result.to_json()["first_mismatch"]["node"] == graph.nodes[node].name


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), twice=st.booleans())
def test_a_row_that_is_missing_or_comes_twice_is_wrong(
    data: st.DataObject, twice: bool, graph: QGraph, picture: U8, tmp_path: Path
) -> None:
    records = run_records(graph, picture)
    at = data.draw(st.sampled_from([i for i, r in enumerate(records) if r[0] == 3]))
    _, node, channel, row, values = records[at]
    records[at : at + 1] = [records[at]] * 2 if twice else []
    result = check(graph, picture, records, tmp_path)
    assert result.mismatches == len(values)
    assert result.first_mismatch == Mismatch(graph.nodes[node].name, channel, row, 0, values[0], None)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ((3, 99, 0, 0, b"x"), "node 99"),
        ((3, 0, 200, 0, b"1234567890"), "conv1"),
        ((3, 0, 0, 200, b"1234567890"), "conv1"),
        ((3, 0, 0, 0, b"123456789"), "conv1"),
        ((3, 5, 0, 0, b"12345"), "join"),
    ],
)
def test_a_row_of_no_known_place_or_size_is_wrong(
    row: Record, name: str, graph: QGraph, picture: U8, tmp_path: Path
) -> None:
    records = run_records(graph, picture)
    result = check(graph, picture, [*records[:2], row, *records[2:]], tmp_path)
    assert result.mismatches == len(row[4])
    assert result.first_mismatch is not None
    assert (result.first_mismatch.node, result.first_mismatch.found) == (name, None)


@pytest.mark.parametrize("at", [1, -1], ids=["measured", "traced"])
def test_a_wrong_score_is_found_in_either_run(at: int, graph: QGraph, picture: U8, tmp_path: Path) -> None:
    records = run_records(graph, picture)
    scores = np.frombuffer(records[at][4], "<i4").copy()
    scores[3] += 1
    records[at] = (2, 0, 0, 0, scores.tobytes())
    result = check(graph, picture, records, tmp_path)
    assert result.mismatches == 4
    assert result.first_mismatch == Mismatch("scores", 3, 0, 0, int(scores[3]) - 1, int(scores[3]))


def test_a_runtime_error_fails_the_check_with_its_name(graph: QGraph, picture: U8, tmp_path: Path) -> None:
    result = check(graph, picture, [(1, 0, 0, 0, struct.pack("<iIQQQ", 14, 0, 0, 0, 0))], tmp_path)
    assert not result.passed
    assert result.failure == "the runtime ended with CODE"
    assert result.mismatches == result.bytes_compared


def test_more_runs_than_asked_for_are_an_error(graph: QGraph, picture: U8, tmp_path: Path) -> None:
    records = run_records(graph, picture)
    with pytest.raises(ToolError, match="wrote more results than there are pictures"):
        check(graph, picture, records * 2, tmp_path)


def test_the_host_counts_no_instructions(graph: QGraph, picture: U8, tmp_path: Path) -> None:
    assert check(graph, picture, run_records(graph, picture), tmp_path, HOST.name).instructions is None
