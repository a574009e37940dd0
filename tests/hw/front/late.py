"""A bit reader that can be told in each cycle by which of its two inputs it is told how many bits to consume."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.front.bit_reader import BLOB, BitReader


def choose(m: Module, reader: BitReader, consume: Value, late: Value) -> None:
    """Lets ``reader`` consume ``consume`` bits.

    late : say so by the reader's ``choice``, if that can express the number in this cycle: 1 to 12 bits, or the
        number of bits of the cycle before
    """
    early, some, one_of, before = Signal(), Signal(), Signal(), Signal(6)
    m.d.sync += before.eq(consume)
    m.d.comb += [
        early.eq(late & (one_of | (consume == before))),
        some.eq(early & reader.valid & (consume != 0)),
        one_of.eq(consume <= 12),
        reader.consume.eq(consume),
        reader.choice.early.eq(early),
        reader.choice.idle.eq(~some),
        reader.choice.width.eq(Cat(some & (consume == n) for n in range(1, 13))),
        reader.choice.escape.eq(some & ~one_of),
        reader.choice.escape_width.eq(consume),
    ]


class LateBitReader(wiring.Component):
    """A ``BitReader`` that has, in the place of ``choice``, the input ``late`` of ``choose``."""

    def __init__(self) -> None:
        outputs = {"bits": 32, "valid": 1, "offset": 5, "ended": 1, "empty": 1, "count": 31, "crc": 32}
        super().__init__(
            {
                "words": In(stream.Signature(BLOB)),
                "begin": In(1),
                "consume": In(6),
                "late": In(1),
                **{name: Out(width) for name, width in outputs.items()},
            }
        )
        self._outputs = tuple(outputs)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.reader = reader = BitReader()
        wiring.connect(m, wiring.flipped(self.words), reader.words)
        m.d.comb += reader.begin.eq(self.begin)
        m.d.comb += [getattr(self, name).eq(getattr(reader, name)) for name in self._outputs]
        choose(m, reader, self.consume, self.late)
        return m
