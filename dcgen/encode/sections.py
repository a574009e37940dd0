"""Writes one layer section of a blob, and accounts for its parts."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.coding import CodedStream, CodingSettings, code_entries
from dcgen.encode.schema import CONV_HEADER, NODE_HEADER, Coding, Kind, LayerFlag
from dcgen.encode.symbols import Entries, frequency_order
from dcgen.errors import NumericError
from dcgen.ir.graph import Shape
from dcgen.quant.qgraph import (
    FACTOR_BITS,
    UNIT_BITS,
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
    """One node's section in a blob; ``stream`` for convolutions only."""

    name: str
    kind: Kind
    size: LayerSize
    stream: StreamFigures | None = None


def kind_of(op: QOp) -> Kind:
    """The format's number of an operator."""
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


def fits(thing: str, what: str, value: int, bits: int, lowest: int = 0) -> int:
    """``value`` if ``lowest <= value < 2**bits``, else NumericError naming ``thing`` and ``what``."""
    if not lowest <= value < 1 << bits:
        raise NumericError(thing, f"{what} is {value}, the blob holds {lowest}..{(1 << bits) - 1}")
    return value


@dataclass(frozen=True)
class WrittenSection:
    """A section's bytes, and what the header of the blob has to know of it."""

    data: bytes
    layer: BlobLayer
    max_filter_entries: int = 0
    max_code_bits: int = 0


def layer_section(node: QNode, graph: QGraph, settings: CodingSettings) -> WrittenSection:
    """The section of ``node``. Raises NumericError where the format cannot hold its constants."""
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
        factors = [fits(node.name, "a factor", f, FACTOR_BITS, 1 - (1 << FACTOR_BITS)) for f in op.factors]
        values |= dict(zip(("factor0", "factor1"), factors, strict=False))
    if isinstance(op, QAvgPool):
        values["factor0"] = fits(node.name, "the unit", op.unit, UNIT_BITS, 1)
    if isinstance(op, QPad):
        values["lo"] = fits(node.name, "the value", op.value, 8)
    layer = BlobLayer(node.name, kind_of(op), LayerSize(NODE_HEADER.size))
    return WrittenSection(seal_section(NODE_HEADER.pack(section_bytes=NODE_HEADER.size, **values)), layer)


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
    name: str, op: QConv, input_shape: Shape, values: dict[str, int], settings: CodingSettings
) -> WrittenSection:
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
    bias = _narrowest(stored, (1, 2, 4))
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
    bias_shift = fits(name, "bias_shift", op.bias_shift, 5)
    head = NODE_HEADER.pack(section_bytes=size.total, bias_shift=bias_shift, **values)
    section = seal_section(head + conv + arrays + bytes(padding) + coded.data)
    layer = BlobLayer(name, Kind.CONV, size, _figures(op, entries, coded))
    return WrittenSection(section, layer, int(per_filter.max()), coded.code.max_code_bits)


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
