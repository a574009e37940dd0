"""Empties the shadow accumulators: R sums a cycle to the requantizers, or one by one to the scores."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.requantizer import CONSTANTS
from dcgen.hw.back.score_queue import SCORE
from dcgen.hw.back.step_block import StepBlock
from dcgen.hw.contract.parameters import EngineParameters

LISTS_UNDER_WAY = 32
"""Lists whose constants can be queued. Since a list may have a single entry and a single tile, this is at least
the number of cycles from an entry's issue to its sum."""


class Drain(StepBlock):
    """Takes the sums of each tile out of ``MacLanes``, with the constants of their output channel.

    The constants of a list are known when its first entry is issued, and wanted a pipeline later, when its first
    tile is loaded into the shadow accumulators. A queue keeps them in between.

    Parameters
    ----------
    parameters : sizes of the engine; a group is R = ``requantizers`` lanes

    Members
    -------
    start : In(1), pulse, before the step's first tile
    record : In(RECORD), the step's, steady from ``start`` to the end of the step
    put, put_constants : In(1), In(CONSTANTS), a list begins, and these are its constants
    loading : In(1), the shadow accumulators have a tile's sums from the next cycle on
    list_end : In(1), with ``loading``: the tile is the list's last
    front : In(R x signed(32)), the group at the front of the shadow accumulators
    following : In(signed(32)), first sum of the group behind the front
    shift : Out(1), a register: the next cycle's front is the group behind this one
    valid : Out(1), ``front`` and ``constants`` are to be requantized in this cycle
    constants : Out(CONSTANTS), of the tile in the shadow accumulators
    room : In(1), the score queue has room
    reserve : Out(1), this cycle takes room for one score
    push, score : Out(1), Out(SCORE), a cycle after ``reserve``, the score
    raw_done : Out(1), pulse: the last score of a raw step's tile has been given room

    Latency: the first group is ``valid`` in the cycle after ``loading``, the last ``groups`` cycles after it.

    Back-pressure: ``valid`` cannot be refused. In a raw step a tile stays where it is while the queue has no room.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        p = parameters
        super().__init__(
            p,
            {
                "put": In(1),
                "put_constants": In(CONSTANTS),
                "loading": In(1),
                "list_end": In(1),
                "front": In(data.ArrayLayout(signed(32), p.requantizers)),
                "following": In(signed(32)),
                "shift": Out(1),
                "valid": Out(1),
                "constants": Out(CONSTANTS),
                "room": In(1),
                "reserve": Out(1),
                "push": Out(1),
                "score": Out(SCORE),
                "raw_done": Out(1),
            },
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.queue = queue = Memory(shape=CONSTANTS, depth=LISTS_UNDER_WAY, init=[])
        writer, reader = queue.write_port(), queue.read_port(domain="comb")
        put_at, take_at = Signal(range(LISTS_UNDER_WAY)), Signal(range(LISTS_UNDER_WAY))
        m.d.comb += [
            writer.en.eq(self.put),
            writer.addr.eq(put_at),
            writer.data.eq(self.put_constants),
            reader.addr.eq(take_at),
        ]
        m.d.sync += put_at.eq(put_at + self.put)

        groups = Signal(range(p.groups + 1))  # still in the shadow accumulators
        of_list_end = Signal()
        raw = self.field("raw")
        m.d.comb += self.valid.eq((groups != 0) & ~raw)
        m.d.sync += self.shift.eq(~raw & (self.loading | (groups > 1)))
        with m.If(self.valid):
            m.d.sync += groups.eq(groups - 1)

        # Raw: the sums of the front one after the other, until the tile or the plane's pixels end. A score that is
        # the first of its group comes from ``following``, as the front is shifted in that very cycle.
        lane = Signal(range(p.requantizers))
        pixels, outputs = Signal(32), Signal(16)  # pixels left of the channel; channels left, this one included
        tile_sent = Signal()
        with m.If((groups != 0) & raw):
            m.d.comb += [
                self.reserve.eq(self.room & (pixels != 0)),
                tile_sent.eq(
                    (pixels == 0)
                    | (self.reserve & ((pixels == 1) | ((lane == p.requantizers - 1) & (groups == 1))))
                ),
            ]
            with m.If(self.reserve):
                m.d.sync += [lane.eq(lane + 1), pixels.eq(pixels - 1)]
                with m.If(lane == p.requantizers - 1):
                    m.d.sync += [lane.eq(0), groups.eq(groups - 1), self.shift.eq(1)]
            with m.If(tile_sent):
                m.d.sync += [groups.eq(0), lane.eq(0)]
                with m.If(of_list_end):
                    m.d.sync += [pixels.eq(self.field("count")), outputs.eq(outputs - 1)]
        front = Array(self.front[number] for number in range(p.requantizers))
        m.d.comb += self.raw_done.eq(tile_sent)
        m.d.sync += [
            self.push.eq(self.reserve),
            self.score.data.eq(Mux(self.shift, self.following, front[lane]) + self.constants.bias),
            self.score.last.eq(tile_sent & of_list_end & (outputs == 1)),
        ]
        with m.If(self.start):
            m.d.sync += [pixels.eq(self.field("count")), outputs.eq(self.field("outputs"))]

        with m.If(self.loading):
            m.d.sync += [
                groups.eq(p.groups),
                of_list_end.eq(self.list_end),
                self.constants.eq(reader.data),
                take_at.eq(take_at + self.list_end),
            ]
        return m
