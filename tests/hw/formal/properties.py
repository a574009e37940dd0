"""Components that hold a block of the front end and assertions about it. A solver chooses their inputs freely."""

from __future__ import annotations

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In

from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.bit_reader import BLOB, BitReader
from dcgen.hw.front.code_table import STATES, CodeTableReader
from dcgen.hw.front.huffman import HuffmanDecoder
from tests.hw.front.late import choose


class BitReaderContract(wiring.Component):
    """No bit is lost, doubled, made up or changed on its way; what is offered stays until it is consumed.

    One bit of a packet is followed from the word to the output: number ``followed``, which the solver chooses. A
    packet has up to 128 words. The assertions about ``held`` are what the others need to hold by induction.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "words": In(stream.Signature(BLOB)),
                "consume": In(6),
                "late": In(1),
                "begin": In(1),
                "followed": In(12),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = BitReader()
        wiring.connect(m, wiring.flipped(self.words), dut.words)
        choose(m, dut, self.consume, self.late)
        m.d.comb += [dut.begin.eq(self.begin), Assume(self.consume <= 32)]

        begun = Signal()
        taken, consumed = Signal(8), Signal(13)  # words taken and bits consumed of this packet
        known, value, number = (
            Signal(),
            Signal(),
            Signal(12),
        )  # the followed bit: was taken, its value, number
        m.d.comb += [Assume(begun | self.begin), Assume(taken < 128)]
        take = dut.words.valid & dut.words.ready
        with m.If(dut.valid):
            m.d.sync += consumed.eq(consumed + self.consume)
        with m.If(take):
            m.d.sync += taken.eq(taken + 1)
            with m.If(taken == number[5:]):
                m.d.sync += [known.eq(1), value.eq(dut.words.payload.data.bit_select(number[:5], 1))]
        with m.If(self.begin):
            m.d.sync += [begun.eq(1), taken.eq(0), consumed.eq(0), known.eq(0), number.eq(self.followed)]

        waiting = Signal(13)  # bits taken and not consumed
        m.d.comb += waiting.eq((taken << 5) - consumed)
        enough = Signal()  # a cycle ago there were 32 bits, and none was consumed
        m.d.sync += enough.eq(begun & ~self.begin & (waiting >= 32) & ~(dut.valid & (self.consume != 0)))
        last_bits, last_valid, kept = Signal(32), Signal(), Signal()
        m.d.sync += [
            last_bits.eq(dut.bits),
            last_valid.eq(dut.valid),
            kept.eq(~self.begin & (self.consume == 0)),
        ]
        with m.If(begun):
            m.d.comb += [
                Assert((dut.level <= len(dut.held)) & (waiting == (dut.level << 5) - dut.offset)),
                Assert(~dut.valid | (waiting >= 32)),
                Assert(dut.valid | ~enough),
                Assert(dut.count == taken),
                Assert(consumed <= (taken << 5)),
                Assert(dut.offset == consumed[:5]),
                Assert(known == (number[5:] < taken)),
                *(Assert(place == (dut.level == i)) for i, place in enumerate(dut.next_place)),
                Assert(~dut.valid | (dut.bits == (Cat(dut.held[0], dut.held[1]) >> dut.offset)[:32])),
            ]
            first = Signal(8)  # number of the word in held[0]
            m.d.comb += first.eq(consumed[5:])
            for i, word in enumerate(dut.held):
                with m.If(known & (number[5:] == first + i)):
                    m.d.comb += Assert(word.bit_select(number[:5], 1) == value)
            ahead = Signal(12)
            m.d.comb += ahead.eq(number - consumed)
            with m.If(dut.valid & (consumed <= number) & (ahead < 32)):
                m.d.comb += [Assert(known), Assert(dut.bits.bit_select(ahead[:5], 1) == value)]
            with m.If(last_valid & kept):
                m.d.comb += [Assert(dut.valid), Assert(dut.bits == last_bits)]
        m.d.comb += Cover(begun & dut.ended & dut.empty & (taken == 4) & (consumed == 128))
        return m


class TableEnds(wiring.Component):
    """Reading a code table ends, with tables or ``malformed``, whatever the bits are and whenever they come.

    Cycles that wait for bits are not counted. Of the others, each one that reads lengths lists at least one
    symbol, and each one that places symbols places one. The assertions bound the cycles by that, state by state,
    which makes them inductive.
    """

    def __init__(self, p: EngineParameters, most: int) -> None:
        self._p, self._most = p, most
        super().__init__({"bits": In(32), "valid": In(1), "size": In(16), "escapes": In(1), "second": In(1)})

    @property
    def bound(self) -> int:
        """Cycles with bits from the start to the end."""
        return 2 * self._most + 7

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = CodeTableReader(self._p)
        idle, head, lengths, tail, place = (dut.states[i] for i in range(len(STATES)))
        running, cycles = Signal(), Signal(range(self.bound + 10))
        m.d.comb += [
            dut.start.eq(idle & ~running & ~dut.malformed),
            dut.bits.eq(self.bits),
            dut.valid.eq(self.valid),
            dut.size.eq(self.size),
            dut.escapes.eq(self.escapes),
            dut.second.eq(self.second),
            dut.most.eq(self._most),
        ]
        with m.If(dut.start):
            m.d.sync += [running.eq(1), cycles.eq(1)]
        with m.Elif(running & (self.valid | ~dut.waiting)):
            m.d.sync += cycles.eq(cycles + 1)
        with m.If(dut.done | dut.malformed):
            m.d.sync += running.eq(0)

        count, listed, coded = dut.count, dut.listed, dut.coded
        with m.If(~dut.malformed):
            m.d.comb += [
                Assert(idle + head + lengths + tail + place == 1),
                Assert(running == ~idle),
                Assert(~head | ((cycles == 1) & (listed == 0) & (coded == 0))),
                Assert(~(lengths | tail | place) | (count <= self._most)),
                Assert(~lengths | ((cycles <= 2 + listed) & (coded <= listed) & (listed <= count + 275))),
                Assert(~tail | ((cycles <= 3 + count) & (coded <= count) & (listed == count))),
                Assert(~place | ((cycles <= 4 + count + listed) & (coded <= count) & (listed <= coded))),
            ]
            with m.If(running):
                m.d.comb += Assert(cycles <= self.bound)
        m.d.comb += Cover(dut.done & (coded == 2) & ~dut.malformed)
        return m


class DecoderEnds(wiring.Component):
    """Every cycle with bits decodes a code or reports that there is none, and every entry arrives once.

    Tables, bits and pauses are free, but the tables are steady, and ESCAPE and raw fields have allowed widths. It
    follows that any number of entries comes to an end: each code takes one cycle in which neither bits nor
    consumer wait.
    """

    def __init__(self, p: EngineParameters) -> None:
        self._dut = HuffmanDecoder(p)
        free = self._dut.signature.members
        names = ("tables", "gaps", "level_bits", "run_bits", "enable", "bits", "valid")
        super().__init__({**{name: free[name] for name in names}, "ready": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._dut
        fresh, steady = Signal(init=1), Signal(2)
        gaps, level_bits, run_bits = Signal(), Signal(4), Signal(4)
        tables = Signal.like(self.tables)
        m.d.sync += [fresh.eq(0), steady.eq(Cat(~fresh, steady[0]))]
        with m.If(fresh):
            m.d.sync += [gaps.eq(self.gaps), level_bits.eq(self.level_bits), run_bits.eq(self.run_bits)]
            m.d.sync += tables.eq(self.tables)
        m.d.comb += [
            Assume((level_bits <= 8) & (run_bits <= 12) & (tables[0].escape <= 12)),
            dut.gaps.eq(gaps),
            dut.level_bits.eq(level_bits),
            dut.run_bits.eq(run_bits),
            dut.tables.eq(tables),
            dut.enable.eq(self.enable & steady[1]),
            dut.bits.eq(self.bits),
            dut.valid.eq(self.valid),
            dut.entries.ready.eq(self.ready),
        ]
        frozen = dut.entries.valid & ~self.ready
        ended, left = Signal(8), Signal(8)  # entries decoded, and entries taken; modulo 256
        width = Signal(6)
        payload, waited = Signal.like(dut.entries.payload), Signal()
        begin = dut.enable & self.valid & ~waited
        m.d.sync += [
            ended.eq(ended + dut.step),
            left.eq(left + (dut.entries.valid & self.ready)),
            payload.eq(dut.entries.payload),
            waited.eq(frozen),
        ]
        m.d.comb += [width.eq(dut.consume), Assert(width <= 32)]
        asked = Signal()
        m.d.sync += asked.eq(begin)
        with m.If(steady[1]):
            m.d.comb += [
                Assert(begin | (width == 0)),
                Assert(~dut.step | begin),
                Assert(gaps | (dut.step == begin)),
                Assert((left + sum(dut.stages[i] for i in range(4)))[:8] == ended),
            ]
            with m.If(begin & ~dut.choice.width.any() & ~dut.choice.escape):
                m.d.comb += [Assert(width == 0), Assert(~dut.choice.idle)]
            with m.If(dut.choice.idle):
                m.d.comb += [Assert(width == 0), Assert(~dut.choice.escape & ~dut.choice.width.any())]
            with m.If(dut.choice.escape):
                m.d.comb += [Assert(width == dut.choice.escape_width), Assert(~dut.choice.width.any())]
            with m.If(asked):
                m.d.comb += Assert(dut.no_code | (dut.used_bits != 0))
            with m.If(waited):
                m.d.comb += [Assert(dut.entries.valid), Assert(dut.entries.payload == payload)]
        m.d.comb += Cover(left == 3)
        return m
