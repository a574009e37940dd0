"""A blob is trusted in nothing: whatever is wrong with it ends in a status, under the sanitizers."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.encode.schema import CONV_HEADER, HEADER, NODE_HEADER, Kind, Status
from dcgen.plan.firmware.segments import Cutter
from dcgen.quant.qgraph import QConv
from tests.firmware.build import Program
from tests.firmware.damage import forged_fields, random_damage, reseal, sections
from tests.firmware.nets import every_operator
from tests.firmware.test_packed import every_kernel
from tests.firmware.test_runtime import DENSE


@pytest.fixture(scope="module", params=["joint", "deep-compression", "streamed", "dense"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("damage")
    if request.param == "dense":
        return Program(folder, every_kernel(), flags=DENSE)
    graph = every_operator(3)
    if request.param == "streamed":
        schedule = Cutter(graph, streamed=True).schedule([(0, len(graph.nodes), 3)])
        return Program(folder, graph, schedule=schedule)
    return Program(folder, graph, blob=encode(graph, CodingSettings(request.param)))


def test_truncated_anywhere(program: Program) -> None:
    data = program.blob.data
    found = program.fuzz([data[:n] for n in range(len(data))])
    assert {init for init, _ in found} == {Status.TRUNCATED}


def test_any_flipped_bit(program: Program) -> None:
    """The checksum is left as it was, so it finds every flipped bit but those of the fields ahead of it."""
    data = program.blob.data
    flipped = []
    for bit in range(0, 8 * len(data), 3):
        out = bytearray(data)
        out[bit // 8] ^= 1 << bit % 8
        flipped.append(bytes(out))
    allowed = {Status.MAGIC, Status.VERSION, Status.TRUNCATED, Status.HEADER, Status.BLOB_CRC}
    assert {init for init, _ in program.fuzz(flipped)} == allowed


def test_forged_fields(program: Program) -> None:
    found = program.fuzz(list(forged_fields(program.blob.data)))
    reached = {s for pair in found for s in pair}
    assert reached >= {
        *(Status.MAGIC, Status.VERSION, Status.TRUNCATED, Status.HEADER, Status.TOPOLOGY, Status.SECTION),
        *(Status.LAYER, Status.TABLE, Status.STREAM),
    }


def test_random_damage(program: Program) -> None:
    found = program.fuzz(list(random_damage(program.blob.data, 2000, 1)))
    assert len({s for pair in found for s in pair}) > 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_random_damage_long(program: Program, seed: int) -> None:
    program.fuzz(list(random_damage(program.blob.data, 10000, seed)))


def _change(data: bytes, what: str, field: str, value: int) -> bytes:
    """``data`` with one field of the header, or of the first convolution's headers, set to ``value``; resealed."""
    at, _ = next((a, n) for a, n in sections(data) if n["kind"] == Kind.CONV)
    record, base = {
        "Header": (HEADER, 0),
        "NodeHeader": (NODE_HEADER, at),
        "ConvHeader": (CONV_HEADER, at + NODE_HEADER.size),
    }[what]
    out = bytearray(data)
    fmt = next(f.format for f in record.fields if f.name == field)
    struct.pack_into(f"<{fmt}", out, base + record.offset(field), value)
    return reseal(bytes(out))


CASES = [
    ("Header", "magic", 0, Status.MAGIC),
    ("Header", "version", 2, Status.VERSION),
    ("Header", "blob_bytes", 1 << 31, Status.TRUNCATED),
    ("Header", "blob_bytes", 60, Status.HEADER),
    ("Header", "header_bytes", 60, Status.HEADER),
    ("Header", "topology_hash", 1, Status.TOPOLOGY),
    ("Header", "topology_bytes", 0xFFFFFFFC, Status.HEADER),
    ("Header", "tensors_offset", 0, Status.HEADER),
    ("Header", "tensors_bytes", 0xFFFFFFFC, Status.HEADER),
    ("Header", "n_nodes", 1, Status.HEADER),
    ("Header", "max_code_bits", 13, Status.HEADER),
    ("NodeHeader", "section_bytes", 20, Status.SECTION),
    ("NodeHeader", "section_bytes", 0xFFFFFFFC, Status.SECTION),
    ("NodeHeader", "kind", Kind.MAX_POOL, Status.TOPOLOGY),
    ("NodeHeader", "flags", 2, Status.LAYER),
    ("NodeHeader", "bias_shift", 32, Status.LAYER),
    ("ConvHeader", "n_levels", 0, Status.LAYER),
    ("ConvHeader", "n_levels", 257, Status.LAYER),
    ("ConvHeader", "level_bytes", 3, Status.LAYER),
    ("ConvHeader", "bias_bytes", 3, Status.LAYER),
    ("ConvHeader", "coding", 2, Status.LAYER),
    ("ConvHeader", "level_bits", 9, Status.LAYER),
    ("ConvHeader", "run_bits", 13, Status.LAYER),
    ("ConvHeader", "n_entries", 1 << 20, Status.STREAM),
    ("ConvHeader", "max_filter_entries", 1 << 20, Status.LAYER),
    ("ConvHeader", "reserved", 1, Status.HEADER),
    ("ConvHeader", "stream_bits", 0xFFFFFFFF, Status.STREAM),
    ("ConvHeader", "stream_bytes", 0, Status.SECTION),
    ("ConvHeader", "table_bytes", 0xFFFF, Status.SECTION),
]


@pytest.mark.parametrize(("what", "field", "value", "status"), CASES)
def test_each_defect_has_its_status(program: Program, what: str, field: str, value: int, status: Status) -> None:
    assert program.fuzz([_change(program.blob.data, what, field, value)]) == [(status, Status.OK)]


def test_a_table_has_256_bytes_and_a_product_a_factor(program: Program) -> None:
    data = program.blob.data
    places = {node["kind"]: at for at, node in sections(data)}
    if Kind.TABLE not in places:
        return
    for kind, field, value, status in (
        (Kind.TABLE, "section_bytes", NODE_HEADER.size, Status.SECTION),
        (Kind.TABLE, "section_bytes", NODE_HEADER.size + 252, Status.SECTION),
        (Kind.TABLE, "kind", Kind.PAD, Status.TOPOLOGY),
        (Kind.MUL, "factor0", 0, Status.LAYER),
        (Kind.MUL, "factor0", 1 << 16, Status.LAYER),
        (Kind.MUL, "shift", 16, Status.LAYER),
        (Kind.MUL, "lo", 255, Status.LAYER),
    ):
        out, base = bytearray(data), places[kind] + NODE_HEADER.offset(field)
        form = next(f.format for f in NODE_HEADER.fields if f.name == field)
        struct.pack_into(f"<{form}", out, base, value)
        assert program.fuzz([reseal(bytes(out))]) == [(status, Status.OK)], (kind, field, value)


def test_a_damaged_section_behind_a_right_checksum(program: Program) -> None:
    at, _ = next(sections(program.blob.data))
    out = bytearray(reseal(program.blob.data))
    out[at] ^= 1
    struct.pack_into("<I", out, HEADER.offset("blob_crc"), zlib.crc32(out[16:]))
    assert program.fuzz([bytes(out)]) == [(Status.SECTION_CRC, Status.OK)]


def test_decoding_errors_come_from_run(program: Program) -> None:
    """A header states fewer entries than the stream holds, one bit more than they take, or fewer weights of a
    filter than there are."""
    data = program.blob.data
    at, _ = next((a, n) for a, n in sections(data) if n["kind"] == Kind.CONV)
    conv = CONV_HEADER.unpack(data, at + NODE_HEADER.size)
    fewer = _change(data, "ConvHeader", "n_entries", conv["n_entries"] - 1)
    longer = _change(data, "ConvHeader", "stream_bits", conv["stream_bits"] + 1)
    smaller = _change(data, "ConvHeader", "max_filter_entries", 0)
    expected = [Status.STREAM, Status.STREAM, Status.LAYER]
    assert program.fuzz([fewer, longer, smaller]) == [(Status.OK, s) for s in expected]


def test_a_sound_blob_runs(program: Program) -> None:
    assert program.fuzz([program.blob.data, program.blob.data + b"behind it\0\0"]) == [(Status.OK, Status.OK)] * 2


def test_a_table_the_plan_has_no_memory_for(tmp_path: Path) -> None:
    """A plan has room for tables an eighth larger than those of its own weights, not for those of ten times as
    many levels."""
    rich = every_operator(1)
    convs = {
        n.name: replace(n.op, indices=np.minimum(n.op.indices, 1)) for n in rich.nodes if isinstance(n.op, QConv)
    }
    plain = replace(rich, nodes=tuple(replace(n, op=convs.get(n.name, n.op)) for n in rich.nodes))
    assert Program(tmp_path, plain, table_bits=4).fuzz([encode(rich).data]) == [(Status.CAPACITY, Status.OK)]


def test_a_coding_the_plan_has_no_memory_for(tmp_path: Path) -> None:
    """A plan for jointly coded weights has one decoding table, separate codes need two."""
    graph = every_operator(3)
    separate = encode(graph, CodingSettings("deep-compression")).data
    assert Program(tmp_path, graph).fuzz([separate]) == [(Status.CAPACITY, Status.OK)]
