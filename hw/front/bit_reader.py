"""Hands out the bits of the blob stream, 0 to 32 a cycle, packet by packet; a word's lowest bit comes first."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.front.crc32 import START, next_state

BLOB = data.StructLayout({"data": 32, "last": 1})
"""A word of the blob stream; ``last`` marks the last word of a section."""
COUNT_BITS = 31
MAX_WIDTH = 12
"""Most bits of a code."""
CHOICE = data.StructLayout({"early": 1, "idle": 1, "width": MAX_WIDTH, "escape": 1, "escape_width": 6})
"""How many bits to consume, from a block that needs most of the cycle to find out.

early : this choice counts, and ``consume`` does not
idle : consume nothing
width : bit n - 1 is set to consume n bits
escape : consume ``escape_width`` bits, a number that must be in place one cycle before

While ``early``, exactly one bit of ``idle``, ``width`` and ``escape`` is set; only ``idle`` may be set without
``valid`` bits. If none is set, the reader's bits are meaningless from then on (the block has found a defect).
Without ``early``, ``idle`` is ignored, and ``width`` and ``escape`` must be 0.
"""
CONSUMER = {"bits": In(32), "valid": In(1), "consume": Out(6), "waiting": Out(1)}
"""Members of a block that takes bits from a ``BitReader``.

bits, valid, consume : the reader's members of these names, seen from the block
waiting : the block cannot go on in this cycle unless ``valid``; the packet is too short if it has no more bits
"""
DEPTH = 4
"""Words that a ``BitReader`` holds."""


class BitReader(wiring.Component):
    """Takes one packet of words after each ``begin`` and hands out its bits.

    Four words are held. The 32 bits behind those consumed are kept in a register, too, so that their users have
    the whole cycle. For the same reason what becomes of that register is prepared for every width of ``choice``.

    Members
    -------
    words : In(stream of BLOB), a packet
    begin : In(1), pulse that forgets what is left of the packet before and opens ``words`` for the next one
    bits : Out(32), the packet's next bits, the first lowest
    valid : Out(1), all 32 of ``bits`` have arrived
    consume : In(6), number of bits to drop in this cycle, 0..32; ignored unless ``valid``
    choice : In(CHOICE), the same number, in a form that may settle late in the cycle
    offset : Out(5), number of bits that have been dropped of the word in which ``bits`` starts
    ended : Out(1), the packet's last word has been taken
    empty : Out(1), no word is held
    count : Out(31), number of words taken of this packet, at most 2**31 - 1
    crc : Out(32), CRC-32 of the words taken of this packet, without the first one

    Latency: two cycles from a word to its bits. One word in and 32 bits out a cycle are sustained.

    Back-pressure: ``words.ready`` is 1 from the cycle after ``begin`` until the packet's last word, unless four
    words are held; it does not depend on this cycle's inputs.
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

        # What comes next is one of: the held bits from ``offset + n`` on, for each n of ``choice``; or those
        # from ``far`` on, ``far`` being the end of a width that is known early in the cycle.
        late, far = self.choice, Signal(6)
        escape_width = Signal(6)  # a copy, so that it can be placed near its use and not near the decoder
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

        # They are valid if the words held, without the one of this cycle, reach to their end.
        enough = Array([Const(0), total == 0, total <= 32, Const(1), Const(1)])[level]
        m.d.sync += self.valid.eq(enough & ~self.begin)

        # The next free place takes ``word`` in every cycle; ``level`` counts it only if it was a word.
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
