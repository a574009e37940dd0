"""The two files that dcgen and a harness program exchange: a request with pictures, and the results.

A harness program (``firmware/port/harness``) runs the emitted firmware on the host or on an emulated machine; its
``records.h`` is the C side of this module. It runs a picture in one or both of two ways: a *measured* run is timed
as users run it, a *traced* run goes step by step and writes down every row of every tensor.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcgen.errors import ToolError
from dcgen.quant.qgraph import I32, U8

MAGIC = 0x50474344
RUN, SCORES, ROW, END, TICKS = 1, 2, 3, 4, 5
"""Kinds of records."""
NO_NODE = 0xFFFF
"""Stands in the place of a node's index in the record of the ticks that dcg_init took."""
_REQUEST = struct.Struct("<IIII")
_RECORD = struct.Struct("<HHHHI")
_OUTCOME = struct.Struct("<iIQQQ")
_TICKS = struct.Struct("<Q")


@dataclass(frozen=True)
class Row:
    """One row of one node's output plane, as the machine computed it.

    node : index of the node
    data : the row's bytes
    """

    node: int
    channel: int
    row: int
    data: memoryview


@dataclass(frozen=True)
class Outcome:
    """One run of the network on one picture.

    status : the runtime's status, 0 is success
    stack_bytes : deepest use of the stack, found by painting it; 0 where it is not measured
    ticks : of the machine's clock, from the first instruction of dcg_init to the last score
    longest_row : ticks of the longest call that pushed a row, 0 if the picture came whole or step by step
    longest_step : ticks of the longest step of a traced run, without the tracing; 0 in a measured run
    rows : every traced row; none if the run was not traced
    scores : int32 [S], or None if the status is not 0
    """

    status: int
    stack_bytes: int
    ticks: int
    longest_row: int
    longest_step: int
    rows: tuple[Row, ...]
    scores: I32 | None


@dataclass(frozen=True)
class Profile:
    """How many ticks of the machine's clock each part of one run took. The run is cold: dcg_init is part of it.

    init : of dcg_init
    nodes : of each node that does any work, by the node's index
    scores : int32 [S]
    """

    init: int
    nodes: Mapping[int, int]
    scores: I32


def write_request(path: Path, pictures: U8, *, measured: int, traced: int) -> None:
    """Write pictures, uint8 [N, H, W, C], and for how many of the first ones a run is asked for.

    measured, traced : how many get a measured run, and how many a traced one
    """
    with path.open("wb") as file:
        file.write(_REQUEST.pack(MAGIC, len(pictures), measured, traced))
        file.write(np.ascontiguousarray(pictures).data)


def read_results(path: Path) -> Iterator[Outcome]:
    """The runs in the order in which they were made: of each picture the measured one, then the traced one.

    Raises ToolError where the file breaks off or holds anything but records.
    """
    rows: list[Row] = []
    outcome: tuple[int, int, int, int, int] | None = None
    for kind, node, channel, row, payload in _records(path):
        if outcome is not None:
            scores = np.frombuffer(payload, "<i4").astype(np.int32) if kind == SCORES else None
            yield Outcome(*outcome, tuple(rows), scores)
            rows, outcome = [], None
            if kind == SCORES:
                continue
        if kind == ROW:
            rows.append(Row(node, channel, row, payload))
        elif kind == RUN and len(payload) == _OUTCOME.size:
            outcome = _OUTCOME.unpack(payload)
        elif kind != END:
            raise _unknown(path, kind, payload)


def read_profile(path: Path) -> Profile:
    """What the profile program has written. Raises ToolError where the file holds anything else."""
    ticks: Counter[int] = Counter()
    scores: I32 | None = None
    for kind, node, _, _, payload in _records(path):
        if kind == TICKS and len(payload) == _TICKS.size:
            ticks[node] += _TICKS.unpack(payload)[0]
        elif kind == SCORES:
            scores = np.frombuffer(payload, "<i4").astype(np.int32)
        elif kind != END:
            raise _unknown(path, kind, payload)
    if scores is None:
        raise ToolError(path.name, "holds no scores")
    return Profile(ticks.pop(NO_NODE, 0), ticks, scores)


def _records(path: Path) -> Iterator[tuple[int, int, int, int, memoryview]]:
    """Kind, node, channel, row and payload of each record, the end record as the last."""
    data = memoryview(path.read_bytes())
    position, kind = 0, None
    while kind != END:
        if position + _RECORD.size > len(data):
            raise ToolError(path.name, "breaks off, expected an end record")
        kind, node, channel, row, size = _RECORD.unpack_from(data, position)
        position += _RECORD.size
        payload = data[position : position + size]
        position += size
        if len(payload) != size:
            raise ToolError(path.name, "breaks off inside a record")
        yield kind, node, channel, row, payload


def _unknown(path: Path, kind: int, payload: memoryview) -> ToolError:
    """The error to raise for a record that does not belong into the file."""
    return ToolError(path.name, f"holds an unknown record {kind} of {len(payload)} bytes")
