"""The entropy decoder: makes one entry a cycle, a run of zeros and the level behind it, from bits of the stream.

It is a pipeline of four stages:

1. The next 12 bits, the first on top, are compared with the limits of all code lengths at once, which gives the
   code's length. ESCAPE is recognized by its value, so that its raw bits are consumed in the same cycle.
2. The code plus its length's delta is the symbol's place in the symbol memory. Raw bits are shifted down to bit 0.
3. The symbol is split into run and level, or raw run and level take their place.
4. The entry is offered.

If the consumer does not take an entry, all stages stand still from the next cycle on, and the entry waits in a
register of its own ("aside"). So whether an entry is taken has no effect on decoding in the same cycle: a path
from the consumer to the bit reader would be too long.

With the coding GAPS an entry is two codes, which take a cycle each: the run's from table 0, the level's from
table 1.
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
"""``run`` zeros and the weight behind them, as an index of the codebook; index 0 is one more zero (a filler)."""
RAW_BITS = 20
"""Most bits of raw run and level together."""
STAGE_1 = data.StructLayout({"window": 12, "fits": 12, "length": 4, "raw": 32, "escaped": 1, "second": 1})
"""What stage 1 hands to stage 2.

window : the next 12 bits, the first on top
fits : bit n - 1 is set if the code has n bits; none is set if no code matches
length : the same as a number, 0 if no code matches
raw : the next 32 bits, the first lowest
escaped : the code is ESCAPE
second : the code is of table 1
"""
STAGE_2 = data.StructLayout({"raw": RAW_BITS, "escaped": 1, "second": 1})
"""What stage 2 hands to stage 3, beside the symbol: ``raw`` without the code; the others as in ``STAGE_1``."""


class HuffmanDecoder(wiring.Component):
    """Decodes entries while ``enable``.

    Parameters
    ----------
    p : sizes of the engine; ``max_symbols`` is the number of places of the symbol memory

    Members
    -------
    tables, place : In(array of two table_layout), In(place_port), those of a ``CodeTableReader``
    gaps : In(1), the coding is GAPS, not JOINT
    level_bits, run_bits : In(4), widths of a symbol's level and of a raw run, as in the section's header
    enable : In(1), one more entry is wanted; ``tables``, ``gaps`` and the widths must have been steady for a cycle
        by then, and stay so while ``busy``
    hold : In(1), nothing moves from the next cycle on, as if an entry were not taken
    bits, valid : In(32), In(1), the next bits of a ``BitReader``, of which some are consumed only while ``valid``
    consume : Out(6), number of bits consumed in this cycle
    choice : Out(CHOICE), the same number for the ``BitReader``; whoever connects it sets ``choice.early``
    step : Out(1), the bits consumed in this cycle complete an entry's codes
    no_code : Out(1), pulse; in the cycle before, the next bits were no code of the table
    used_bits : Out(6), ``consume`` of the cycle before
    entries : Out(stream of ENTRY), the entries in order
    busy : Out(1), an entry is in stages 2 to 4

    Latency: ``front_timing.DECODE_LATENCY`` cycles from the bits of an entry's last code to the entry.

    Back-pressure: an entry that is not taken stays on offer, and from the next cycle on no bits are consumed.
    """

    def __init__(self, p: EngineParameters) -> None:
        self._p = p
        # For proofs: which registers hold an entry, or its last code: stage 1's, 2's, 3's, and aside.
        self.stages = Signal(4)
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
        stopped, move = Signal(), Signal()  # the stages stand still, or go on, in this cycle
        m.d.sync += stopped.eq(self.hold | (self.entries.valid & ~self.entries.ready))
        m.d.comb += move.eq(~stopped)

        # Stage 1: length and escape
        second = Signal()  # the next code is of table 1: with GAPS, the level's
        turn = Signal()  # ``second`` of the next cycle
        window, fits, beyond_all, length = self._match_lengths(m, turn)
        escaped, escape_width = self._match_escape(m, window)
        begin = Signal()  # a code enters the pipeline
        m.d.comb += [
            begin.eq(self.enable & self.valid & move),
            self.consume.eq(Mux(begin, Mux(escaped, escape_width, length), 0)),
            self.choice.idle.eq(~begin),
            self.choice.width.eq(fits & (begin & ~escaped).replicate(MAX_CODE_BITS)),
            self.choice.escape.eq(begin & escaped),
            self.choice.escape_width.eq(escape_width),
            self.step.eq(begin & (second | ~self.gaps)),
        ]
        stage_1 = Signal(STAGE_1)  # register behind stage 1; ``valid[0]`` says whether it holds a code
        ends = Signal(2)  # the codes of stages 1 and 2 are the last ones of their entries
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

        # Stage 2: place in the symbol memory; raw bits down to bit 0
        m.d.comb += [reader.addr.eq(self._place_of(m, stage_1)), reader.en.eq(move)]
        stage_2 = Signal(STAGE_2)
        with m.If(move):
            m.d.sync += [
                valid[1].eq(valid[0]),
                stage_2.raw.eq(stage_1.raw >> stage_1.length),
                stage_2.escaped.eq(stage_1.escaped),
                stage_2.second.eq(stage_1.second),
            ]

        # Stage 3: run and level
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
        """Compares the next bits with the limits of table ``turn``, a number given one cycle before.

        Returns ``window``, ``fits``, "no code matches", and ``length``, all as in ``STAGE_1``.
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
        """Returns whether ESCAPE's code is next, and the width of that code with raw run and level.

        ESCAPE's code and mask, aligned to the top of 12 bits, are registers, since the tables are steady for a
        cycle before anything is decoded.
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
        """The symbol's place in the symbol memory: its code, as a number, plus the delta of the code's length."""
        code, delta = Signal(MAX_CODE_BITS), Signal(bits(self._p.max_symbols))
        deltas = [Mux(stage_1.second, *(self.tables[i].delta[n - 1] for i in (1, 0))) for n in LENGTHS]
        codes = [stage_1.window[MAX_CODE_BITS - n :] for n in LENGTHS]
        m.d.comb += [code.eq(_one_of(stage_1.fits, codes)), delta.eq(_one_of(stage_1.fits, deltas))]
        return code + delta

    def _run_and_level(self, m: Module, stage_2: data.View, symbol: Value) -> tuple[Signal, Signal, Signal]:
        """Returns run and level, from symbol or raw bits; and with GAPS the register that keeps the run."""
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
    """The value whose bit of ``chosen`` is set; 0 if no bit is set. At most one may be."""
    return reduce(or_, (chosen[i].replicate(len(value)) & value for i, value in enumerate(values)))


def _ones(count: Value, width: int) -> Value:
    """A number of ``width`` bits whose lowest ``count`` are set."""
    return Cat(count > i for i in range(width))
