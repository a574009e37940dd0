"""Packets of the blob stream, damaged as links, flash and forgers do, and what they still mean.

The header and the whole file's check sum never reach the gateware: the driver compares them. What does
reach it are packets: the tensors section, and each node's section as often as the command list has it.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dcgen.encode.layers import Convolution
from dcgen.encode.layout import Layout, Section, take_apart
from dcgen.encode.operators import plain_op
from dcgen.encode.schema import CONV_HEADER, NODE_HEADER, TENSOR_SCALE, Kind
from dcgen.errors import BlobError
from dcgen.quant.qgraph import QGraph, QNode, QTensor

SEALED_PARTS = 2
"""One blob in this many keeps a check sum that gives the damage away."""


@dataclass(frozen=True)
class Packets:
    """The packets that a sender makes of one blob.

    tensors : the tensors section
    nodes : the section of each node
    """

    tensors: bytes
    nodes: tuple[bytes, ...]


def packets(blob: bytes) -> Packets:
    """The packets of a sound blob."""
    layout = take_apart(blob)
    start = layout.header["tensors_offset"]
    nodes = tuple(blob[s.offset : s.offset + s.fields["section_bytes"]] for s in layout.sections)
    return Packets(blob[start : start + layout.header["tensors_bytes"]], nodes)


def seal(section: bytes) -> bytes:
    """``section`` with the check sum that fits its contents."""
    return struct.pack("<I", zlib.crc32(section[4:])) + section[4:]


def damaged(sound: Packets, seed: int) -> Packets:
    """``sound`` with one to three faults in one packet; for half of the seeds the check sum fits the faults."""
    rng = random.Random(seed)
    if rng.random() < 0.05:
        return replace(sound, tensors=_hurt(rng, sound.tensors, TENSOR_SCALE.size))
    weighted = [
        n for n, section in enumerate(sound.nodes) for _ in range(1 + (len(section) > NODE_HEADER.size) * 3)
    ]
    n = rng.choice(weighted)
    section = sound.nodes[n]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        section = _hurt(rng, section, NODE_HEADER.size + CONV_HEADER.size)
    if seed % SEALED_PARTS == 0:
        section = seal(section)
    return replace(sound, nodes=(*sound.nodes[:n], section, *sound.nodes[n + 1 :]))


def _hurt(rng: random.Random, data: bytes, head: int) -> bytes:
    """Make one fault. It hits the header, which has fields, as often as all that follows."""
    out = bytearray(data)
    kind = rng.choice(("bit", "bit", "byte", "extreme", "words", "copy"))
    at = rng.randrange(min(head, len(out))) if rng.random() < 0.5 else rng.randrange(len(out))
    match kind:
        case "bit":
            out[at] ^= 1 << rng.randrange(8)
        case "byte":
            out[at] = rng.randrange(256)
        case "extreme":
            out[at] = rng.choice((0, 1, 127, 128, 255))
        case "copy":
            out[at] = out[rng.randrange(len(out))]
        case _ if rng.random() < 0.5:
            del out[-4 * rng.randint(1, max(1, len(out) // 8)) :]
            out = out or bytearray(data[:4])
        case _:
            out += bytes(4 * rng.randint(1, 4))
    return bytes(out)


def meaning(sound: bytes, sent: Packets, names: Sequence[str]) -> QGraph:
    """The network that ``sent`` stands for under the topology of the blob ``sound``.

    Raises BlobError where a reader must refuse it. That accumulators may wrap is no reason: wrapping is defined,
    and it is the compiler, not the reader, that proves that it cannot happen.
    """
    layout = take_apart(sound)
    zero_points, pad = _tensors(layout, sent.tensors)
    nodes = []
    for n, (name, record, data) in enumerate(zip(names[1:], layout.nodes, sent.nodes, strict=True)):
        section = _section(f"section {n}", record.kind, data)
        if record.kind is Kind.CONV:
            conv = Convolution(name, layout, record, section)
            op = conv.op()
        else:
            op = plain_op(name, record, section)
        nodes.append(QNode(name, op, tuple(names[i] for i in record.inputs)))
    tensors = {
        name: QTensor(name, shape, 1.0, zero, pad if not i else (zero,) * shape[0])
        for i, (name, shape, zero) in enumerate(zip(names[:-1], layout.shapes, zero_points, strict=True))
    }
    return QGraph("sent", tensors[names[0]], tensors, tuple(nodes), layout.score_scales[0])


def _tensors(layout: Layout, data: bytes) -> tuple[list[int], tuple[int, ...]]:
    count, channels = len(layout.shapes), layout.shapes[0][0]
    used = count * TENSOR_SCALE.size + channels
    if len(data) != (used + 3) // 4 * 4 or any(data[used:]):
        raise BlobError("tensors", f"section has {len(data)} bytes, or padding that is not zero", code="HEADER")
    zero_points = []
    for at in range(0, count * TENSOR_SCALE.size, TENSOR_SCALE.size):
        _, zero, *reserved = struct.unpack_from(TENSOR_SCALE.format, data, at)
        if any(reserved):
            raise BlobError("tensors", "a reserved field is not zero", code="HEADER")
        zero_points.append(zero)
    return zero_points, tuple(data[used - channels : used])


def _section(name: str, kind: Kind, data: bytes) -> Section:
    head = NODE_HEADER.size + (CONV_HEADER.size if kind is Kind.CONV else 0)
    if len(data) < head:
        raise BlobError(name, f"has {len(data)} bytes, expected {head}", code="SECTION")
    fields = NODE_HEADER.unpack(data, 0)
    if fields["section_bytes"] != len(data) or (kind is not Kind.CONV and len(data) != head):
        raise BlobError(name, f"says {fields['section_bytes']} bytes, has {len(data)}", code="SECTION")
    if zlib.crc32(data[4:]) != fields["section_crc"]:
        raise BlobError(name, "is damaged", code="SECTION_CRC")
    if fields["kind"] != kind:
        raise BlobError(name, f"is of kind {fields['kind']}, expected {kind}", code="LAYER")
    conv = CONV_HEADER.unpack(data, NODE_HEADER.size) if kind is Kind.CONV else {}
    return Section(0, fields, conv, memoryview(data)[head:])


def campaign(sound: Packets, count: int, first_seed: int = 0) -> Iterator[Packets]:
    """``count`` sets of damaged packets, each different from ``sound``."""
    seed = first_seed
    while count:
        sent = damaged(sound, seed)
        seed += 1
        if sent != sound:
            count -= 1
            yield sent
