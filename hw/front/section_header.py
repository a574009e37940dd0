"""Holds a section's headers, and checks whether each of their fields is in its range."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.pipeline import delay
from dcgen.hw.contract.blob_format import Cause, Kind
from dcgen.hw.contract.front_timing import CONV_WORDS
from dcgen.hw.contract.parameters import EngineParameters

MIN_SHIFT, MAX_SHIFT = 17, 32
"""Bounds of a requantization's shift, in bits."""

HEADER = data.StructLayout(
    {
        "section_crc": 32,
        "section_bytes": 32,
        "kind": 8,
        "flags": 8,
        "lo": 8,
        "hi": 8,
        "mult": 16,
        "shift": 8,
        "bias_shift": 8,
        "factor0": signed(32),
        "factor1": signed(32),
        "n_levels": 16,
        "level_bytes": 8,
        "bias_bytes": 8,
        "coding": 8,
        "level_bits": 8,
        "run_bits": 8,
        "reserved": 8,
        "n_entries": 32,
        "max_filter_entries": 32,
        "stream_bits": 32,
        "stream_bytes": 32,
        "table_bytes": 16,
        "table2_bytes": 16,
    }
)
"""NodeHeader and ConvHeader one after the other, fields as in ``docs/blob-format.md``."""


def is_shift(value: Value) -> Value:
    """Whether ``value`` is an allowed shift of a requantization."""
    return (value >= MIN_SHIFT) & (value <= MAX_SHIFT)


class SectionHeader(wiring.Component):
    """Stores the headers' words and checks the fields against each other and against the step.

    Parameters
    ----------
    p : sizes of the engine, which bound ``outputs`` and ``taps``

    Members
    -------
    write, index, word : In(1), In(4), In(32), if ``write``, word number ``index`` of the headers becomes ``word``
    kind, raw, outputs, taps : In(4), In(1), In(16), In(8), fields of the step's record, steady while the words are
        written and checked; ``taps`` of an ADD is its number of inputs
    header : Out(HEADER), the words as fields; those of ConvHeader are the last convolution's
    cause : Out(8), the most important defect, ``Cause.NONE`` if there is none

    Latency: ``front_timing.CHECK`` cycles from the last word's ``write`` to its ``cause``.

    Back-pressure: none, a word a cycle.
    """

    def __init__(self, p: EngineParameters) -> None:
        self._p = p
        super().__init__(
            {
                "write": In(1),
                "index": In(4),
                "word": In(32),
                "kind": In(4),
                "raw": In(1),
                "outputs": In(16),
                "taps": In(8),
                "header": Out(HEADER),
                "cause": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = Signal(data.ArrayLayout(32, CONV_WORDS))
        with m.If(self.write):
            m.d.sync += words[self.index].eq(self.word)
        h = self.header
        m.d.comb += h.eq(words.as_value())

        def early(value: Value, name: str) -> Value:
            """``value`` a cycle later. A header's last word must not influence it, so that it is there in time."""
            return delay(m, value, 1, name)

        scaled = early(is_shift(h.shift) & (h.lo <= h.hi), "scaled")
        unscaled = early((h.mult == 0) & (h.shift == 0) & (h.hi == 255), "unscaled")
        without_factors = (h.factor0 == 0) & (h.factor1 == 0)
        plain = early((h.flags == 0) & (h.bias_shift == 0), "plain")
        conv_sound, conv_joint = self._conv(without_factors, scaled, unscaled)
        conv_sound, conv_joint = early(conv_sound, "conv_sound"), early(conv_joint, "conv_joint")
        sound = Signal()
        with m.Switch(self.kind):
            with m.Case(Kind.CONV):
                m.d.comb += sound.eq(conv_sound & (~conv_joint | (h.table2_bytes == 0)))
            with m.Case(Kind.ADD):
                pair = _is_factor(h.factor1) & (self.taps == 2)
                m.d.comb += sound.eq(plain & scaled & _is_factor(h.factor0) & (pair | (h.factor1 == 0)))
            with m.Case(Kind.AVG_POOL):
                unit = (h.factor0 != 0) & (h.factor0.as_unsigned()[24:] == 0)
                m.d.comb += sound.eq(plain & scaled & unit & (h.factor1 == 0))
            with m.Default():
                bounds = unscaled & ((h.lo == 0) | (self.kind == Kind.PAD))
                m.d.comb += sound.eq(plain & without_factors & bounds)

        conv = self.kind == Kind.CONV
        listed = conv | (self.kind == Kind.ADD) | (self.kind == Kind.AVG_POOL)
        large = early((self.outputs > self._p.max_outputs) | (self.taps > self._p.max_taps), "large")
        short = early(h.n_entries > h.stream_bits, "short")
        wrong_size = early(h.stream_bytes != _stream_bytes(h.stream_bits), "wrong_size")
        cause = Signal(8)
        m.d.sync += self.cause.eq(cause)
        with m.If((h.kind != self.kind) | ~sound):
            m.d.comb += cause.eq(Cause.LAYER)
        with m.Elif(conv & (h.reserved != 0)):
            m.d.comb += cause.eq(Cause.HEADER)
        with m.Elif(conv & short):
            m.d.comb += cause.eq(Cause.STREAM)
        with m.Elif(conv & wrong_size):
            m.d.comb += cause.eq(Cause.SECTION)
        with m.Elif(listed & large):
            m.d.comb += cause.eq(Cause.CAPACITY)
        return m

    def _conv(self, without_factors: Value, scaled: Value, unscaled: Value) -> tuple[Value, Value]:
        """Whether a convolution's fields are sound, the second table's size aside; and whether that must be 0."""
        h = self.header
        per_channel = h.flags == 1
        scores = unscaled & (h.flags == 0) & (h.lo == 0)
        each = (h.mult == 0) & (h.shift == 0) & (h.lo <= h.hi)
        constants = Mux(self.raw, scores, Mux(per_channel, each, scaled))
        sizes = (h.level_bytes == 1) | (h.level_bytes == 2)
        sizes &= (h.bias_bytes == 1) | (h.bias_bytes == 2) | (h.bias_bytes == 4)
        levels = (h.n_levels >= 1) & (h.n_levels <= 256)
        joint = (h.level_bits >= 1) & (h.level_bits <= 8) & (h.run_bits <= 12)
        joint &= h.n_levels <= (1 << h.level_bits[:4])[:9]
        gaps = (h.level_bits == 8) & (h.run_bits >= 1) & (h.run_bits <= 8)
        coding = ((h.coding == 0) & joint) | ((h.coding == 1) & gaps)
        flags = h.flags <= 1
        sound = without_factors & flags & (h.bias_shift < 32) & constants & sizes & levels & coding
        return sound, h.coding == 0


def _is_factor(value: Value) -> Value:
    """Whether |value| < 2**16."""
    high = value.as_unsigned()[16:]
    return (high == 0) | (high.all() & (value.as_unsigned()[:16] != 0))


def _stream_bytes(stream_bits: Value) -> Value:
    """Bytes of a stream: its bits in whole words of 32, and a guard of two words."""
    words = stream_bits[5:] + stream_bits[:5].any() + 2
    return Cat(Const(0, 2), words)
