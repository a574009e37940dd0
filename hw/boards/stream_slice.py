"""A stream's registers: neither payload and valid nor ready go through within a cycle."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamSlice(wiring.Component):
    """Hands on what it takes a cycle later, one a cycle; what comes while it may not is kept aside."""

    def __init__(self, shape: Shape) -> None:
        super().__init__({"taken": In(stream.Signature(shape)), "given": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taken, given = self.taken, self.given
        aside, kept = Signal.like(taken.payload), Signal()
        m.d.comb += taken.ready.eq(~kept)
        with m.If(given.ready | ~given.valid):
            m.d.sync += [
                given.payload.eq(Mux(kept, aside, taken.payload)),
                given.valid.eq(kept | taken.valid),
                kept.eq(0),
            ]
        with m.Elif(~kept):
            m.d.sync += [aside.eq(taken.payload), kept.eq(taken.valid)]
        return m
