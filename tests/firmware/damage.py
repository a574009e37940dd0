"""Damaged and forged blobs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from dcgen.encode.schema import CONV_HEADER, HEADER, NODE_HEADER, Kind


def reseal(data: bytes) -> bytes:
    """``data`` with the checksums of the blob and of its sections made right again, as far as the sections' sizes
    lead from one to the next."""
    out = bytearray(data)
    if len(out) < HEADER.size:
        return data
    at = HEADER.unpack(out)["layers_offset"]
    while at + NODE_HEADER.size <= len(out):
        size = NODE_HEADER.unpack(out, at)["section_bytes"]
        if size < NODE_HEADER.size or at + size > len(out):
            break
        struct.pack_into("<I", out, at, zlib.crc32(out[at + 4 : at + size]))
        at += size
    struct.pack_into("<I", out, HEADER.offset("blob_crc"), zlib.crc32(out[16:]))
    return bytes(out)


def sections(data: bytes) -> Iterator[tuple[int, dict[str, int]]]:
    """Offset and NodeHeader of each layer section of a sound blob."""
    header = HEADER.unpack(data)
    at = header["layers_offset"]
    for _ in range(header["n_nodes"]):
        node = NODE_HEADER.unpack(data, at)
        yield at, node
        at += node["section_bytes"]


def forged_fields(data: bytes) -> Iterator[bytes]:
    """Blobs with one field of one header set to a value that tends to break readers, for every field; resealed."""
    places = [(HEADER, 0)]
    for at, node in sections(data):
        places.append((NODE_HEADER, at))
        if node["kind"] == Kind.CONV:
            places.append((CONV_HEADER, at + NODE_HEADER.size))
    for record, base in places:
        for field in record.fields:
            if field.name in ("blob_crc", "section_crc"):
                continue
            old = record.unpack(data, base)[field.name]
            size = struct.calcsize(f"<{field.format}")
            top = (1 << 8 * size) - 1
            values = (0, 1, 2, 3, 4, 8, 13, 16, 33, 255, top // 2, top // 2 + 1, top - 3, top)
            near = () if field.format == "f" else (old - 4, old - 1, old + 1, old + 4, 2 * old)
            for value in {v & top for v in (*values, *near)}:
                forged = bytearray(data)
                at = base + record.offset(field.name)
                forged[at : at + size] = value.to_bytes(size, "little")
                yield reseal(bytes(forged))


def random_damage(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """``count`` blobs, each cut off, or with flipped bits, overwritten bytes or exchanged words; two thirds are
    resealed."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        out = bytearray(data)
        match int(rng.integers(0, 5)):
            case 0:
                out = out[: int(rng.integers(0, len(out)))]
            case 1 | 2:
                for _ in range(int(rng.integers(1, 4))):
                    out[int(rng.integers(0, len(out)))] ^= 1 << int(rng.integers(0, 8))
            case 3:
                at, n = int(rng.integers(0, len(out))), int(rng.integers(1, 16))
                out[at : at + n] = rng.bytes(len(out[at : at + n]))
            case _:
                a, b = (4 * int(v) for v in rng.integers(0, len(out) // 4, 2))
                out[a : a + 4], out[b : b + 4] = out[b : b + 4], out[a : a + 4]
        if i % 3 and len(out) > HEADER.size:
            # A resealed truncation also claims its new length, so that the parser goes on.
            struct.pack_into("<I", out, HEADER.offset("blob_bytes"), len(out) & ~3)
        yield reseal(bytes(out[: len(out) & ~3])) if i % 3 else bytes(out)
