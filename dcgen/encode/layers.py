"""Reads the section of a convolution into the operator it stands for."""

from __future__ import annotations

from math import prod

import numpy as np

from dcgen.encode.coding import CODES
from dcgen.encode.layout import Layout, NodeRecord, Section
from dcgen.encode.operators import check_layer, read_requant, require
from dcgen.encode.schema import MAX_LEVELS, STREAM_GUARD_BYTES, Coding, LayerFlag, TopologyFlag
from dcgen.encode.stream import StreamCode, read_entries, stream_size
from dcgen.errors import BlobError
from dcgen.quant.qgraph import I16, I32, QConv, Requant


def weight_shape(layout: Layout, node: NodeRecord) -> tuple[int, int, int, int]:
    """(O, I / groups, KH, KW) of a convolution."""
    channels = layout.shapes[node.inputs[0]][0]
    return node.out_channels, channels // node.groups, *node.kernel


class Convolution:
    """One convolution's section, read array by array, each checked before the next is used.

    levels, bias, requant : as in ``QConv``
    code : how the stream's bits become entries
    stream : its bytes with the guard

    Raises BlobError whose code names the first defect.
    """

    def __init__(self, name: str, layout: Layout, node: NodeRecord, section: Section) -> None:
        self.name, self.node, self.f, self.c = name, node, section.fields, section.record
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
        """The operator, for which the stream is decoded. Raises BlobError like the constructor."""
        c, name = self.c, self.name
        try:
            entries = read_entries(self.stream, c["stream_bits"], c["n_entries"], self.code)
        except BlobError as error:
            raise BlobError(f"{name} {error.thing}", error.problem, code=error.code) from None
        if len(entries):
            top = int(entries.levels.max())
            require(top < c["n_levels"], name, f"has level {top}, its codebook {c['n_levels']}", "LEVEL")
            end, weights = int(entries.positions[-1]) + 1, prod(self.shape)
            require(end <= weights, name, f"codes weights up to {end}, expected {weights}", "POSITION")
        most = int(entries.per_filter(self.shape).max())
        stated = c["max_filter_entries"]
        require(most == stated, name, f"has up to {most} weights a filter, states {stated}", "LAYER")
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
        require(c["reserved"] == 0, name, f"has a reserved field of {c['reserved']}, expected 0", "HEADER")
        check_layer(name, self.node, f)
        require(f["flags"] in (0, LayerFlag.PER_CHANNEL), name, f"has layer flags {f['flags']}", "LAYER")
        require(1 <= c["n_levels"] <= MAX_LEVELS, name, f"has {c['n_levels']} levels, expected 1..256", "LAYER")
        sizes = c["level_bytes"], c["bias_bytes"]
        sized = sizes[0] in (1, 2) and sizes[1] in (1, 2, 4)
        require(sized, name, f"has levels, biases of {sizes} bytes", "LAYER")
        require(f["bias_shift"] < 32, name, f"has bias shift {f['bias_shift']}, expected 0..31", "LAYER")
        require(c["coding"] in CODES, name, f"has coding {c['coding']}, expected 0..{max(CODES)}", "LAYER")
        bits = c["level_bits"], c["run_bits"]
        good = CODES[Coding(c["coding"])].fits(*bits, c["n_levels"], c["table2_bytes"])
        require(good, name, f"has {bits} bits of level and run for {c['n_levels']} levels", "LAYER")
        n, weights = c["n_entries"], prod(self.shape)
        require(n <= weights, name, f"claims {n} entries for {weights} weights", "LAYER")
        require(n <= c["stream_bits"], name, f"claims {n} entries in {c['stream_bits']} bits", "STREAM")

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
            return read_requant(self.name, self.f, per_channel)
        f = self.f
        unused = per_channel is None and (f["mult"], f["shift"], f["lo"], f["hi"]) == (0, 0, 0, 255)
        require(unused, self.name, "makes scores, but has requantization constants", "LAYER")
        return None

    def _bias(self, n_out: int) -> I32:
        size = self.c["bias_bytes"]
        stored = np.frombuffer(self._take(size * n_out), f"<i{size}").astype(np.int64)
        bias = stored << self.f["bias_shift"]
        require(bool(np.all(bias == bias.astype(np.int32))), self.name, "has a bias beyond 32 bits", "LAYER")
        return bias.astype(np.int32)

    def _code(self) -> StreamCode:
        c = self.c
        packed = [self._take(c[size]) for size in ("table_bytes", "table2_bytes")]
        return CODES[Coding(c["coding"])].unpack(c["level_bits"], c["run_bits"], packed)

    def _stream(self) -> bytes:
        bits, size = self.c["stream_bits"], self.c["stream_bytes"]
        require(size == stream_size(bits), self.name, f"stream has {size} bytes for {bits} bits", "SECTION")
        require(not any(self._take(-self.at % 4)), self.name, "padding is not zero", "SECTION")
        stream = self._take(size)
        require(self.at == len(self.body), self.name, "section is longer than its arrays", "SECTION")
        used = bits // 8
        tail = stream[used] >> bits % 8 if used < len(stream) else 0
        good = not tail and not any(stream[used + 1 :]) and size >= STREAM_GUARD_BYTES
        require(good, self.name, "stream has bits set behind its end", "STREAM")
        return stream
