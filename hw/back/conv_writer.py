"""Says where a CONV step's bytes go: group by group, tile by tile, channel by channel."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.step_block import StepBlock
from dcgen.hw.back.write_path import write_layout
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters


class ConvWriter(StepBlock):
    """Follows the output of the requantizers through the planes of a step.

    Parameters
    ----------
    parameters : sizes of the engine; a group is R = ``requantizers`` bytes

    Members
    -------
    start : In(1), pulse, before the step's first group
    record : In(RECORD), the step's, steady from ``start`` to the end of the step
    valid : In(1), the requantizers give a group in this cycle
    write : Out(write_layout), where this group goes

    Latency: none, ``write`` is of the cycle of ``valid``. Back-pressure: none.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        super().__init__(parameters, {"valid": In(1), "write": Out(write_layout(parameters))})

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        base, place = Signal(bits(p.words)), Signal(bits(p.words))
        lane = Signal(bits(p.lanes))
        tiles, outputs = Signal(16), Signal(16)  # that remain
        out_words, out_place = self.field("out_words"), self.field("out_place")
        last_group, last_tile = Signal(), Signal()
        m.d.comb += [
            last_group.eq(lane == p.lanes - p.requantizers),
            last_tile.eq(tiles == 1),
            self.write.valid.eq(self.valid),
            self.write.base.eq(base),
            self.write.place.eq(place),
            self.write.lane.eq(lane),
            self.write.count.eq(p.requantizers),
            self.write.last.eq(last_group & last_tile & (outputs == 1)),
        ]
        with m.If(self.valid):
            m.d.sync += lane.eq(Mux(last_group, 0, lane + p.requantizers))
            with m.If(last_group):
                m.d.sync += [place.eq(Mux(place + 1 == out_words, 0, place + 1)), tiles.eq(tiles - 1)]
                with m.If(last_tile):
                    m.d.sync += [
                        place.eq(out_place),
                        tiles.eq(self.field("tiles")),
                        base.eq(base + out_words),
                        outputs.eq(outputs - 1),
                    ]
        with m.If(self.start):
            m.d.sync += [
                lane.eq(0),
                place.eq(out_place),
                base.eq(self.field("out_base")),
                tiles.eq(self.field("tiles")),
                outputs.eq(self.field("outputs")),
            ]
        return m
