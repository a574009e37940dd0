"""Writes one layer section of a blob, and accounts for the bytes of its parts."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.coding import CodingSettings, code_entries
from dcgen.encode.operators import NodeFields
from dcgen.encode.schema import CONV_HEADER, NODE_HEADER, Coding, Kind
from dcgen.encode.stream import CodedStream
from dcgen.encode.symbols import Entries, frequency_order
from dcgen.ir.graph import Shape
from dcgen.quant.qgraph import QConv, QGraph, QNode


@dataclass(frozen=True)
class LayerSize:
    """Bytes of one layer section, part by part.

    header : all of its headers
    levels : the codebook, or the body of a section that is no convolution's
    """

    header: int
    levels: int = 0
    requant: int = 0
    bias: int = 0
    tables: int = 0
    stream: int = 0
    padding: int = 0

    @property
    def total(self) -> int:
        """Bytes of the section."""
        return sum(getattr(self, f.name) for f in fields(self))


@dataclass(frozen=True)
class StreamFigures:
    """What a convolution's stream holds.

    weights, nonzeros : dense and non-zero weights
    n_entries : coded entries, fillers included
    n_escapes : those of them without a code of their own
    n_codes : codes of 0 .. MAX_CODE_BITS bits each in the stream, escapes left out
    n_symbols : of each table, symbols with codes of 0 .. MAX_CODE_BITS bits each
    level_bits, run_bits, coding : as in ``schema.CONV_HEADER``
    """

    weights: int
    nonzeros: int
    n_entries: int
    n_escapes: int
    n_codes: tuple[int, ...]
    n_symbols: tuple[tuple[int, ...], ...]
    stream_bits: int
    coding: Coding
    level_bits: int
    run_bits: int


@dataclass(frozen=True)
class BlobLayer:
    """One node's section in a blob; only a convolution has a ``stream``."""

    name: str
    kind: Kind
    size: LayerSize
    stream: StreamFigures | None = None


@dataclass(frozen=True)
class WrittenSection:
    """A section's bytes, and what the header of the blob states about it."""

    data: bytes
    layer: BlobLayer
    max_filter_entries: int = 0
    max_code_bits: int = 0


def layer_section(node: QNode, graph: QGraph, fields: NodeFields, settings: CodingSettings) -> WrittenSection:
    """The section of ``node``. Raises NumericError where the format cannot hold its constants."""
    if isinstance(node.op, QConv):
        return _conv_section(node, node.op, graph.tensors[node.inputs[0]].shape, fields, settings)
    size = LayerSize(NODE_HEADER.size, levels=len(fields.body))
    return WrittenSection(_sealed(fields, size, fields.body), BlobLayer(node.name, fields.kind, size))


def _sealed(fields: NodeFields, size: LayerSize, rest: bytes) -> bytes:
    """A section of which ``rest`` follows the NodeHeader."""
    values = {"kind": int(fields.kind), "hi": 255, **fields.layer}
    section = NODE_HEADER.pack(section_bytes=size.total, **values) + rest
    return struct.pack("<I", zlib.crc32(section[4:])) + section[4:]


def _conv_section(
    node: QNode, op: QConv, input_shape: Shape, fields: NodeFields, settings: CodingSettings
) -> WrittenSection:
    n_levels = len(op.levels)
    order = frequency_order(op.indices.reshape(-1), n_levels)
    rank = np.zeros(256, np.uint8)
    rank[order] = np.arange(n_levels)
    entries = Entries.of(rank[op.indices])
    fully_connected = input_shape[1:] == op.kernel and op.groups == 1 and not any(op.pads)
    coded = code_entries(entries, n_levels, settings, fully_connected)

    levels = _narrowest(op.levels[order[1:]].astype(np.int64), (1, 2))
    bias = _narrowest(op.bias.astype(np.int64) >> op.bias_shift, (1, 2, 4))
    requant = b""
    if op.requant and len(op.requant.mult) > 1:
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
    o, i, kh, kw = op.indices.shape
    most = int(entries.per_filter((o, i, kh, kw)).max())
    table_bytes, table2_bytes = (*map(len, coded.tables), 0, 0)[:2]
    conv = CONV_HEADER.pack(
        n_levels=n_levels,
        level_bytes=levels.itemsize,
        bias_bytes=bias.itemsize,
        coding=coded.code.coding,
        level_bits=coded.code.level_bits,
        run_bits=coded.code.run_bits,
        n_entries=coded.n_entries,
        max_filter_entries=most,
        stream_bits=coded.bits,
        stream_bytes=len(coded.data),
        table_bytes=table_bytes,
        table2_bytes=table2_bytes,
    )
    section = _sealed(fields, size, conv + arrays + bytes(padding) + coded.data)
    layer = BlobLayer(node.name, fields.kind, size, _figures(op, entries, coded))
    return WrittenSection(section, layer, most, coded.code.max_code_bits)


def _narrowest(values: NDArray[np.int64], sizes: Sequence[int]) -> NDArray[np.signedinteger]:
    """``values`` as little-endian integers of the first size in bytes that all of them fit, or the last."""
    largest = max(-int(values.min(initial=0)) - 1, int(values.max(initial=0)))
    size = next((size for size in sizes if largest >> (8 * size - 1) == 0), sizes[-1])
    return values.astype(f"<i{size}")


def _figures(op: QConv, entries: Entries, coded: CodedStream) -> StreamFigures:
    code = coded.code
    return StreamFigures(
        weights=op.indices.size,
        nonzeros=len(entries),
        n_entries=coded.n_entries,
        n_escapes=coded.n_escapes,
        n_codes=coded.n_codes,
        n_symbols=tuple(table.n_symbols for table in code.tables),
        stream_bits=coded.bits,
        coding=code.coding,
        level_bits=code.level_bits,
        run_bits=code.run_bits,
    )
