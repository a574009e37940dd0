"""The entropy decoder: an entry (run of zeros, level) a cycle out of the next bits of the stream.

Stages, which stand still together a cycle after the consumer has not taken the entry at the end, that entry
being kept aside until then, so that taking one and decoding another never share a cycle:

1. the 12 bits of the window, first bit on top, are compared with the limits of all code lengths at
   once, which gives the code's length and tells ESCAPE by its value, so that its raw bits are
   consumed in the same cycle;
2. code + delta = place in the symbol memory, while the raw bits are shifted down;
3. the symbol is there: it is split into run and level, or replaced by the raw ones;
4. the entry.

With GAPS an entry takes two such cycles, one for each table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.bit_reader import CHOICE
from dcgen.hw.front.code_table import LENGTHS, MAX_CODE_BITS, SYMBOL_BITS, place_port, table_layout

ENTRY = data.StructLayout({"run": 12, "level": 8})
"""``run`` zeros and the weight behind them; level 0 is a filler zero."""
RAW_BITS = 20
STAGE_1 = data.StructLayout({"window": 12, "fits": 12, "length": 4, "raw": 32, "escaped": 1, "second": 1})
STAGE_2 = data.StructLayout({"raw": RAW_BITS, "escaped": 1, "second": 1})


class HuffmanDecoder(wiring.Component):
    """Decodes while ``enable``; bits are consumed only in cycles with ``valid`` bits.

    tables, place : those of a ``CodeTableReader``
    gaps, level_bits, run_bits : as in the section's header, steady while anything is decoded
    enable : more entries are wanted, from the second cycle of new tables on; consult ``step`` for each one begun
    hold : nothing moves, as if an entry were not taken
    bits, valid, choice : those of a ``BitReader``, whose ``choice.early`` is left to others
    consume : the bits chosen
    step : this cycle consumes the (last) bits of an entry
    no_code : pulse, the bits consumed in the cycle before are no code
    used_bits : number of bits consumed in the cycle before
    entries : the entries
    busy : an entry is on its way
    """

    def __init__(self, p: EngineParameters) -> None:
        self._p = p
        self.stages = Signal(4)  # which stages hold an entry's (last) code, for proofs
        super().__init__(
            {
                "tables": In(data.ArrayLayout(table_layout(p), 2)),
                "place": In(place_port(p)),
                "gaps": In(1),
                "level_bits": In(4),
                "run_bits": In(4),
                "enable": In(1),
                "hold": In(1),
                "bits": In(32),
                "valid": In(1),
                "consume": Out(6),
                "choice": Out(CHOICE),
                "step": Out(1),
                "no_code": Out(1),
                "used_bits": Out(6),
                "entries": Out(stream.Signature(ENTRY)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.symbols = symbols = Memory(shape=SYMBOL_BITS, depth=self._p.max_symbols, init=[])
        writer, reader = symbols.write_port(), symbols.read_port()
        m.d.comb += [
            writer.en.eq(self.place.enable),
            writer.addr.eq(self.place.address),
            writer.data.eq(self.place.symbol),
        ]
        stopped, move = Signal(), Signal()
        m.d.sync += stopped.eq(self.hold | (self.entries.valid & ~self.entries.ready))
        m.d.comb += move.eq(~stopped)

        # 1: length and escape
        second = Signal()  # GAPS: the level's code is next
        turn = Signal()  # ``second`` of the next cycle
        window, fits, beyond_all, length = self._match_lengths(m, turn)
        escaped, escape_width = self._match_escape(m, window)
        begin = Signal()
        m.d.comb += [
            begin.eq(self.enable & self.valid & move),
            self.consume.eq(Mux(begin, Mux(escaped, escape_width, length), 0)),
            self.choice.idle.eq(~begin),
            self.choice.width.eq(fits & (begin & ~escaped).replicate(MAX_CODE_BITS)),
            self.choice.escape.eq(begin & escaped),
            self.choice.escape_width.eq(escape_width),
            self.step.eq(begin & (second | ~self.gaps)),
        ]
        stage_1 = Signal(STAGE_1)
        ends = Signal(2)  # stages 1 and 2 hold an entry's last code
        valid = [Signal(name=f"valid_{i}") for i in range(1, 4)]
        aside, aside_valid = Signal(ENTRY), Signal()
        m.d.comb += self.stages.eq(Cat(valid[0] & ends[0], valid[1] & ends[1], valid[2], stopped & aside_valid))
        m.d.sync += [self.no_code.eq(begin & beyond_all), self.used_bits.eq(self.consume)]
        m.d.comb += turn.eq(self.gaps & (second ^ begin))
        m.d.sync += second.eq(turn)
        with m.If(move):
            m.d.sync += [
                valid[0].eq(begin),
                stage_1.window.eq(window),
                stage_1.fits.eq(fits),
                stage_1.length.eq(length),
                stage_1.raw.eq(self.bits),
                stage_1.escaped.eq(escaped),
                stage_1.second.eq(second),
            ]

        # 2: place in the symbol memory; raw bits down to bit 0
        m.d.comb += [reader.addr.eq(self._place_of(m, stage_1)), reader.en.eq(move)]
        stage_2 = Signal(STAGE_2)
        with m.If(move):
            m.d.sync += [
                valid[1].eq(valid[0]),
                stage_2.raw.eq(stage_1.raw >> stage_1.length),
                stage_2.escaped.eq(stage_1.escaped),
                stage_2.second.eq(stage_1.second),
            ]

        # 3: run and level
        run, level, gap = self._run_and_level(m, stage_2, reader.data)
        entry = Signal(ENTRY)
        with m.If(move):
            m.d.sync += [
                valid[2].eq(valid[1] & ends[1]),
                entry.run.eq(run),
                entry.level.eq(level),
                aside.eq(entry),
                aside_valid.eq(valid[2]),
            ]
            with m.If(valid[1] & ~stage_2.second):
                m.d.sync += gap.eq(reader.data)
        m.d.comb += ends.eq(Cat(stage_1.second | ~self.gaps, stage_2.second | ~self.gaps))
        m.d.comb += [
            self.entries.valid.eq(Mux(stopped, aside_valid, valid[2])),
            self.entries.payload.eq(Mux(stopped, aside, entry)),
            self.busy.eq(valid[0] | valid[1] | valid[2] | (stopped & aside_valid)),
        ]
        return m

    def _match_lengths(self, m: Module, turn: Signal) -> tuple[Signal, Signal, Value, Signal]:
        """Compares the next bits with the limits of a table, chosen by ``turn`` a cycle before.

        Returns the next 12 bits, the first on top; the length as one bit of 12, bit n - 1 for n bits; whether
        no code matches; and the length as a number, 0 if none matches.
        """
        window = Signal(MAX_CODE_BITS)
        m.d.comb += window.eq(Cat(self.bits[MAX_CODE_BITS - 1 - i] for i in range(MAX_CODE_BITS)))
        limits = {n: Signal(n + 1, name=f"limit_{n}") for n in LENGTHS}
        beyond = Signal(MAX_CODE_BITS + 1)  # bit n: the code is longer than n bits
        fits = Signal(MAX_CODE_BITS)
        m.d.comb += beyond[0].eq(1)
        for n in LENGTHS:
            either = [getattr(self.tables[i].limit, f"l{n}") for i in (1, 0)]
            m.d.sync += limits[n].eq(Mux(turn, *either))
            m.d.comb += beyond[n].eq(window[MAX_CODE_BITS - n :] >= limits[n])
            m.d.comb += fits[n - 1].eq(beyond[n - 1] & ~beyond[n])
        length = Signal(4)
        m.d.comb += length.eq(Cat(Cat(fits[n - 1] for n in LENGTHS if n >> bit & 1).any() for bit in range(4)))
        return window, fits, beyond[MAX_CODE_BITS], length

    def _match_escape(self, m: Module, window: Signal) -> tuple[Signal, Signal]:
        """Whether ESCAPE's code is next, and the bits of code and raw run and level together.

        Code and mask are registers, since the table is steady long before its first code is looked at.
        """
        escape_length = self.tables[0].escape
        escape_code, escape_mask, escape_width = Signal(12), Signal(12), Signal(6)
        m.d.sync += escape_width.eq(escape_length + self.run_bits + self.level_bits)
        with m.Switch(escape_length):
            for n in LENGTHS:
                with m.Case(n):
                    last = (getattr(self.tables[0].limit, f"l{n}") - 1)[:n]
                    m.d.sync += escape_code.eq(last << MAX_CODE_BITS - n)
                    m.d.sync += escape_mask.eq(((1 << n) - 1) << MAX_CODE_BITS - n)
        escaped = Signal()
        m.d.comb += escaped.eq(((window & escape_mask) == escape_code) & (escape_length != 0) & ~self.gaps)
        return escaped, escape_width

    def _place_of(self, m: Module, stage_1: data.View) -> Value:
        """The code's place in the symbol memory: the code, as a number of its length, plus that length's delta."""
        code, delta = Signal(MAX_CODE_BITS), Signal(bits(self._p.max_symbols))
        deltas = [Mux(stage_1.second, *(self.tables[i].delta[n - 1] for i in (1, 0))) for n in LENGTHS]
        codes = [stage_1.window[MAX_CODE_BITS - n :] for n in LENGTHS]
        m.d.comb += [code.eq(_one_of(stage_1.fits, codes)), delta.eq(_one_of(stage_1.fits, deltas))]
        return code + delta

    def _run_and_level(self, m: Module, stage_2: data.View, symbol: Value) -> tuple[Signal, Signal, Signal]:
        """Run and level of a symbol or of raw bits; and GAPS' register of the run, whose code comes first."""
        level_mask, run_mask = Signal(8), Signal(12)
        m.d.sync += [level_mask.eq(_ones(self.level_bits, 8)), run_mask.eq(_ones(self.run_bits, 12))]
        run, level, gap = Signal(12), Signal(8), Signal(12)
        with m.If(self.gaps):
            m.d.comb += [run.eq(gap), level.eq(symbol)]
        with m.Elif(stage_2.escaped):
            m.d.comb += [run.eq(stage_2.raw & run_mask), level.eq((stage_2.raw >> self.run_bits) & level_mask)]
        with m.Else():
            m.d.comb += [run.eq(symbol >> self.level_bits), level.eq(symbol & level_mask)]
        return run, level, gap


def _one_of(chosen: Value, values: Sequence[Value]) -> Value:
    """The value whose bit of ``chosen`` is set; 0 if none is."""
    return reduce(or_, (chosen[i].replicate(len(value)) & value for i, value in enumerate(values)))


def _ones(count: Value, width: int) -> Value:
    """``count`` ones, as a number of ``width`` bits."""
    return Cat(count > i for i in range(width))
