"""Reads a packed code table and prepares canonical decoding from it.

A packed table gives the length of each symbol's code in nibbles; ``docs/blob-format.md`` has the format. There are
two passes. The first one reads the lengths: it counts each coded symbol into the limits of its length and of all
longer ones, and notes symbol and length. The second one walks the notes and writes each symbol to its place in the
symbol memory, where symbols are ordered by the length of their codes, and within a length by number.

For each length l = 1..12 the result has

* ``limit``: the last code of at most l bits, as a number of l bits, plus 1;
* ``delta``: what added to a code of l bits gives its symbol's place, modulo ``max_symbols``.

ESCAPE, the code in front of a raw run and level, is the last code of its length, and has no place.
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
"""All lengths of a code, in bits."""
HEAD_BYTES = 4
"""Bytes of a packed table in front of the nibbles."""
STATES = ("IDLE", "HEAD", "LENGTHS", "TAIL", "PLACE")
"""States of the reader, a bit of ``CodeTableReader.states`` each."""


def table_layout(p: EngineParameters) -> data.StructLayout:
    """One table, ready for decoding.

    limit : field l1 to l12 for each length l, 0 .. 2**l
    delta : element l - 1 for each length l
    escape : bits of ESCAPE's code, 0 if the table has none
    """
    limit = data.StructLayout({f"l{n}": n + 1 for n in LENGTHS})
    delta = data.ArrayLayout(bits(p.max_symbols), MAX_CODE_BITS)
    return data.StructLayout({"limit": limit, "delta": delta, "escape": 4})


def place_port(p: EngineParameters) -> wiring.Signature:
    """Writes of the symbol memory, seen from the writer: ``symbol`` goes to ``address`` if ``enable``."""
    return wiring.Signature({"enable": Out(1), "address": Out(bits(p.max_symbols)), "symbol": Out(SYMBOL_BITS)})


class CodeTableReader(wiring.Component):
    """Turns the bits of a packed table into ``tables`` and the contents of the symbol memory.

    Parameters
    ----------
    p : sizes of the engine; ``max_symbols`` is the number of places

    Members
    -------
    start : In(1), pulse; ``size``, ``most``, ``escapes`` and ``second`` are steady from then until ``done``
    size : In(16), bytes of the packed table
    most : In(13), most symbols that the table may list
    escapes : In(1), ESCAPE may have a code
    second : In(1), the table becomes ``tables[1]``, and its places follow those of the table before
    bits, valid, consume, waiting : see ``CONSUMER``
    early, nibbles : Out(1), Out(3), while lengths are read, ``consume`` in the form of ``CHOICE``: bit n - 1 of
        ``nibbles`` for n nibbles
    done : Out(1), pulse; ``tables`` are complete, the last symbol is written in the next cycle
    malformed : Out(1), set by ``done`` at the latest and never cleared: the table is wrong
    full : Out(1), likewise: there are more coded symbols than places
    tables : Out(array of two table_layout), the tables read last
    place : Out(place_port), writes of the symbol memory

    Latency: from ``start`` to ``done`` as ``front_timing.table_cycles`` says, and what it waits for bits.

    Back-pressure: bits are taken in each cycle that needs them; ``place`` takes no wait.
    """

    def __init__(self, p: EngineParameters) -> None:
        self._p = p
        # Inner signals that proofs look at: number of the next symbol, number of symbols that the table lists,
        # number of coded symbols so far, the state.
        self.listed, self.count = Signal(13), Signal(13)
        self.coded = Signal(bits(p.max_symbols) + 1)
        self.states = Signal(len(STATES))
        # By length: ``limit`` as far as lengths were read; the place of the next symbol.
        self._limit = {n: Signal(n + 1, name=f"limit_{n}") for n in LENGTHS}
        self._place = {n: Signal(bits(p.max_symbols), name=f"place_{n}") for n in LENGTHS}
        self._left = Signal(18, name="left")  # nibbles of the table that have not been read
        self._over, self._bad = Signal(), Signal(name="bad")  # too many symbols or codes; any defect
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
        escape = Signal(4)  # bits of ESCAPE's code
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
        """Notes a coded symbol, and counts it into the limits and places behind it.

        Returns its two inputs: whether there is one in this cycle, which is number ``listed``; its code's length.
        """
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
        """Waits for the start, then reads the head: number of symbols, length of ESCAPE's code, a zero byte."""
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
        """Reads lengths from nibbles: in each cycle one coded symbol, or a run of symbols without codes.

        previous : the last length read; ``repeat`` more symbols have it
        emit, length : the symbol ``listed`` has a code of this length
        """
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
        """Drops the last byte's spare nibble, which must be 0, and stores limits, deltas and ESCAPE's length."""
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
            # The memory of the notes has a latency of one cycle: note ``listed - 1`` is on its output.
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
