import struct
from pathlib import Path

import numpy as np
import pytest

from dcgen.errors import ToolError
from dcgen.verify.records import read_profile, read_results, write_request


def record(kind: int, node: int = 0, channel: int = 0, row: int = 0, data: bytes = b"") -> bytes:
    return struct.pack("<HHHHI", kind, node, channel, row, len(data)) + data


RUN = record(1, data=struct.pack("<iIQQQ", 0, 512, 2**33 + 5, 77, 66))
SCORES = record(2, data=struct.pack("<2i", -7, 8))
END = record(4)


def test_a_request_is_a_header_and_the_camera_bytes(tmp_path: Path) -> None:
    pictures = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    write_request(tmp_path / "p", pictures[:, ::-1], measured=1, traced=2)
    data = (tmp_path / "p").read_bytes()
    assert struct.unpack_from("<IIII", data) == (0x50474344, 2, 1, 2)
    assert data[16:] == pictures[:, ::-1].tobytes()


def test_runs_come_back_one_by_one_with_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "r"
    row = record(3, 4, 2, 1, b"abc")
    path.write_bytes(RUN + SCORES + row + row + RUN + SCORES + END)
    measured, traced = read_results(path)
    assert (measured.status, measured.stack_bytes, measured.ticks) == (0, 512, 2**33 + 5)
    assert (measured.longest_row, measured.longest_step, measured.rows) == (77, 66, ())
    assert [(r.node, r.channel, r.row, bytes(r.data)) for r in traced.rows] == [(4, 2, 1, b"abc")] * 2
    assert traced.scores is not None
    assert traced.scores.tolist() == [-7, 8]


def test_a_run_that_failed_has_a_status_and_no_scores(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(record(1, data=struct.pack("<iIQQQ", 14, 0, 0, 0, 0)) + END)
    (outcome,) = read_results(path)
    assert outcome.status == 14
    assert outcome.scores is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "breaks off, expected an end record"),
        (RUN + SCORES, "breaks off, expected an end record"),
        (RUN + SCORES[:-1], "breaks off inside a record"),
        (record(9, data=b"xy") + END, "holds an unknown record 9 of 2 bytes"),
        (record(1, data=b"xy") + END, "holds an unknown record 1 of 2 bytes"),
    ],
)
def test_a_broken_file_is_an_error(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "r"
    path.write_bytes(data)
    with pytest.raises(ToolError, match=message):
        list(read_results(path))


TICKS = record(5, 0xFFFF, data=struct.pack("<Q", 70)) + b"".join(
    record(5, node, data=struct.pack("<Q", ticks)) for node, ticks in ((0, 2**33), (2, 5), (0, 1))
)


def test_a_profile_sums_the_ticks_of_each_node(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(TICKS + SCORES + END)
    profile = read_profile(path)
    assert (profile.init, profile.nodes) == (70, {0: 2**33 + 1, 2: 5})
    assert profile.scores.tolist() == [-7, 8]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TICKS + END, "holds no scores"),
        (TICKS + SCORES, "breaks off, expected an end record"),
        (RUN + END, "holds an unknown record 1 of 32 bytes"),
    ],
)
def test_a_broken_profile_is_an_error(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "r"
    path.write_bytes(data)
    with pytest.raises(ToolError, match=message):
        read_profile(path)
