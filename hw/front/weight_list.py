"""From entries to replay lists: where each weight lies, what it weighs, and when a list is complete.

A weight's position is (filter, tap, channel), the channel fastest. An entry moves it on by its run and
one; where that leaves a tap, one tap is left per cycle. A weight that is the last of its tap leaves it at
once, and so costs no cycle more.

Positions travel three stages to the list memory (``front_timing.COMMIT_LATENCY``): the channel's product
with the words of a plane and the look-ups of weight and constants; the group's offset; writing and
publishing. They stand still together while no half is free. Every list but a step's last is published
right behind its last weight; the last waits for ``flush``, until the section is known to be sound.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.replay_lists import write_signature
from dcgen.hw.common.signatures import WEIGHT_BITS, bits, entry_layout, head_layout
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.huffman import ENTRY


def shape_layout(p: EngineParameters) -> data.StructLayout:
    """Extents of a step's weights; see ``commands.STEP_FIELDS``. All at least 1 but the words."""
    return data.StructLayout(
        {
            "outputs": bits(p.max_outputs + 1),
            "taps": bits(p.max_taps + 1),
            "channels": 16,
            "group_outputs": 16,
            "group_words": 16,
            "in_words": 16,
        }
    )


class WeightListBuilder(wiring.Component):
    """start, entries, flush -> lists.

    start : pulse, the first entry belongs to filter 0; ``shape`` holds from then on
    entries : runs and levels in order
    flush : pulse once no entry is on its way (not ``busy``): publishes the filter begun and all behind it
    busy : something is on its way to the list memory
    finished : no list is left to be published
    level, weight : codebook look-up, ``weight`` belongs to the cycle after ``level``
    tap : the tap of that weight, in its cycle
    output, head : look-up of a filter's constants, likewise; ``head.entries`` is ignored
    moving : the look-ups' clock enable
    most : most weights of any list so far
    beyond, full : pulses: a weight behind the last one (POSITION), more weights than a list holds
    halt : nothing moves, nothing is offered
    write, publish : the producer's side of ``ReplayLists``
    """

    def __init__(self, p: EngineParameters) -> None:
        self._p = p
        super().__init__(
            {
                "start": In(1),
                "shape": In(shape_layout(p)),
                "entries": In(stream.Signature(ENTRY)),
                "flush": In(1),
                "halt": In(1),
                "busy": Out(1),
                "finished": Out(1),
                "exhausted": Out(1),
                "level": Out(8),
                "weight": In(signed(WEIGHT_BITS)),
                "tap": Out(bits(p.max_taps)),
                "output": Out(bits(p.max_outputs)),
                "head": In(head_layout(p)),
                "moving": Out(1),
                "most": Out(bits(p.list_entries + 1)),
                "beyond": Out(1),
                "full": Out(1),
                "write": Out(write_signature(p)),
                "publish": Out(stream.Signature(head_layout(p))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p, shape = self._p, self.shape
        m = Module()

        # Position of the next weight. ``room`` weights of this tap are left behind that one.
        output = Signal(bits(p.max_outputs + 1))
        tap, channel, room = Signal(bits(p.max_taps)), Signal(16), Signal(16)
        whole = Signal(16)
        m.d.sync += whole.eq(shape.channels - 1)
        in_group, group_base = Signal(16), Signal(bits(p.words))
        last_output, last_tap = Signal(), Signal()
        count = Signal(bits(p.list_entries + 1))
        flushing = Signal()

        wrapping, rest = Signal(), Signal(12)
        run, move = Signal(16), Signal()
        m.d.comb += run.eq(Mux(wrapping, rest, self.entries.payload.run))
        entry, fits, leaves, ends = Signal(), Signal(), Signal(), Signal()
        weight, closes = Signal(), Signal()
        m.d.comb += [
            entry.eq(self.entries.valid & move),
            fits.eq(run <= room),
            self.entries.ready.eq(move & fits),
            self.beyond.eq(entry & self.exhausted),
            weight.eq(entry & fits & (self.entries.payload.level != 0)),
            leaves.eq(entry & (run >= room)),
            ends.eq(leaves & last_tap),
            closes.eq((ends & ~last_output) | (flushing & move)),
            self.full.eq(weight & (count == p.list_entries)),
        ]
        with m.If(entry):
            m.d.sync += [wrapping.eq(~fits), rest.eq(run + ~room)]  # + ~: less one more
            m.d.sync += [channel.eq(channel + run + 1), room.eq(room + ~run)]
        with m.If(leaves):
            m.d.sync += [channel.eq(0), room.eq(whole), tap.eq(tap + 1)]
            m.d.sync += last_tap.eq(tap + 2 == shape.taps)
        with m.If(weight):
            m.d.sync += count.eq(count + 1)
            with m.If(count == self.most):
                m.d.sync += self.most.eq(count + 1)
        with m.If(ends & last_output):
            m.d.sync += self.exhausted.eq(1)
        with m.If(closes):
            m.d.sync += [
                tap.eq(0),
                last_tap.eq(shape.taps == 1),
                count.eq(0),
                output.eq(output + 1),
                last_output.eq(output + 2 == shape.outputs),
                in_group.eq(in_group + 1),
            ]
            with m.If(in_group + 1 == shape.group_outputs):
                m.d.sync += [in_group.eq(0), group_base.eq(group_base + shape.group_words)]
            with m.If(flushing & last_output):
                m.d.sync += [flushing.eq(0), self.finished.eq(1)]
        with m.If(self.flush):
            m.d.sync += flushing.eq(1)
        with m.If(self.start):
            m.d.sync += [
                output.eq(0),
                tap.eq(0),
                channel.eq(0),
                room.eq(shape.channels - 1),
                in_group.eq(0),
                group_base.eq(0),
                last_output.eq(shape.outputs == 1),
                last_tap.eq(shape.taps == 1),
                count.eq(0),
                self.most.eq(0),
                self.exhausted.eq(0),
                self.finished.eq(0),
                wrapping.eq(0),
            ]

        # A list without weights gets one of zero, at tap 0 of channel 0.
        filler = Signal()
        m.d.comb += [
            filler.eq(closes & ~weight & (count == 0)),
            self.level.eq(self.entries.payload.level),
            self.output.eq(output),
            self.moving.eq(move),
        ]
        token = {"write": 1, "publish": 1, "filler": 1}
        one = data.StructLayout({**token, "tap": bits(p.max_taps), "channel": 16, "base": bits(p.words)})
        two = data.StructLayout({**token, "entry": entry_layout(p), "base": bits(p.words), "head": head_layout(p)})
        stage_1, stage_2, stage_3 = Signal(one), Signal(two), Signal(two)
        offering = Signal()  # stage 3 writes or publishes
        filled = Signal(bits(p.list_entries))
        product = Signal(bits(p.words))
        m.d.comb += [self.tap.eq(stage_1.tap), product.eq(stage_1.channel * shape.in_words)]
        with m.If(move):
            m.d.sync += [
                stage_1.write.eq(weight | filler),
                stage_1.publish.eq(closes),
                stage_1.filler.eq(filler),
                stage_1.tap.eq(tap),
                stage_1.channel.eq(channel + run),
                stage_1.base.eq(group_base),
                stage_2.write.eq(stage_1.write),
                stage_2.publish.eq(stage_1.publish),
                stage_2.filler.eq(stage_1.filler),
                stage_2.base.eq(stage_1.base),
                stage_2.entry.tap.eq(stage_1.tap),
                stage_2.entry.channel.eq(product),
                stage_2.entry.weight.eq(self.weight),
                stage_2.head.eq(self.head),
                stage_3.eq(stage_2),
                offering.eq(stage_2.write | stage_2.publish),
                stage_3.entry.channel.eq(stage_2.entry.channel + stage_2.base),
            ]
            with m.If(stage_2.filler):
                m.d.sync += stage_3.entry.eq(0)
        m.d.comb += [
            move.eq(~self.halt & (self.publish.ready | ~offering)),
            self.write.enable.eq(stage_3.write & self.publish.ready & ~self.halt),
            self.write.address.eq(filled),
            self.write.data.eq(stage_3.entry),
            self.publish.valid.eq(stage_3.publish & ~self.halt),
            self.publish.payload.eq(stage_3.head),
            self.publish.payload.entries.eq(filled + stage_3.write),
            self.busy.eq(stage_1.write | stage_1.publish | stage_2.write | stage_2.publish | offering),
        ]
        with m.If(move & stage_3.write):
            m.d.sync += filled.eq(filled + 1)
        with m.If(self.publish.valid & self.publish.ready):
            m.d.sync += filled.eq(0)
        return m
