"""The two files between dcgen and a harness program; ``firmware/port/harness/records.h`` is the C side."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcgen.errors import ToolError
from dcgen.quant.qgraph import I32, U8

MAGIC = 0x50474344
RUN, SCORES, ROW, END = 1, 2, 3, 4
_REQUEST = struct.Struct("<IIII")
_RECORD = struct.Struct("<HHHHI")
_OUTCOME = struct.Struct("<iIQQ")


@dataclass(frozen=True)
class Row:
    """One row of one node's output plane, as the machine computed it."""

    node: int
    channel: int
    row: int
    data: memoryview


@dataclass(frozen=True)
class Outcome:
    """One run of the network on one picture.

    status : the runtime's status, 0 is success
    stack_bytes : painted high-water mark, 0 where not measured
    ticks : of the machine's clock, from the first instruction of dcg_init to the last score
    longest_row : of the longest call that pushed a row, 0 if the picture came whole
    rows : every traced row; none if the run was not traced
    scores : int32 [S], or None if the status is not 0
    """

    status: int
    stack_bytes: int
    ticks: int
    longest_row: int
    rows: tuple[Row, ...]
    scores: I32 | None


def write_request(path: Path, pictures: U8, *, measured: int, traced: int) -> None:
    """Write pictures uint8 [N, H, W, C], the first ``measured`` and ``traced`` of them to be so run."""
    with path.open("wb") as file:
        file.write(_REQUEST.pack(MAGIC, len(pictures), measured, traced))
        file.write(np.ascontiguousarray(pictures).data)


def read_results(path: Path) -> Iterator[Outcome]:
    """The runs in the order they were made: of each picture the measured one, then the traced one.

    Raises ToolError where the file breaks off or holds anything but records.
    """
    data = memoryview(path.read_bytes())
    position = 0
    rows: list[Row] = []
    outcome: tuple[int, int, int, int] | None = None
    while True:
        if position + _RECORD.size > len(data):
            raise ToolError(path.name, "breaks off, expected an end record")
        kind, node, channel, row, size = _RECORD.unpack_from(data, position)
        position += _RECORD.size
        payload = data[position : position + size]
        position += size
        if len(payload) != size:
            raise ToolError(path.name, "breaks off inside a record")
        if outcome is not None:
            scores = np.frombuffer(payload, "<i4").astype(np.int32) if kind == SCORES else None
            yield Outcome(*outcome, tuple(rows), scores)
            rows, outcome = [], None
            if kind == SCORES:
                continue
        if kind == ROW:
            rows.append(Row(node, channel, row, payload))
        elif kind == RUN and size == _OUTCOME.size:
            outcome = _OUTCOME.unpack(payload)
        elif kind == END:
            return
        else:
            raise ToolError(path.name, f"holds an unknown record {kind} of {size} bytes")
