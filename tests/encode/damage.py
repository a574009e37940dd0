"""Damages topology and tensors of a blob, which firmware compares with its plan and only Python parses."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dcgen.encode.schema import HEADER, NODE_TOPOLOGY, TENSOR_SCALE, TENSOR_SHAPE, Record, hash_topology
from tests.firmware.damage import reseal


def reseal_all(data: bytes) -> bytes:
    """``data`` with its topology hash, and then its check sums, made right again."""
    if len(data) < HEADER.size:
        return data
    out = bytearray(data)
    header = HEADER.unpack(data)
    start = header["topology_offset"]
    topology = data[start : start + header["topology_bytes"]]
    struct.pack_into("<Q", out, HEADER.offset("topology_hash"), hash_topology(topology))
    return reseal(bytes(out))


def network_records(data: bytes) -> Iterator[tuple[Record, int]]:
    """Every record of the topology and tensors sections of a sound blob, and where it starts."""
    header = HEADER.unpack(data)
    at = header["topology_offset"]
    for _ in range(header["n_tensors"]):
        yield TENSOR_SHAPE, at
        at += TENSOR_SHAPE.size
    for _ in range(header["n_nodes"]):
        yield NODE_TOPOLOGY, at
        n_inputs = NODE_TOPOLOGY.unpack(data, at)["n_inputs"]
        at += NODE_TOPOLOGY.size + 2 * (n_inputs + n_inputs % 2)
    for t in range(header["n_tensors"]):
        yield TENSOR_SCALE, header["tensors_offset"] + t * TENSOR_SCALE.size


def changed(data: bytes, record: Record, base: int, field: str, value: float) -> bytes:
    """``data`` with one field of the ``record`` at ``base`` set to ``value``, and resealed."""
    out = bytearray(data)
    form = next(f.format for f in record.fields if f.name == field)
    struct.pack_into(f"<{form}", out, base + record.offset(field), value)
    return reseal_all(bytes(out))


def forged_network(data: bytes) -> Iterator[bytes]:
    """Blobs in which one field of the topology or tensors section has a value that tends to break readers."""
    for record, base in network_records(data):
        for field in record.fields:
            if field.format == "f":
                values: tuple[float, ...] = (0.0, -1.0, float("nan"), float("inf"), 2.0)
            else:
                top = (1 << 8 * struct.calcsize(field.format)) - 1
                old = record.unpack(data, base)[field.name]
                values = tuple({v & top for v in (0, 1, 2, 3, 7, 255, top, old - 1, old + 1)})
            for value in values:
                yield changed(data, record, base, field.name, value)
