"""Writes a blob, and accounts for each of its bytes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from dcgen.encode.coding import CodingSettings
from dcgen.encode.operators import NodeFields, fits, node_fields
from dcgen.encode.schema import (
    CRC_START,
    HEADER,
    MAGIC,
    NODE_TOPOLOGY,
    TENSOR_SCALE,
    TENSOR_SHAPE,
    VERSION,
    hash_topology,
)
from dcgen.encode.sections import BlobLayer, layer_section
from dcgen.errors import NumericError
from dcgen.quant.qgraph import QGraph
from dcgen.quant.verify import verify


@dataclass(frozen=True, eq=False)
class Blob:
    """A whole blob.

    header, topology, tensors : bytes of these sections; with those of the layers they add up to ``len(data)``
    layers : one for each node
    max_filter_entries : most non-zero weights in one output channel of any layer
    max_code_bits : length of the longest code of any table
    """

    data: bytes
    header: int
    topology: int
    tensors: int
    layers: tuple[BlobLayer, ...]
    topology_hash: int
    max_filter_entries: int
    max_code_bits: int


def encode(graph: QGraph, settings: CodingSettings | None = None) -> Blob:
    """The blob of ``graph``. Equal arguments give equal bytes.

    settings : default ``CodingSettings()``

    Scales are rounded to float32 and level indices permuted; everything else is kept exactly.

    Raises GraphError or NumericError where ``graph`` breaks its rules or the format's ranges.
    """
    verify(graph)
    settings = settings or CodingSettings()
    number = {name: i for i, name in enumerate((graph.input.name, *(n.name for n in graph.nodes)))}
    fields = [node_fields(n.name, n.op) for n in graph.nodes]
    topology = _topology(graph, number, fields)
    tensors = _tensors(graph)
    sections = [layer_section(n, graph, f, settings) for n, f in zip(graph.nodes, fields, strict=True)]
    topology_hash = hash_topology(topology)
    max_filter = max(s.max_filter_entries for s in sections)
    max_bits = max(s.max_code_bits for s in sections)
    tensors_offset = HEADER.size + len(topology)
    layers_offset = tensors_offset + len(tensors)
    body = topology + tensors + b"".join(s.data for s in sections)
    header = HEADER.pack(
        magic=MAGIC,
        version=VERSION,
        header_bytes=HEADER.size,
        blob_bytes=HEADER.size + len(body),
        topology_hash=topology_hash,
        topology_offset=HEADER.size,
        topology_bytes=len(topology),
        tensors_offset=tensors_offset,
        tensors_bytes=len(tensors),
        layers_offset=layers_offset,
        n_tensors=1 + len(graph.byte_nodes),
        n_nodes=len(graph.nodes),
        n_scores=graph.n_scores,
        max_filter_entries=max_filter,
        score_scale=_single(graph.name, graph.score_scale),
        max_code_bits=max_bits,
    )
    data = bytearray(header + body)
    struct.pack_into("<I", data, HEADER.offset("blob_crc"), zlib.crc32(data[CRC_START:]))
    return Blob(
        bytes(data),
        HEADER.size,
        len(topology),
        len(tensors),
        tuple(s.layer for s in sections),
        topology_hash,
        max_filter,
        max_bits,
    )


def _pad4(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _single(thing: str, scale: float) -> float:
    """``scale`` if it is a float32 above zero, else NumericError."""
    if not (np.isfinite(scale) and 0 < np.float32(scale) < np.inf):
        raise NumericError(thing, f"scale {scale!r} is no positive float32")
    return scale


def _topology(graph: QGraph, number: dict[str, int], fields: list[NodeFields]) -> bytes:
    """The topology section. ``number`` : of each tensor, by name."""
    out = bytearray()
    for tensor in (graph.input, *(graph.tensors[n.name] for n in graph.byte_nodes)):
        c, h, w = (fits(tensor.name, "a dimension", d, 16, 1) for d in tensor.shape)
        out += TENSOR_SHAPE.pack(channels=c, height=h, width=w)
    for node, f in zip(graph.nodes, fields, strict=True):
        values = {"kind": int(f.kind), "n_inputs": len(node.inputs), "flags": int(f.flags), **f.topology}
        for what, value in values.items():
            fits(node.name, what, value, 16)
        out += NODE_TOPOLOGY.pack(**values)
        out += _pad4(np.array([number[i] for i in node.inputs], "<u2").tobytes())
    return bytes(out)


def _tensors(graph: QGraph) -> bytes:
    """The tensors section."""
    out = bytearray()
    for tensor in (graph.input, *(graph.tensors[n.name] for n in graph.byte_nodes)):
        if tensor is not graph.input and set(tensor.pad) != {tensor.zero_point}:
            raise NumericError(tensor.name, "pads with another byte than its zero point; only an input may")
        out += TENSOR_SCALE.pack(
            scale=_single(tensor.name, tensor.scale),
            zero_point=fits(tensor.name, "the zero point", tensor.zero_point, 8),
        )
    for node, scale in zip(graph.score_nodes[1:], graph.more_scales, strict=True):
        out += TENSOR_SCALE.pack(scale=_single(node.name, scale))
    return _pad4(bytes(out) + bytes(graph.input.pad))
