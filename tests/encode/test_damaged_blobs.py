"""A damaged blob is refused with a BlobError, or what it decodes to is a network that keeps its rules."""

from __future__ import annotations

import itertools
import resource
import struct
import time
import zlib
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.codings import CodingName
from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.encode.reader import decode, describe
from dcgen.encode.schema import (
    CONV_HEADER,
    CRC_START,
    HEADER,
    NODE_HEADER,
    NODE_TOPOLOGY,
    TENSOR_SHAPE,
    Kind,
    Record,
    Status,
)
from dcgen.errors import BlobError
from dcgen.quant.qgraph import QGraph, QTable
from dcgen.quant.verify import verify
from tests.encode.damage import changed, forged_network, network_records, reseal_all
from tests.firmware.damage import forged_fields, random_damage, sections
from tests.firmware.nets import every_operator
from tests.strategies import qgraphs

CODINGS = ("joint", "deep-compression")


@pytest.fixture(scope="module", params=CODINGS)
def blob(request: pytest.FixtureRequest) -> bytes:
    return encode(every_operator(3), CodingSettings(request.param)).data


def outcome(data: bytes) -> Status:
    """OK if the blob decodes to a valid network, else the status of the BlobError that refuses it."""
    try:
        verify(decode(data))
    except BlobError as error:
        assert "\n" not in str(error)
        assert Status[error.code] not in (Status.OK, Status.ARENA_SIZE, Status.CAPACITY, Status.SELFTEST)
        return Status[error.code]
    return Status.OK


def outcomes(blobs: Iterable[bytes]) -> set[Status]:
    return {outcome(b) for b in blobs}


def test_truncated_anywhere(blob: bytes) -> None:
    assert outcomes(blob[:n] for n in range(0, len(blob))) == {Status.TRUNCATED}


def test_bytes_behind_the_end_are_refused(blob: bytes) -> None:
    assert outcome(blob + bytes(4)) is Status.HEADER


def test_any_flipped_bit(blob: bytes) -> None:
    flipped = []
    for bit in itertools.chain(range(8 * HEADER.size), range(8 * HEADER.size, 8 * len(blob), 7)):
        out = bytearray(blob)
        out[bit // 8] ^= 1 << bit % 8
        flipped.append(bytes(out))
    found = outcomes(flipped)
    assert found == {Status.MAGIC, Status.VERSION, Status.TRUNCATED, Status.HEADER, Status.BLOB_CRC}


def test_forged_fields(blob: bytes) -> None:
    found = outcomes(itertools.islice(forged_fields(blob), 0, None, 7))
    assert found >= {Status.MAGIC, Status.VERSION, Status.TRUNCATED, Status.HEADER, Status.TOPOLOGY}
    assert found >= {Status.SECTION, Status.LAYER, Status.TABLE, Status.STREAM}


def test_forged_networks(blob: bytes) -> None:
    assert outcomes(itertools.islice(forged_network(blob), 0, None, 3)) >= {
        Status.OK,
        Status.HEADER,
        Status.TOPOLOGY,
    }


def test_random_damage(blob: bytes) -> None:
    assert len(outcomes(random_damage(blob, 500, 1))) > 8


@pytest.mark.slow
def test_every_forged_field(blob: bytes) -> None:
    outcomes(forged_fields(blob))
    outcomes(forged_network(blob))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_random_damage_long(blob: bytes, seed: int) -> None:
    outcomes(random_damage(blob, 5000, seed))


@settings(max_examples=60, deadline=None)
@given(qgraphs(), st.sampled_from(CODINGS), st.data())
def test_any_network_damaged_anywhere_and_resealed(graph: QGraph, coding: CodingName, data: st.DataObject) -> None:
    blob = bytearray(encode(graph, CodingSettings(coding)).data)
    for _ in range(10):
        out = bytearray(blob)
        for _ in range(data.draw(st.integers(1, 3))):
            out[data.draw(st.integers(HEADER.size, len(blob) - 1))] = data.draw(st.integers(0, 255))
        outcome(reseal_all(bytes(out)))


def _place(blob: bytes, record: Record) -> int:
    """Offset of the first such record that belongs to a convolution, or to the network."""
    if record is HEADER:
        return 0
    for found, at in network_records(blob):
        is_conv = found is NODE_TOPOLOGY and NODE_TOPOLOGY.unpack(blob, at)["kind"] == Kind.CONV
        if found is record and (is_conv or found is not NODE_TOPOLOGY):
            return at
    at = next(at for at, node in sections(blob) if node["kind"] == Kind.CONV)
    return at + (NODE_HEADER.size if record is CONV_HEADER else 0)


@pytest.mark.parametrize(
    ("record", "field", "value", "code"),
    [
        (HEADER, "magic", 0, "MAGIC"),
        (HEADER, "version", 2, "VERSION"),
        (HEADER, "header_bytes", 60, "HEADER"),
        (HEADER, "blob_bytes", 1 << 31, "TRUNCATED"),
        (HEADER, "topology_bytes", 1 << 30, "HEADER"),
        (HEADER, "n_nodes", 0, "HEADER"),
        (HEADER, "n_scores", 0, "HEADER"),
        (HEADER, "max_filter_entries", 0, "HEADER"),
        (HEADER, "max_code_bits", 13, "HEADER"),
        (HEADER, "score_scale", float("nan"), "HEADER"),
        (HEADER, "reserved", 1, "HEADER"),
        (TENSOR_SHAPE, "reserved", 1, "HEADER"),
        (TENSOR_SHAPE, "channels", 0, "TOPOLOGY"),
        (TENSOR_SHAPE, "width", 60000, "TOPOLOGY"),
        (NODE_TOPOLOGY, "kind", 10, "TOPOLOGY"),
        (NODE_TOPOLOGY, "flags", 128, "TOPOLOGY"),
        (NODE_TOPOLOGY, "stride_h", 0, "TOPOLOGY"),
        (NODE_TOPOLOGY, "groups", 0, "TOPOLOGY"),
        (NODE_TOPOLOGY, "out_channels", 65535, "SECTION"),
        (NODE_HEADER, "section_bytes", 20, "SECTION"),
        (NODE_HEADER, "kind", 2, "LAYER"),
        (NODE_HEADER, "flags", 2, "LAYER"),
        (NODE_HEADER, "bias_shift", 32, "LAYER"),
        (NODE_HEADER, "factor0", 1, "LAYER"),
        (CONV_HEADER, "n_levels", 0, "LAYER"),
        (CONV_HEADER, "n_levels", 257, "LAYER"),
        (CONV_HEADER, "level_bytes", 3, "LAYER"),
        (CONV_HEADER, "bias_bytes", 3, "LAYER"),
        (CONV_HEADER, "coding", 2, "LAYER"),
        (CONV_HEADER, "level_bits", 9, "LAYER"),
        (CONV_HEADER, "run_bits", 13, "LAYER"),
        (CONV_HEADER, "reserved", 1, "HEADER"),
        (CONV_HEADER, "n_entries", 0, "STREAM"),
        (CONV_HEADER, "n_entries", 1 << 20, "LAYER"),
        (CONV_HEADER, "stream_bits", 0xFFFFFFFF, "SECTION"),
        (CONV_HEADER, "table_bytes", 0xFFFF, "SECTION"),
        (CONV_HEADER, "max_filter_entries", 0, "LAYER"),
        (CONV_HEADER, "stream_bytes", 0, "SECTION"),
        (CONV_HEADER, "table_bytes", 3, "TABLE"),
    ],
    ids=lambda v: v.name if isinstance(v, Record) else str(v),
)
def test_each_defect_has_its_code(blob: bytes, record: Record, field: str, value: float, code: str) -> None:
    assert outcome(changed(blob, record, _place(blob, record), field, value)).name == code


@pytest.mark.parametrize(
    ("kind", "field", "value", "code"),
    [
        (Kind.TABLE, "section_bytes", NODE_HEADER.size, "SECTION"),
        (Kind.TABLE, "section_bytes", NODE_HEADER.size + 252, "SECTION"),
        (Kind.TABLE, "lo", 1, "LAYER"),
        (Kind.TABLE, "hi", 254, "LAYER"),
        (Kind.MUL, "factor0", 0, "LAYER"),
        (Kind.MUL, "factor0", 1 << 16, "LAYER"),
        (Kind.MUL, "factor1", 1, "LAYER"),
        (Kind.MUL, "shift", 16, "LAYER"),
    ],
)
def test_each_defect_of_a_table_or_a_product_has_its_code(
    blob: bytes, kind: Kind, field: str, value: int, code: str
) -> None:
    at = next(at for at, node in sections(blob) if node["kind"] == kind)
    assert outcome(changed(blob, NODE_HEADER, at, field, value)).name == code


def test_any_bytes_are_a_table(blob: bytes) -> None:
    at = next(at for at, node in sections(blob) if node["kind"] == Kind.TABLE) + NODE_HEADER.size
    other = bytes(range(255, -1, -1))
    out = reseal_all(blob[:at] + other + blob[at + 256 :])
    assert [n.op.table.tobytes() for n in decode(out).nodes if isinstance(n.op, QTable)] == [other]


def test_a_damaged_section_in_a_sealed_blob(blob: bytes) -> None:
    at, _ = next(sections(blob))
    out = bytearray(blob)
    out[at] ^= 1
    struct.pack_into("<I", out, HEADER.offset("blob_crc"), zlib.crc32(out[CRC_START:]))
    assert outcome(bytes(out)) is Status.SECTION_CRC


def test_a_claim_of_huge_tensors_costs_neither_time_nor_memory(blob: bytes) -> None:
    data = blob
    for record, at in network_records(blob):
        if record is TENSOR_SHAPE:
            for field in ("channels", "height", "width"):
                data = changed(data, record, at, field, 65535)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    assert outcome(data) is Status.TOPOLOGY
    assert time.perf_counter() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_describe_refuses_damage_too(blob: bytes) -> None:
    with pytest.raises(BlobError, match=r"blob: is damaged: its CRC is not 0x[0-9a-f]{8}"):
        describe(blob[:-1] + b"\1")


def test_noise_is_refused() -> None:
    rng = np.random.default_rng(0)
    assert outcomes(rng.bytes(int(n)) for n in rng.integers(0, 300, 200)) <= {Status.TRUNCATED, Status.MAGIC}
