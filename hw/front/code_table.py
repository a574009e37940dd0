"""Reads a packed code table and prepares canonical decoding from it.

Lengths arrive as nibbles. Every coded symbol is counted into the limits of its length and of the
longer ones, and noted with its length; when all are known the notes are walked and each symbol goes
to its place in the symbol memory: by length, then by symbol.

For each length l = 1..12 a table says

* ``limit``: one more than the last code of at most l bits, seen as an l-bit number;
* ``delta``: added to a code of l bits it gives the symbol's place, modulo ``max_symbols``.

ESCAPE has the last code of its length and no place.
"""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.bit_reader import CONSUMER

MAX_CODE_BITS = 12
SYMBOL_BITS = 12
LENGTHS = range(1, MAX_CODE_BITS + 1)
HEAD_BYTES = 4
STATES = ("IDLE", "HEAD", "LENGTHS", "TAIL", "PLACE")


def table_layout(p: EngineParameters) -> data.StructLayout:
    """One table. ``limit`` l is 0 .. 2**l; ``escape`` is ESCAPE's length, 0 for none."""
    limit = data.StructLayout({f"l{n}": n + 1 for n in LENGTHS})
    delta = data.ArrayLayout(bits(p.max_symbols), MAX_CODE_BITS)
    return data.StructLayout({"limit": limit, "delta": delta, "escape": 4})


def place_port(p: EngineParameters) -> wiring.Signature:
    """Writes the symbol memory, seen from the writer."""
    return wiring.Signature({"enable": Out(1), "address": Out(bits(p.max_symbols)), "symbol": Out(SYMBOL_BITS)})


class CodeTableReader(wiring.Component):
    """Bits of a packed table in, ``tables`` and the symbol memory's contents out.

    start : pulse; ``size``, ``most``, ``escapes`` and ``second`` hold from then until ``done``
    size : bytes of the packed table
    most : symbols that it may list
    escapes : whether ESCAPE may have a code
    second : fill ``tables[1]``; its places follow those of the table before
    bits, valid, consume : those of a ``BitReader``; ``waiting`` while no step is possible without bits
    early, nibbles : while lengths are read, ``consume`` as a ``BitReader``'s choice: bit n - 1 for n nibbles
    done : pulse
    malformed, full : levels, not later than ``done``: a wrong table; more coded symbols than places

    Cycles from ``start`` to ``done``: see ``front_timing.table_cycles``.
    """

    def __init__(self, p: EngineParameters) -> None:
        self._p = p
        # Inner signals, which proofs look at.
        self.listed, self.count = Signal(13), Signal(13)
        self.coded = Signal(bits(p.max_symbols) + 1)
        self.states = Signal(len(STATES))
        self._limit = {n: Signal(n + 1, name=f"limit_{n}") for n in LENGTHS}
        self._place = {n: Signal(bits(p.max_symbols), name=f"place_{n}") for n in LENGTHS}
        self._left = Signal(18, name="left")  # nibbles of the table that have not been read
        self._over, self._bad = Signal(), Signal(name="bad")
        super().__init__(
            {
                "start": In(1),
                "size": In(16),
                "most": In(13),
                "escapes": In(1),
                "second": In(1),
                **CONSUMER,
                "early": Out(1),
                "nibbles": Out(3),
                "done": Out(1),
                "malformed": Out(1),
                "full": Out(1),
                "tables": Out(data.ArrayLayout(table_layout(p), 2)),
                "place": Out(place_port(p)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        note = data.StructLayout({"symbol": SYMBOL_BITS, "length": 4})
        m.submodules.notes = notes = Memory(shape=note, depth=self._p.max_symbols, init=[])
        noter, walker = notes.write_port(), notes.read_port()
        base = Signal(len(self.coded))  # places of the table before
        previous, repeat = Signal(4), Signal(5)
        escape = Signal(4)
        emit, length = self._note_symbol(m, noter, base)
        beyond_codes = self._limit[MAX_CODE_BITS] > 1 << MAX_CODE_BITS
        m.d.comb += self._over.eq((self.listed > self.count) | beyond_codes)
        with m.If(self._bad):
            m.d.sync += self.malformed.eq(1)
        m.d.sync += self.place.enable.eq(0)
        with m.FSM() as fsm:
            m.d.comb += self.states.eq(Cat(fsm.ongoing(state) for state in STATES))
            self._head_states(m, base, escape, repeat)
            self._lengths_state(m, previous, repeat, emit, length)
            self._tail_state(m, base, escape)
            self._place_state(m, walker)
        m.d.comb += walker.addr.eq(self.listed)
        return m

    def _note_symbol(self, m: Module, noter: WritePort, base: Signal) -> tuple[Signal, Signal]:
        """Notes a symbol with its code's length, moves limits and places behind it; returns enable and length."""
        emit, length = Signal(), Signal(4)
        spare = Signal()
        m.d.comb += [
            spare.eq(self.coded + base != self._p.max_symbols),
            noter.en.eq(emit & spare),
            noter.addr.eq(self.coded),
            noter.data.symbol.eq(self.listed),
            noter.data.length.eq(length),
        ]
        limit, place = self._limit, self._place
        with m.If(emit):
            m.d.sync += [self.coded.eq(self.coded + spare), self.full.eq(~spare)]
            for n in LENGTHS:
                step = Cat(length == n - k for k in range(n))  # 2**(n - length)
                m.d.sync += [limit[n].eq(limit[n] + step), place[n].eq(place[n] + (length < n))]
        return emit, length

    def _head_states(self, m: Module, base: Signal, escape: Signal, repeat: Signal) -> None:
        """Waits for the start, then reads the table's head: number of symbols, length of ESCAPE's code."""
        with m.State("IDLE"):
            m.d.sync += [self.listed.eq(0), repeat.eq(0), self.coded.eq(0)]
            m.d.sync += self._left.eq((self.size - HEAD_BYTES) << 1)
            with m.If(self.start):
                m.next = "HEAD"
                m.d.comb += self._bad.eq(self.size < HEAD_BYTES)
                with m.If(~self.second):
                    m.d.sync += base.eq(0)
        with m.State("HEAD"):
            found = self.bits[16:24]
            m.d.comb += [self.waiting.eq(1), self.consume.eq(32)]
            with m.If(self.valid):
                m.d.sync += [self.count.eq(self.bits[:16]), escape.eq(found)]
                wrong = (self.bits[:16] > self.most) | (self.bits[24:32] != 0)
                m.d.comb += self._bad.eq(wrong | (found > Mux(self.escapes, MAX_CODE_BITS, 0)))
                for n in LENGTHS:
                    m.d.sync += self._limit[n].eq(Cat(found == n - k for k in range(n)))
                    m.d.sync += self._place[n].eq(base)
                m.next = "LENGTHS"

    def _lengths_state(self, m: Module, previous: Signal, repeat: Signal, emit: Signal, length: Signal) -> None:
        """Reads lengths from nibbles: one symbol a cycle, or one run of symbols without a code."""
        listed, left = self.listed, self._left
        nibble, first, second = self.bits[0:4], self.bits[4:8], self.bits[8:12]
        with m.State("LENGTHS"):
            m.d.comb += self.early.eq(1)
            with m.If(self._over):
                m.d.comb += self._bad.eq(1)
            with m.Elif(repeat != 0):
                m.d.comb += [emit.eq(1), length.eq(previous)]
                m.d.sync += [repeat.eq(repeat - 1), listed.eq(listed + 1)]
            with m.Elif(listed == self.count):
                m.next = "TAIL"
            with m.Else():
                taken = Signal(2)
                m.d.comb += [
                    taken.eq(Mux(nibble == 15, 3, Mux(nibble > MAX_CODE_BITS, 2, 1))),
                    self.waiting.eq(1),
                    self.consume.eq(taken << 2),
                ]
                with m.If(self.valid):
                    m.d.comb += self.nibbles.eq(Cat(taken == n for n in (1, 2, 3)))
                    m.d.sync += left.eq(left - taken)
                    m.d.comb += self._bad.eq((left < taken) | ((nibble == 14) & (listed == 0)))
                    with m.Switch(nibble):
                        with m.Case(13):
                            m.d.sync += [listed.eq(listed + first + 3), previous.eq(0)]
                        with m.Case(15):
                            gap = Cat(first, second) + 19
                            m.d.sync += [listed.eq(listed + gap), previous.eq(0)]
                        with m.Case(14):
                            with m.If(previous == 0):
                                m.d.sync += listed.eq(listed + first + 3)
                            with m.Else():
                                m.d.comb += [emit.eq(1), length.eq(previous)]
                                m.d.sync += [listed.eq(listed + 1), repeat.eq(first + 2)]
                        with m.Default():
                            m.d.comb += [emit.eq(nibble != 0), length.eq(nibble)]
                            m.d.sync += [listed.eq(listed + 1), previous.eq(nibble)]

    def _tail_state(self, m: Module, base: Signal, escape: Signal) -> None:
        """Drops the last byte's odd nibble, which must be 0; stores limits, deltas and ESCAPE's length."""
        limit, odd = self._limit, self._left[0]
        with m.State("TAIL"):
            m.d.comb += [self.waiting.eq(odd), self.consume.eq(odd << 2)]
            m.d.comb += self._bad.eq((self._left > 1) | self._over | (odd & self.valid & (self.bits[0:4] != 0)))
            with m.If(self.valid | ~odd):
                table = self.tables[self.second]
                m.d.sync += table.escape.eq(escape)
                for n in LENGTHS:
                    shorter = limit[n - 1] << 1 if n > 1 else Const(0)
                    m.d.sync += getattr(table.limit, f"l{n}").eq(limit[n])
                    m.d.sync += table.delta[n - 1].eq(self._place[n] - shorter)
                m.d.sync += [self.listed.eq(0), base.eq(base + self.coded)]
                m.next = "PLACE"

    def _place_state(self, m: Module, walker: ReadPort) -> None:
        """Walks the notes and writes each symbol to the next place of its length."""
        listed, place = self.listed, self._place
        with m.State("PLACE"):
            # The notes answer a cycle after they are asked: in this cycle with note ``listed - 1``.
            m.d.sync += listed.eq(listed + 1)
            where = Array([Const(0), *place.values(), Const(0), Const(0), Const(0)])[walker.data.length]
            m.d.sync += [
                self.place.enable.eq(listed != 0),
                self.place.address.eq(where),
                self.place.symbol.eq(walker.data.symbol),
            ]
            for n in LENGTHS:
                with m.If((listed != 0) & (walker.data.length == n)):
                    m.d.sync += place[n].eq(place[n] + 1)
            with m.If(listed == self.coded):
                m.next = "IDLE"
                m.d.comb += self.done.eq(1)
