"""Writes a blob, and accounts for each of its bytes."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.coding import CodedStream, CodingSettings, code_entries
from dcgen.encode.schema import (
    CONV_HEADER,
    HEADER,
    MAGIC,
    NODE_HEADER,
    NODE_TOPOLOGY,
    TENSOR_SCALE,
    TENSOR_SHAPE,
    VERSION,
    Coding,
    Kind,
    LayerFlag,
    TopologyFlag,
)
from dcgen.encode.symbols import Entries, frequency_order
from dcgen.errors import NumericError
from dcgen.quant.qgraph import (
    QAdd,
    QAvgPool,
    QConcat,
    QConv,
    QGraph,
    QMaxPool,
    QNode,
    QOp,
    QPad,
    QScores,
    Requant,
)
from dcgen.quant.verify import verify

CRC_START = HEADER.offset("topology_hash")
"""The blob's CRC covers everything from here on."""


@dataclass(frozen=True)
class LayerSize:
    """Bytes of one layer section, part by part."""

    header: int
    levels: int = 0
    requant: int = 0
    bias: int = 0
    tables: int = 0
    stream: int = 0
    padding: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, f.name) for f in fields(self))


@dataclass(frozen=True)
class StreamFigures:
    """What a convolution's stream holds.

    weights, nonzeros : dense and non-zero weights
    n_entries : coded entries, fillers included
    level_bits, run_bits, coding : as in ``schema.CONV_HEADER``
    """

    weights: int
    nonzeros: int
    n_entries: int
    stream_bits: int
    coding: Coding
    level_bits: int
    run_bits: int


@dataclass(frozen=True)
class BlobLayer:
    """One node's section in a blob; ``stream`` for convolutions only."""

    name: str
    kind: Kind
    size: LayerSize
    stream: StreamFigures | None = None


@dataclass(frozen=True, eq=False)
class Blob:
    """A whole blob. ``header + topology + tensors + sum of the layers`` is ``len(data)``."""

    data: bytes
    header: int
    topology: int
    tensors: int
    layers: tuple[BlobLayer, ...]
    topology_hash: int
    max_filter_entries: int
    max_code_bits: int


def encode(graph: QGraph, settings: CodingSettings | None = None) -> Blob:
    """The blob of ``graph``, equal for equal inputs.

    Scales are rounded to float32 and level indices permuted; everything else is kept exactly.

    Raises GraphError or NumericError where ``graph`` breaks its rules or the format's ranges.
    """
    verify(graph)
    settings = settings or CodingSettings()
    number = {name: i for i, name in enumerate((graph.input.name, *(n.name for n in graph.nodes)))}
    topology = _topology(graph, number)
    tensors = _tensors(graph)
    sections = [_section(n, graph, settings) for n in graph.nodes]
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
        n_tensors=len(graph.nodes),
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


def hash_topology(section: bytes) -> int:
    """The topology hash: the first eight bytes of the section's SHA-256, little endian."""
    return int.from_bytes(hashlib.sha256(section).digest()[:8], "little")


def kind_of(op: QOp) -> Kind:
    match op:
        case QConv():
            return Kind.CONV
        case QMaxPool():
            return Kind.MAX_POOL
        case QAvgPool():
            return Kind.AVG_POOL
        case QAdd():
            return Kind.ADD
        case QPad():
            return Kind.PAD
        case QConcat():
            return Kind.CONCAT
        case QScores():
            return Kind.SCORES


def _pad4(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _single(thing: str, scale: float) -> float:
    if not (np.isfinite(scale) and 0 < np.float32(scale) < np.inf):
        raise NumericError(thing, f"scale {scale!r} is no positive float32")
    return scale


def _fits(thing: str, what: str, value: int, bits: int, lowest: int = 0) -> int:
    if not lowest <= value < 1 << bits:
        raise NumericError(thing, f"{what} is {value}, the blob holds {lowest}..{(1 << bits) - 1}")
    return value


def _topology(graph: QGraph, number: dict[str, int]) -> bytes:
    out = bytearray()
    for tensor in (graph.input, *(graph.tensors[n.name] for n in graph.nodes[:-1])):
        c, h, w = (_fits(tensor.name, "a dimension", d, 16, 1) for d in tensor.shape)
        out += TENSOR_SHAPE.pack(channels=c, height=h, width=w)
    for node in graph.nodes:
        values = {"kind": int(kind_of(node.op)), "n_inputs": len(node.inputs), "flags": _flags(node.op)}
        op = node.op
        if isinstance(op, QConv):
            values |= {"out_channels": len(op.bias), "groups": op.groups}
        if isinstance(op, QConv | QMaxPool | QAvgPool):
            values |= dict(zip(("kernel_h", "kernel_w"), op.kernel, strict=True))
            values |= dict(zip(("stride_h", "stride_w"), op.stride, strict=True))
        if isinstance(op, QConv | QMaxPool | QAvgPool | QPad):
            values |= dict(zip(("pad_top", "pad_left", "pad_bottom", "pad_right"), op.pads, strict=True))
        for what, value in values.items():
            _fits(node.name, what, value, 16)
        out += NODE_TOPOLOGY.pack(**values)
        out += _pad4(np.array([number[i] for i in node.inputs], "<u2").tobytes())
    return bytes(out)


def _flags(op: QOp) -> int:
    flags = TopologyFlag(0)
    if isinstance(op, QMaxPool | QAvgPool) and op.ceil:
        flags |= TopologyFlag.CEIL
    if isinstance(op, QAvgPool) and op.count_include_pad:
        flags |= TopologyFlag.COUNT_INCLUDE_PAD
    if (isinstance(op, QConv) and op.requant is None) or (isinstance(op, QScores) and op.total):
        flags |= TopologyFlag.RAW
    return int(flags)


def _tensors(graph: QGraph) -> bytes:
    out = bytearray()
    for tensor in (graph.input, *(graph.tensors[n.name] for n in graph.nodes[:-1])):
        if tensor is not graph.input and set(tensor.pad) != {tensor.zero_point}:
            raise NumericError(tensor.name, "pads with another byte than its zero point; only an input may")
        out += TENSOR_SCALE.pack(
            scale=_single(tensor.name, tensor.scale),
            zero_point=_fits(tensor.name, "the zero point", tensor.zero_point, 8),
        )
    return _pad4(bytes(out) + bytes(graph.input.pad))


@dataclass(frozen=True)
class _Section:
    data: bytes
    layer: BlobLayer
    max_filter_entries: int = 0
    max_code_bits: int = 0


def _section(node: QNode, graph: QGraph, settings: CodingSettings) -> _Section:
    op = node.op
    values = {"kind": int(kind_of(op)), "hi": 255}
    requant = getattr(op, "requant", None)
    if isinstance(requant, Requant):
        values |= _constants(node.name, requant, isinstance(op, QConv))
    if isinstance(op, QConv):
        return _conv_section(node.name, op, graph.tensors[node.inputs[0]].shape, values, settings)
    if isinstance(op, QAdd):
        if not 1 <= len(op.factors) <= 2:
            raise NumericError(node.name, f"adds {len(op.factors)} tensors, the blob holds sums of 1 or 2")
        factors = [_fits(node.name, "a factor", f, 16, -(2**16) + 1) for f in op.factors]
        values |= dict(zip(("factor0", "factor1"), factors, strict=False))
    if isinstance(op, QAvgPool):
        values["factor0"] = _fits(node.name, "the unit", op.unit, 24, 1)
    if isinstance(op, QPad):
        values["lo"] = _fits(node.name, "the value", op.value, 8)
    layer = BlobLayer(node.name, kind_of(op), LayerSize(NODE_HEADER.size))
    return _Section(seal_section(NODE_HEADER.pack(section_bytes=NODE_HEADER.size, **values)), layer)


def seal_section(section: bytes) -> bytes:
    """``section`` with its CRC."""
    return struct.pack("<I", zlib.crc32(section[4:])) + section[4:]


def _constants(name: str, requant: Requant, per_channel: bool) -> dict[str, int]:
    values = {"lo": requant.lo, "hi": requant.hi}
    if len(requant.mult) == 1:
        return values | {"mult": int(requant.mult[0]), "shift": int(requant.shift[0])}
    if not per_channel:
        raise NumericError(name, f"has {len(requant.mult)} multipliers; only a convolution may have more than one")
    return values | {"flags": int(LayerFlag.PER_CHANNEL)}


def _conv_section(
    name: str, op: QConv, input_shape: tuple[int, int, int], values: dict[str, int], settings: CodingSettings
) -> _Section:
    o, i, kh, kw = op.indices.shape
    n_levels = len(op.levels)
    order = frequency_order(op.indices.reshape(-1), n_levels)
    rank = np.zeros(256, np.uint8)
    rank[order] = np.arange(n_levels)
    entries = Entries.of(rank[op.indices])
    fully_connected = input_shape[1:] == (kh, kw) and op.groups == 1 and not any(op.pads)
    coded = code_entries(entries, n_levels, settings, fully_connected)

    levels = _narrowest(op.levels[order[1:]].astype(np.int64), (1, 2))
    stored = op.bias.astype(np.int64) >> op.bias_shift
    bias = _narrowest(stored, (2, 4))
    per_channel = values.get("flags", 0) & LayerFlag.PER_CHANNEL
    requant = b""
    if per_channel and op.requant:
        requant = op.requant.mult.astype("<u2").tobytes() + op.requant.shift.astype("u1").tobytes()
    tables = b"".join(coded.tables)
    arrays = levels.tobytes() + requant + bias.tobytes() + tables
    padding = -len(arrays) % 4
    size = LayerSize(
        header=NODE_HEADER.size + CONV_HEADER.size,
        levels=levels.nbytes,
        requant=len(requant),
        bias=bias.nbytes,
        tables=len(tables),
        stream=len(coded.data),
        padding=padding,
    )
    per_filter = entries.per_filter((o, i, kh, kw))
    conv = CONV_HEADER.pack(
        n_levels=n_levels,
        level_bytes=levels.itemsize,
        bias_bytes=bias.itemsize,
        coding=coded.code.coding,
        level_bits=coded.code.level_bits,
        run_bits=coded.code.run_bits,
        n_entries=coded.n_entries,
        max_filter_entries=int(per_filter.max()),
        stream_bits=coded.bits,
        stream_bytes=len(coded.data),
        table_bytes=len(coded.tables[0]),
        table2_bytes=len(coded.tables[1]) if len(coded.tables) > 1 else 0,
    )
    bias_shift = _fits(name, "bias_shift", op.bias_shift, 5)
    head = NODE_HEADER.pack(section_bytes=size.total, bias_shift=bias_shift, **values)
    section = seal_section(head + conv + arrays + bytes(padding) + coded.data)
    layer = BlobLayer(name, Kind.CONV, size, _figures(op, entries, coded))
    return _Section(section, layer, int(per_filter.max()), coded.code.max_code_bits)


def _narrowest(values: NDArray[np.int64], sizes: tuple[int, int]) -> NDArray[np.signedinteger]:
    """``values`` as little-endian integers of the smaller size in bytes if all of them fit."""
    small = np.dtype(f"<i{sizes[0]}")
    info = np.iinfo(small)
    fits = bool(np.all((info.min <= values) & (values <= info.max)))
    return values.astype(small if fits else np.dtype(f"<i{sizes[1]}"))


def _figures(op: QConv, entries: Entries, coded: CodedStream) -> StreamFigures:
    code = coded.code
    return StreamFigures(
        weights=op.indices.size,
        nonzeros=len(entries),
        n_entries=coded.n_entries,
        stream_bits=coded.bits,
        coding=code.coding,
        level_bits=code.level_bits,
        run_bits=code.run_bits,
    )
