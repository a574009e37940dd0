"""Reads a convolution's section behind its headers: levels, constants, code tables, and the stream of entries."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory, WritePort
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.signatures import WEIGHT_BITS, bits
from dcgen.hw.contract.blob_format import Cause
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.bit_reader import CHOICE, CONSUMER
from dcgen.hw.front.code_table import CodeTableReader
from dcgen.hw.front.huffman import ENTRY, HuffmanDecoder
from dcgen.hw.front.section_header import HEADER, is_shift

MOST_SYMBOLS = 4095
"""Most symbols that a JOINT table may list."""
CONSTANTS = data.StructLayout({"mult": 16, "shift": 6, "bias": signed(32)})
"""Constants of one output channel; without the section's flag PER_CHANNEL, ``mult`` and ``shift`` mean nothing."""


class ConvSectionReader(wiring.Component):
    """Stores a section's levels and constants for look-ups, then offers the entries of its stream.

    Parameters
    ----------
    p : sizes of the engine

    Members
    -------
    start : In(1), pulse; the bit reader stands behind the section's headers
    header : In(HEADER), the section's headers, steady from ``start`` to ``done``
    outputs : In(16), number of output channels, 1 to ``max_outputs``, likewise steady
    bits, valid, consume, waiting : see ``CONSUMER``
    offset, choice : In(5), Out(CHOICE), those of the ``BitReader``
    entries : Out(stream of ENTRY), the entries of the stream in order
    settled : In(1), nothing that was taken from ``entries`` is on its way any more
    done : Out(1), pulse; the whole section has been read
    decoding : Out(1), the stream is being decoded
    level, weight : In(8), Out(signed(17)), index of the codebook; its value, in the cycle after ``level``
    output, constants : In(bits(max_outputs)), Out(CONSTANTS), number of an output channel; its constants, in the
        cycle after
    moving : In(1), clock enable: 0 stops both look-ups in the same cycle and the decoder in the next one
    cause : Out(8), the first defect since ``start``, registered; ``Cause.NONE`` as long as there is none

    Latency: the levels, and each of a channel's constants, take a cycle each; ``front_timing`` has the sum of all
    parts. The stream takes one cycle an entry with JOINT, two with GAPS.

    Back-pressure: as ``HuffmanDecoder``; a section whose entries are not taken does not go on.
    """

    def __init__(self, p: EngineParameters) -> None:
        self._p = p
        super().__init__(
            {
                "start": In(1),
                "header": In(HEADER),
                "outputs": In(16),
                **CONSUMER,
                "offset": In(5),
                "choice": Out(CHOICE),
                "entries": Out(stream.Signature(ENTRY)),
                "settled": In(1),
                "done": Out(1),
                "decoding": Out(1),
                "level": In(8),
                "weight": Out(signed(WEIGHT_BITS)),
                "output": In(bits(p.max_outputs)),
                "constants": Out(CONSTANTS),
                "moving": In(1),
                "cause": Out(8),
            }
        )
        self._table, self._decoder = CodeTableReader(p), HuffmanDecoder(p)
        self._index = Signal(16, name="index")  # number of an array's element, or of a guard word
        self._found = Signal(8, name="cause")  # a defect in this cycle

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = self._table
        m.submodules.decoder = self._decoder
        level_in, mult_in, shift_in, bias_in = self._look_ups(m)
        entries_left, bits_left = Signal(32), Signal(33)  # bits_left turns negative if too many are consumed
        self._connect_bits(m)
        # The bias of the cycle before as it was read, its channel, and whether there was one.
        stored, where, shifting = Signal(signed(32)), Signal(bits(self._p.max_outputs)), Signal()
        bias_lost = self._shift_biases(m, bias_in, stored, where, shifting)
        self._find_defects(m, bits_left[32], bias_lost)
        m.d.sync += [
            stored.eq(_signed_of(self.bits, self.header.bias_bytes)),
            where.eq(self._index),
            shifting.eq(0),
            bits_left.eq(bits_left - self._decoder.used_bits),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [self._index.eq(0), bits_left.eq(self.header.stream_bits)]
                m.d.sync += entries_left.eq(self.header.n_entries)
                with m.If(self.start):
                    m.d.sync += self.cause.eq(Cause.NONE)
                    with m.If(self.header.n_levels != 1):
                        m.next = "LEVELS"
                    with m.Elif(self.header.flags[0]):
                        m.next = "MULTS"
                    with m.Else():
                        m.next = "BIASES"
            self._array_states(m, level_in, mult_in, shift_in, shifting)
            self._table_states(m)
            self._stream_states(m, entries_left, bits_left)
        return m

    def _look_ups(self, m: Module) -> list[WritePort]:
        """Makes the memories of codebook and constants, and their look-ups; returns the write ports.

        The order of the ports is: codebook, multipliers, shifts, biases.
        """
        channels = self._p.max_outputs
        m.submodules.codebook = codebook = Memory(shape=signed(16), depth=256, init=[])  # [0] stays 0
        m.submodules.mults = mults = Memory(shape=16, depth=channels, init=[])
        m.submodules.shifts = shifts = Memory(shape=6, depth=channels, init=[])
        m.submodules.biases = biases = Memory(shape=signed(32), depth=channels, init=[])
        memories = (codebook, mults, shifts, biases)
        inputs = [memory.write_port() for memory in memories]
        level_out, mult_out, shift_out, bias_out = (memory.read_port() for memory in memories)
        constants = {"mult": mult_out, "shift": shift_out, "bias": bias_out}
        for port in constants.values():
            m.d.comb += [port.addr.eq(self.output), port.en.eq(self.moving)]
        m.d.comb += [level_out.addr.eq(self.level), level_out.en.eq(self.moving), self.weight.eq(level_out.data)]
        m.d.comb += [self.constants[name].eq(port.data) for name, port in constants.items()]
        return inputs

    def _connect_bits(self, m: Module) -> None:
        """Gives table reader and decoder the bits and fields of the header; joins their choices of bits."""
        h, table, decoder = self.header, self._table, self._decoder
        gaps = h.coding[0]
        wiring.connect(m, wiring.flipped(self.entries), decoder.entries)
        m.d.comb += [
            table.bits.eq(self.bits),
            table.valid.eq(self.valid),
            table.size.eq(Mux(table.second, h.table2_bytes, h.table_bytes)),
            table.most.eq(Mux(gaps, Mux(table.second, 256, (1 << h.run_bits[:4])[:9]), MOST_SYMBOLS)),
            table.escapes.eq(~gaps),
            decoder.tables.eq(table.tables),
            decoder.place.enable.eq(table.place.enable),
            decoder.place.address.eq(table.place.address),
            decoder.place.symbol.eq(table.place.symbol),
            decoder.gaps.eq(gaps),
            decoder.level_bits.eq(h.level_bits),
            decoder.run_bits.eq(h.run_bits),
            decoder.hold.eq(~self.moving),
            decoder.bits.eq(self.bits),
            self.choice.escape.eq(decoder.choice.escape),
            self.choice.escape_width.eq(decoder.choice.escape_width),
            self.choice.width.eq(decoder.choice.width | _every_fourth(table.nibbles)),
            self.choice.idle.eq(decoder.choice.idle & ~(table.waiting & self.valid)),
            decoder.valid.eq(self.valid),
        ]

    def _shift_biases(self, m: Module, port: WritePort, stored: Signal, where: Signal, shifting: Signal) -> Value:
        """If ``shifting``, writes ``stored``, shifted, as the bias of channel ``where``.

        Returns whether the shift changes the value because 32 bits do not hold it.
        """
        shift = self.header.bias_shift[:5]
        differs = stored ^ (stored << 1)  # bit i: bits i and i - 1 of ``stored`` differ
        top = delay(m, Cat(shift > 31 - i for i in range(32)), 1, "top")  # bit i: bit i is shifted out
        m.d.comb += [port.en.eq(shifting), port.addr.eq(where), port.data.eq((stored << shift)[:32])]
        return shifting & (differs[1:32] & top[1:32]).any()

    def _find_defects(self, m: Module, too_short: Value, bias_lost: Value) -> None:
        """Keeps the first defect since ``start``."""
        table, decoder, cause = self._table, self._decoder, self._found
        beyond_levels = Signal()  # the level of the cycle before; its list cannot have been published yet
        level = decoder.entries.payload.level
        m.d.sync += beyond_levels.eq(decoder.entries.valid & (level >= self.header.n_levels))
        with m.If(self.cause == Cause.NONE):
            m.d.sync += self.cause.eq(cause)
        with m.If(table.malformed):
            m.d.comb += cause.eq(Cause.TABLE)
        with m.Elif(table.full):
            m.d.comb += cause.eq(Cause.CAPACITY)
        with m.Elif(decoder.no_code):
            m.d.comb += cause.eq(Cause.CODE)
        with m.Elif(too_short):
            m.d.comb += cause.eq(Cause.STREAM)
        with m.Elif(beyond_levels):
            m.d.comb += cause.eq(Cause.LEVEL)
        with m.Elif(bias_lost):
            m.d.comb += cause.eq(Cause.LAYER)

    def _array_states(
        self, m: Module, level_in: WritePort, mult_in: WritePort, shift_in: WritePort, shifting: Signal
    ) -> None:
        """Reads the levels, with PER_CHANNEL the multipliers and the shifts, and the biases."""
        h, index = self.header, self._index
        last_output = index == self.outputs - 1
        plain = (mult_in, shift_in)
        m.d.comb += [level_in.addr.eq(index + 1), *(port.addr.eq(index) for port in plain)]
        m.d.comb += [
            level_in.data.eq(_signed_of(self.bits, h.level_bytes)),
            *(p.data.eq(self.bits) for p in plain),
        ]
        with m.State("LEVELS"):
            m.d.comb += [self.waiting.eq(1), self.consume.eq(h.level_bytes[:2] << 3)]
            with m.If(self.valid):
                m.d.comb += level_in.en.eq(1)
                m.d.sync += index.eq(index + 1)
                with m.If(index + 2 == h.n_levels):
                    m.d.sync += index.eq(0)
                    with m.If(h.flags[0]):
                        m.next = "MULTS"
                    with m.Else():
                        m.next = "BIASES"
        with m.State("MULTS"):
            m.d.comb += [self.waiting.eq(1), self.consume.eq(16)]
            with m.If(self.valid):
                m.d.comb += mult_in.en.eq(1)
                m.d.sync += index.eq(Mux(last_output, 0, index + 1))
                with m.If(last_output):
                    m.next = "SHIFTS"
        with m.State("SHIFTS"):
            m.d.comb += [self.waiting.eq(1), self.consume.eq(8)]
            with m.If(self.valid):
                m.d.comb += shift_in.en.eq(1)
                m.d.sync += index.eq(Mux(last_output, 0, index + 1))
                with m.If(~is_shift(self.bits[:8])):
                    m.d.comb += self._found.eq(Cause.LAYER)
                with m.If(last_output):
                    m.next = "BIASES"
        with m.State("BIASES"):
            m.d.comb += [self.waiting.eq(1), self.consume.eq(h.bias_bytes[:3] << 3)]
            with m.If(self.valid):
                m.d.sync += [shifting.eq(1), index.eq(index + 1)]
                with m.If(last_output):
                    m.next = "TABLE"

    def _table_states(self, m: Module) -> None:
        """Reads the code table, or with GAPS both tables one after the other."""
        table, gaps = self._table, self.header.coding[0]
        with m.State("TABLE"):
            m.d.comb += table.start.eq(1)
            m.next = "TABLE RUNS"
        with m.State("TABLE RUNS"):
            m.d.comb += [self.waiting.eq(table.waiting), self.consume.eq(table.consume)]
            m.d.comb += self.choice.early.eq(table.early)
            with m.If(table.done):
                m.d.sync += table.second.eq(gaps & ~table.second)
                with m.If(gaps & ~table.second):
                    m.next = "TABLE"
                with m.Else():
                    m.next = "ALIGN"

    def _stream_states(self, m: Module, entries_left: Signal, bits_left: Signal) -> None:
        """Decodes the stream. What lies between it and the words around it, and its guard, must be zero."""
        decoder, index, more = self._decoder, self._index, Signal()
        with m.State("ALIGN"):
            self._to_word(m, Cause.SECTION)
            m.d.sync += more.eq(entries_left != 0)
            with m.If(self.valid):
                m.next = "DECODE"
        with m.State("DECODE"):
            m.d.comb += [self.decoding.eq(1), decoder.enable.eq(more), self.waiting.eq(more)]
            m.d.comb += self.choice.early.eq(1)
            with m.If(decoder.step):
                m.d.sync += [entries_left.eq(entries_left - 1), more.eq(entries_left != 1)]
            with m.If(~more & ~decoder.busy & self.settled):
                m.next = "TAIL"
        with m.State("TAIL"):
            with m.If(bits_left != 0):
                m.d.comb += self._found.eq(Cause.STREAM)
            self._to_word(m, Cause.STREAM)
            m.d.sync += index.eq(0)
            with m.If(self.valid):
                m.next = "GUARD"
        with m.State("GUARD"):
            m.d.comb += [self.waiting.eq(1), self.consume.eq(32)]
            with m.If(self.valid):
                m.d.sync += index.eq(1)
                with m.If(self.bits != 0):
                    m.d.comb += self._found.eq(Cause.STREAM)
                with m.If(index == 1):
                    m.next = "DONE"
        with m.State("DONE"):
            m.d.comb += self.done.eq(1)
            m.next = "IDLE"

    def _to_word(self, m: Module, defect: Cause) -> None:
        """Drops the bits up to the section's next word. They must be zero, or there is a ``defect``."""
        rest = Signal(5, name=f"rest_{defect.name.lower()}")
        m.d.comb += [rest.eq(-self.offset), self.waiting.eq(1), self.consume.eq(rest)]
        inside = Cat(rest > i for i in range(32))
        with m.If(self.valid & (self.bits & inside).any()):
            m.d.comb += self._found.eq(defect)


def _signed_of(word: Value, size: Value) -> Value:
    """The lowest ``size`` bytes of 32 bits, 1, 2 or 4 of them, as a signed number."""
    short = Mux(size[0], word[:8].as_signed(), word[:16].as_signed())
    return Mux(size[2], word.as_signed(), short)


def _every_fourth(nibbles: Value) -> Value:
    """``CHOICE.width`` for a number of nibbles: bit n of ``nibbles`` becomes bit 4 n + 3."""
    return Cat(Cat(Const(0, 3), nibble) for nibble in nibbles)
