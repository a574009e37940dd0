"""The blob stream as bits: any 0..32 of them a cycle, least significant first, packet by packet."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.front.crc32 import START, next_state

BLOB = data.StructLayout({"data": 32, "last": 1})
"""A word of the blob stream; ``last`` ends a section."""
COUNT_BITS = 31
MAX_WIDTH = 12
"""Bits of a code."""
CHOICE = data.StructLayout({"early": 1, "idle": 1, "width": MAX_WIDTH, "escape": 1, "escape_width": 6})
"""A width that is known late, in place of ``consume`` while ``early`` is set.

idle : nothing is consumed
width : bit n - 1 stands for n bits
escape : ``escape_width`` bits, as they were in the cycle before
One of the three, the latter two only with ``valid`` bits; with none of them the next bits mean nothing. While
``early`` is not set, ``idle`` is ignored and the other two are 0.
"""
CONSUMER = {"bits": In(32), "valid": In(1), "consume": Out(6), "waiting": Out(1)}
"""Members of a block that takes bits of a ``BitReader``.

bits, valid, consume : as the reader's, seen from the block
waiting : the block cannot go on without bits, so its packet is too short if it has no more of them
"""
DEPTH = 4


class BitReader(wiring.Component):
    """Takes one packet of words after each ``begin`` and hands out its bits.

    words : the blob stream; ready from the cycle after ``begin`` up to the packet's last word
    begin : pulse, forgets what is left of the packet before
    bits, valid : the next 32 bits, if as many have arrived
    consume : 0..32, bits to drop in this cycle; ignored unless ``valid``
    choice : the same, for who needs most of the cycle to find the width: what comes of every width is ready
        before it is chosen
    offset : bits already dropped of the word that ``bits`` starts in
    ended : the packet's last word has been taken
    empty : no bit is left here
    count : words taken, saturating at 2**31 - 1
    crc : CRC-32 of the words taken, the first one left out

    Four words are held in place; the bits at ``offset`` of them are kept in a register, too, so that whoever
    looks at them does so from the cycle's start. One word in and 32 bits out a cycle are sustained: ``ready``
    and ``valid`` are registers or little more. Latency from a word to its bits: two cycles.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "words": In(stream.Signature(BLOB)),
                "begin": In(1),
                "bits": Out(32),
                "valid": Out(1),
                "consume": In(6),
                "choice": In(CHOICE),
                "offset": Out(5),
                "ended": Out(1),
                "empty": Out(1),
                "count": Out(COUNT_BITS),
                "crc": Out(32),
            }
        )
        self.held = [Signal(32, name=f"held_{i}", reset_less=True) for i in range(DEPTH)]
        self.level = Signal(range(DEPTH + 1))  # words held
        self.next_place = [Signal(name=f"next_place_{i}", init=i == 0) for i in range(DEPTH)]  # level == i

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held, level = self.held, self.level
        active = Signal()
        state = Signal(32)
        word = self.words.payload.data

        take = self.words.ready & self.words.valid
        step = Mux(self.valid, self.consume, 0)
        m.d.comb += [
            self.words.ready.eq(active & (level != DEPTH)),
            self.empty.eq(level == 0),
            self.crc.eq(~state),
        ]

        # What is held, seen from ``offset`` on, and from the width's end that is known in time; then one of
        # these, or of the former's next few places.
        late, far = self.choice, Signal(6)
        escape_width = Signal(6)  # a copy that lies here, not where the decoder does
        m.d.sync += escape_width.eq(late.escape_width)
        near_bits, far_bits = Signal(32 + MAX_WIDTH), Signal(32)
        m.d.comb += [
            far.eq(self.offset + Mux(late.early, escape_width, step)),
            near_bits.eq(Cat(*held) >> self.offset),
            far_bits.eq(Cat(*held) >> far),
        ]
        total = Signal(6)
        choices = [(late.width[n - 1], near_bits[n:], (self.offset + n)[:6]) for n in range(1, MAX_WIDTH + 1)]
        choices.append((late.early & late.idle, near_bits, self.offset))
        choices.append((~late.early | late.escape, far_bits, far))
        m.d.comb += total.eq(reduce(or_, (chosen.replicate(6) & end for chosen, _, end in choices)))
        m.d.sync += self.bits.eq(reduce(or_, (chosen.replicate(32) & found[:32] for chosen, found, _ in choices)))

        # They are right if the words before this cycle's reach as far.
        enough = Array([Const(0), total == 0, total <= 32, Const(1), Const(1)])[level]
        m.d.sync += self.valid.eq(enough & ~self.begin)

        # This cycle's word goes to the next free place, or anything, if none came: ``level`` knows.
        stay = [Mux(self.next_place[i], word, held[i]) for i in range(DEPTH)]
        pop = total[5]
        coming = Signal.like(level)
        m.d.comb += coming.eq(Mux(self.begin, 0, level + take - pop))
        m.d.sync += [self.offset.eq(total[:5]), level.eq(coming)]
        m.d.sync += [place.eq(coming == i) for i, place in enumerate(self.next_place)]
        for i in range(DEPTH):
            m.d.sync += held[i].eq(Mux(pop, stay[i + 1] if i + 1 < DEPTH else held[i], stay[i]))

        with m.If(take):
            with m.If(~self.count.all()):
                m.d.sync += self.count.eq(self.count + 1)
            with m.If(self.count != 0):
                m.d.sync += state.eq(next_state(state, word))
            with m.If(self.words.payload.last):
                m.d.sync += [active.eq(0), self.ended.eq(1)]
        with m.If(self.begin):
            m.d.sync += [active.eq(1), self.ended.eq(0), self.count.eq(0), self.offset.eq(0), state.eq(START)]
        return m
