"""Registers in a stream, so that none of payload, valid and ready goes through within a cycle."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamSlice(wiring.Component):
    """Hands on what it takes.

    Parameters
    ----------
    shape : of the payload

    Members
    -------
    taken, given : In(stream of ``shape``), Out(stream of ``shape``)

    Latency: one cycle, at one payload a cycle.

    Back-pressure: ``taken.ready`` falls a cycle after ``given`` was not taken; what comes in between is kept
    aside.
    """

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
