"""Reads one layer section of a blob into the operator it stands for."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.coding import MAX_GAP_BITS, MAX_RUN_BITS, StreamCode, read_entries, stream_size
from dcgen.encode.huffman import CodeTable
from dcgen.encode.layout import Layout, NodeRecord, Section
from dcgen.encode.schema import (
    ESCAPE,
    MAX_LEVELS,
    STREAM_GUARD_BYTES,
    Coding,
    Kind,
    LayerFlag,
    TopologyFlag,
)
from dcgen.errors import BlobError
from dcgen.quant.arithmetic import MAX_SHIFT, MIN_SHIFT
from dcgen.quant.qgraph import (
    FACTOR_BITS,
    I16,
    I32,
    U8,
    UNIT_BITS,
    QAdd,
    QAvgPool,
    QConcat,
    QConv,
    QMaxPool,
    QOp,
    QPad,
    QScores,
    Requant,
)


def weight_shape(layout: Layout, node: NodeRecord) -> tuple[int, int, int, int]:
    """(O, I / groups, KH, KW) of a convolution."""
    channels = layout.shapes[node.inputs[0]][0]
    return node.out_channels, channels // node.groups, *node.kernel


def _require(condition: bool, thing: str, problem: str, code: str) -> None:
    if not condition:
        raise BlobError(thing, problem, code=code)


def plain_op(name: str, node: NodeRecord, f: dict[str, int]) -> QOp:
    """The operator of a node without weights."""
    kind = node.kind
    pool = kind is Kind.AVG_POOL
    _require(f["flags"] == f["bias_shift"] == 0, name, f"a {kind.name} has layer flags or a bias shift", "LAYER")
    _require(kind is Kind.ADD or f["factor1"] == 0, name, f"a {kind.name} has a second factor", "LAYER")
    _require(kind is Kind.ADD or pool or f["factor0"] == 0, name, f"a {kind.name} has a factor", "LAYER")
    ceil = TopologyFlag.CEIL in node.flags
    if kind is Kind.ADD:
        factors = (f["factor0"], f["factor1"])[: len(node.inputs)]
        _require(
            all(abs(k) < 1 << FACTOR_BITS for k in factors), name, f"factors {factors} exceed 16 bits", "LAYER"
        )
        _require(len(factors) == 2 or not f["factor1"], name, "has two factors for one input", "LAYER")
        return QAdd(factors, _requant(name, f))
    if pool:
        unit = f["factor0"]
        _require(1 <= unit < 1 << UNIT_BITS, name, f"has unit {unit}, expected 1..2**{UNIT_BITS} - 1", "LAYER")
        include = TopologyFlag.COUNT_INCLUDE_PAD in node.flags
        return QAvgPool(node.kernel, node.stride, node.pads, ceil, include, unit, _requant(name, f))
    _require(f["mult"] == f["shift"] == 0, name, f"a {kind.name} has requantisation constants", "LAYER")
    unclipped = f["hi"] == 255 and (kind is Kind.PAD or f["lo"] == 0)
    _require(unclipped, name, f"a {kind.name} has clip bounds", "LAYER")
    match kind:
        case Kind.MAX_POOL:
            return QMaxPool(node.kernel, node.stride, node.pads, ceil)
        case Kind.PAD:
            return QPad(node.pads, f["lo"])
        case Kind.CONCAT:
            return QConcat()
        case _:
            return QScores(TopologyFlag.RAW in node.flags)


def _requant(name: str, f: dict[str, int], per_channel: tuple[NDArray[np.uint16], U8] | None = None) -> Requant:
    if per_channel is None:
        mult, shift = np.array([f["mult"]], np.uint16), np.array([f["shift"]], np.uint8)
    else:
        mult, shift = per_channel
        _require(f["mult"] == f["shift"] == 0, name, "has constants for all channels and for each", "LAYER")
    low, high = int(shift.min()), int(shift.max())
    within = low >= MIN_SHIFT and high <= MAX_SHIFT
    _require(within, name, f"has shifts {low}..{high}, allowed are {MIN_SHIFT}..{MAX_SHIFT}", "LAYER")
    _require(f["lo"] <= f["hi"], name, f"clip bounds {f['lo']}..{f['hi']} are empty", "LAYER")
    return Requant(mult, shift, f["lo"], f["hi"])


class Convolution:
    """Reads one convolution's section, array by array, each checked before the next is used."""

    def __init__(self, name: str, layout: Layout, node: NodeRecord, section: Section) -> None:
        self.name, self.node, self.f, self.c = name, node, section.fields, section.conv
        self.body, self.at = section.body, 0
        self.shape = weight_shape(layout, node)
        self._check_headers()
        n_out = self.shape[0]
        self.levels = self._levels()
        self.requant = self._read_requant(n_out)
        self.bias = self._bias(n_out)
        self.code = self._code()
        self.stream = self._stream()

    def op(self) -> QConv:
        """The operator; decodes the stream."""
        c, name = self.c, self.name
        try:
            entries = read_entries(self.stream, c["stream_bits"], c["n_entries"], self.code)
        except BlobError as error:
            raise BlobError(f"{name} {error.thing}", error.problem, code=error.code) from None
        if len(entries):
            top = int(entries.levels.max())
            _require(top < c["n_levels"], name, f"has level {top}, its codebook {c['n_levels']}", "LEVEL")
            end, weights = int(entries.positions[-1]) + 1, prod(self.shape)
            _require(end <= weights, name, f"codes weights up to {end}, expected {weights}", "POSITION")
        most = int(entries.per_filter(self.shape).max())
        stated = c["max_filter_entries"]
        _require(most == stated, name, f"has up to {most} weights a filter, states {stated}", "LAYER")
        node = self.node
        return QConv(
            levels=self.levels,
            indices=entries.indices(self.shape),
            bias=self.bias,
            bias_shift=self.f["bias_shift"],
            requant=self.requant,
            stride=node.stride,
            pads=node.pads,
            groups=node.groups,
        )

    def _check_headers(self) -> None:
        c, f, name = self.c, self.f, self.name
        _require(c["reserved"] == 0, name, f"has a reserved field of {c['reserved']}, expected 0", "HEADER")
        _require(f["factor0"] == f["factor1"] == 0, name, "a CONV has factors", "LAYER")
        _require(f["flags"] in (0, LayerFlag.PER_CHANNEL), name, f"has layer flags {f['flags']}", "LAYER")
        _require(1 <= c["n_levels"] <= MAX_LEVELS, name, f"has {c['n_levels']} levels, expected 1..256", "LAYER")
        sizes = c["level_bytes"], c["bias_bytes"]
        _require(
            sizes[0] in (1, 2) and sizes[1] in (1, 2, 4), name, f"has levels, biases of {sizes} bytes", "LAYER"
        )
        _require(f["bias_shift"] < 32, name, f"has bias shift {f['bias_shift']}, expected 0..31", "LAYER")
        _require(c["coding"] in list(Coding), name, f"has coding {c['coding']}, expected 0 or 1", "LAYER")
        bits = c["level_bits"], c["run_bits"]
        if c["coding"] == Coding.JOINT:
            good = 1 <= bits[0] <= 8 and bits[1] <= MAX_RUN_BITS and c["n_levels"] <= 1 << bits[0]
            good = good and c["table2_bytes"] == 0
        else:
            good = bits[0] == 8 and 1 <= bits[1] <= MAX_GAP_BITS
        _require(good, name, f"has {bits} bits of level and run for {c['n_levels']} levels", "LAYER")
        n, weights = c["n_entries"], prod(self.shape)
        _require(n <= weights, name, f"claims {n} entries for {weights} weights", "LAYER")
        _require(n <= c["stream_bits"], name, f"claims {n} entries in {c['stream_bits']} bits", "STREAM")

    def _take(self, size: int) -> bytes:
        part = bytes(self.body[self.at : self.at + size])
        if len(part) < size:
            raise BlobError(self.name, f"section ends {size - len(part)} bytes too early", code="SECTION")
        self.at += size
        return part

    def _levels(self) -> I16:
        size = self.c["level_bytes"]
        stored = np.frombuffer(self._take(size * (self.c["n_levels"] - 1)), f"<i{size}")
        return np.concatenate([[0], stored]).astype(np.int16)

    def _read_requant(self, n_out: int) -> Requant | None:
        per_channel = None
        if self.f["flags"] & LayerFlag.PER_CHANNEL:
            mult = np.frombuffer(self._take(2 * n_out), "<u2").astype(np.uint16)
            per_channel = mult, np.frombuffer(self._take(n_out), np.uint8)
        if TopologyFlag.RAW not in self.node.flags:
            return _requant(self.name, self.f, per_channel)
        f = self.f
        unused = per_channel is None and (f["mult"], f["shift"], f["lo"], f["hi"]) == (0, 0, 0, 255)
        _require(unused, self.name, "makes scores, but has requantisation constants", "LAYER")
        return None

    def _bias(self, n_out: int) -> I32:
        size = self.c["bias_bytes"]
        stored = np.frombuffer(self._take(size * n_out), f"<i{size}").astype(np.int64)
        bias = stored << self.f["bias_shift"]
        _require(bool(np.all(bias == bias.astype(np.int32))), self.name, "has a bias beyond 32 bits", "LAYER")
        return bias.astype(np.int32)

    def _code(self) -> StreamCode:
        c = self.c
        coding = Coding(c["coding"])
        first = self._take(c["table_bytes"])
        if coding is Coding.JOINT:
            tables: tuple[CodeTable, ...] = (CodeTable.unpack(first, ESCAPE, True),)
        else:
            second = self._take(c["table2_bytes"])
            gaps = CodeTable.unpack(first, 1 << c["run_bits"], False)
            tables = (gaps, CodeTable.unpack(second, MAX_LEVELS, False))
        return StreamCode(coding, c["level_bits"], c["run_bits"], tables)

    def _stream(self) -> bytes:
        bits, size = self.c["stream_bits"], self.c["stream_bytes"]
        _require(size == stream_size(bits), self.name, f"stream has {size} bytes for {bits} bits", "SECTION")
        _require(not any(self._take(-self.at % 4)), self.name, "padding is not zero", "SECTION")
        stream = self._take(size)
        _require(self.at == len(self.body), self.name, "section is longer than its arrays", "SECTION")
        used = bits // 8
        tail = stream[used] >> bits % 8 if used < len(stream) else 0
        good = not tail and not any(stream[used + 1 :]) and size >= STREAM_GUARD_BYTES
        _require(good, self.name, "stream has bits set behind its end", "STREAM")
        return stream
