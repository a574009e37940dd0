"""LOAD: writes bytes of the picture stream into memory, a beat a cycle."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.cursor import cursor_layout, distance, moved
from dcgen.hw.back.step_block import StepBlock
from dcgen.hw.back.write_path import write_layout
from dcgen.hw.contract.parameters import EngineParameters


def picture_layout(p: EngineParameters) -> data.StructLayout:
    """A beat of the picture stream: ``picture_bytes`` bytes, the first one lowest."""
    return data.StructLayout({"data": 8 * p.picture_bytes})


class Loader(StepBlock):
    """Says where each beat of the picture goes.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    start : In(1), pulse; beats are taken from the next cycle on
    record : In(RECORD), the step's, steady from ``start`` to the end of the step
    picture : In(stream of picture_layout), the beats; the last one may have fewer bytes than it has room for
    write : Out(write_layout), where the beat on the stream goes; its bytes are the beat's
    active : Out(1), the step is at work, also while it waits for the picture

    Latency: none, ``write`` is of the cycle in which the beat is taken.

    Back-pressure: a beat is taken in every cycle with ``active``; ``write`` cannot be refused.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        p = parameters
        super().__init__(
            p,
            {"picture": In(stream.Signature(picture_layout(p))), "write": Out(write_layout(p)), "active": Out(1)},
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        remaining = Signal(32)
        cursor = Signal(cursor_layout(p))
        last, active = Signal(), Signal()
        beat = distance(m, p, 0, p.picture_bytes, self.field("out_words"), "beat")
        following = moved(m, p, cursor, beat, "following")
        m.d.comb += [
            last.eq(remaining <= p.picture_bytes),
            self.active.eq(active),
            self.picture.ready.eq(self.active),
            self.write.valid.eq(self.active & self.picture.valid),
            self.write.base.eq(self.field("out_base")),
            self.write.place.eq(cursor.place),
            self.write.lane.eq(cursor.lane),
            self.write.count.eq(Mux(last, remaining, p.picture_bytes)),
            self.write.last.eq(last),
        ]
        with m.If(self.write.valid):
            m.d.sync += [remaining.eq(remaining - p.picture_bytes), active.eq(~last), cursor.eq(following)]
        with m.If(self.start):
            m.d.sync += [
                active.eq(1),
                remaining.eq(self.field("count")),
                cursor.place.eq(self.field("out_place")),
                cursor.lane.eq(self.field("out_lane")),
            ]
        return m
