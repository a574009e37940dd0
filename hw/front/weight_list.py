"""Turns entries into replay lists: finds each weight's place, looks up its value, publishes complete lists.

The weights of one output channel are a filter; each filter becomes one list. Weights come in the order of filter,
tap and input channel, the channel fastest. An entry moves the position on by its run and one. That takes one cycle
if the entry ends inside the current tap, be it with the tap's last weight, and one more for each further tap.

From a position to the list memory there are three stages, ``front_timing.COMMIT_LATENCY`` cycles:

1. channel times words of a plane; look-up of the weight and of the filter's constants;
2. that product plus the offset of the filter's group;
3. writing to the list memory, and publishing.

All stages stand still while no half of the list memory is free. A list is published when an entry leaves its
filter. Lists that no entry leaves, at least the step's last one, wait for ``flush``, which comes when the section
has been found sound.
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
    """Extents of a step's weights.

    outputs : number of filters, at least 1
    taps : number of taps of a filter, at least 1
    channels : number of input channels of a filter, at least 1
    group_outputs : number of filters of a group, at least 1
    group_words : words from a group's first input channel to the next group's
    in_words : words from an input channel to the next one
    """
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
    """Writes and publishes the replay lists of a step.

    Parameters
    ----------
    p : sizes of the engine; a list holds ``list_entries`` weights

    Members
    -------
    start : In(1), pulse; the next entry is the first one of filter 0
    shape : In(shape_layout), extents of the step's weights, steady from ``start`` on
    entries : In(stream of ENTRY), runs and levels in order; the level is an index of the codebook
    flush : In(1), pulse while not ``busy`` and without further entries: publishes all lists that are left
    halt : In(1), nothing moves and nothing is written or published
    busy : Out(1), something is on its way to the list memory
    finished : Out(1), the step's last list has been published, or is on its way
    exhausted : Out(1), the last weight of the last filter has been passed
    level, weight : Out(8), In(signed(17)), index of the codebook; its value, in the cycle after ``level``
    tap : Out(bits(max_taps)), the tap of that weight, in the cycle of ``weight``
    output, head : Out(bits(max_outputs)), In(head_layout), number of a filter; its constants, in the cycle after;
        ``head.entries`` is ignored
    moving : Out(1), clock enable of both look-ups
    most : Out(bits(list_entries + 1)), most weights of a list since ``start``
    beyond : Out(1), pulse; an entry came after the last weight (``Cause.POSITION``)
    full : Out(1), pulse; a list has more weights than it can hold (``Cause.CAPACITY``)
    write, publish : Out(write_signature), Out(stream of head_layout), the producer's side of ``ReplayLists``

    Latency: ``front_timing.COMMIT_LATENCY`` cycles from an entry to its write.

    Back-pressure: while ``publish.ready`` is 0 and stage 3 has something to write or publish, all stages stand
    still and ``entries.ready`` is 0.
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
        # Position of the next weight. Its tap has ``room`` more weights behind it.
        self._output = Signal(bits(p.max_outputs + 1), name="output")
        self._tap, self._channel, self._room = Signal(bits(p.max_taps)), Signal(16), Signal(16, name="room")
        self._whole = Signal(16, name="whole")  # ``room`` at a tap's first weight
        # Number of the filter within its group, and words from the tap's base to the group's first input channel.
        self._in_group, self._group_base = Signal(16), Signal(bits(p.words), name="group_base")
        self._last_output, self._last_tap = Signal(), Signal(name="last_tap")
        self._count = Signal(bits(p.list_entries + 1), name="count")  # non-zero weights of this list so far
        self._flushing = Signal(name="flushing")
        # While an entry's run goes on into further taps, ``rest`` is what is left of it.
        self._wrapping, self._rest = Signal(), Signal(12, name="rest")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self._whole.eq(self.shape.channels - 1)
        run, move = Signal(16), Signal()
        m.d.comb += run.eq(Mux(self._wrapping, self._rest, self.entries.payload.run))
        # In this cycle: an entry goes on; its run ends in this tap; the position leaves the tap, and the filter.
        entry, fits, leaves, ends = Signal(), Signal(), Signal(), Signal()
        weight, closes = Signal(), Signal()  # there is a weight that is not 0; a list is complete
        m.d.comb += [
            entry.eq(self.entries.valid & move),
            fits.eq(run <= self._room),
            self.entries.ready.eq(move & fits),
            self.beyond.eq(entry & self.exhausted),
            weight.eq(entry & fits & (self.entries.payload.level != 0)),
            leaves.eq(entry & (run >= self._room)),
            ends.eq(leaves & self._last_tap),
            closes.eq((ends & ~self._last_output) | (self._flushing & move)),
            self.full.eq(weight & (self._count == self._p.list_entries)),
        ]
        with m.If(entry):
            m.d.sync += [self._wrapping.eq(~fits), self._rest.eq(run + ~self._room)]  # a + ~b == a - b - 1
            m.d.sync += [self._channel.eq(self._channel + run + 1), self._room.eq(self._room + ~run)]
        with m.If(leaves):
            m.d.sync += [self._channel.eq(0), self._room.eq(self._whole), self._tap.eq(self._tap + 1)]
            m.d.sync += self._last_tap.eq(self._tap + 2 == self.shape.taps)
        with m.If(weight):
            m.d.sync += self._count.eq(self._count + 1)
            with m.If(self._count == self.most):
                m.d.sync += self.most.eq(self._count + 1)
        with m.If(ends & self._last_output):
            m.d.sync += self.exhausted.eq(1)
        with m.If(closes):
            self._next_filter(m)
        with m.If(self.flush):
            m.d.sync += self._flushing.eq(1)
        with m.If(self.start):
            self._first_filter(m)
        # A list without weights gets one weight of value 0, at tap 0 of channel 0.
        filler = Signal()
        m.d.comb += [
            filler.eq(closes & ~weight & (self._count == 0)),
            self.level.eq(self.entries.payload.level),
            self.output.eq(self._output),
            self.moving.eq(move),
        ]
        self._carry(m, run, move, weight, closes, filler)
        return m

    def _next_filter(self, m: Module) -> None:
        """Moves the position to the first weight of the next filter."""
        shape, output, in_group = self.shape, self._output, self._in_group
        m.d.sync += [
            self._tap.eq(0),
            self._last_tap.eq(shape.taps == 1),
            self._count.eq(0),
            output.eq(output + 1),
            self._last_output.eq(output + 2 == shape.outputs),
            in_group.eq(in_group + 1),
        ]
        with m.If(in_group + 1 == shape.group_outputs):
            m.d.sync += [in_group.eq(0), self._group_base.eq(self._group_base + shape.group_words)]
        with m.If(self._flushing & self._last_output):
            m.d.sync += [self._flushing.eq(0), self.finished.eq(1)]

    def _first_filter(self, m: Module) -> None:
        """Moves the position to the first weight of filter 0, where a step begins."""
        zeroed = (self._output, self._tap, self._channel, self._in_group, self._group_base, self._count)
        m.d.sync += [register.eq(0) for register in zeroed]
        m.d.sync += [
            self._room.eq(self.shape.channels - 1),
            self._last_output.eq(self.shape.outputs == 1),
            self._last_tap.eq(self.shape.taps == 1),
            self.most.eq(0),
            self.exhausted.eq(0),
            self.finished.eq(0),
            self._wrapping.eq(0),
        ]

    def _carry(self, m: Module, run: Signal, move: Signal, weight: Signal, closes: Signal, filler: Signal) -> None:
        """The three stages from a position to the list memory.

        run : zeros in front of this cycle's weight, as far as they are in its tap
        move : the stages go on in this cycle; this function drives it
        weight : this cycle has a weight that is not 0
        closes : this cycle closes a list
        filler : this cycle closes a list without weights
        """
        p = self._p
        token = {"write": 1, "publish": 1, "filler": 1}
        one = data.StructLayout({**token, "tap": bits(p.max_taps), "channel": 16, "base": bits(p.words)})
        two = data.StructLayout({**token, "entry": entry_layout(p), "base": bits(p.words), "head": head_layout(p)})
        stage_1, stage_2, stage_3 = Signal(one), Signal(two), Signal(two)
        offering = Signal()  # stage 3 writes or publishes
        filled = Signal(bits(p.list_entries))  # entries written to the half
        product = Signal(bits(p.words))
        m.d.comb += [self.tap.eq(stage_1.tap), product.eq(stage_1.channel * self.shape.in_words)]
        with m.If(move):
            m.d.sync += [
                stage_1.write.eq(weight | filler),
                stage_1.publish.eq(closes),
                stage_1.filler.eq(filler),
                stage_1.tap.eq(self._tap),
                stage_1.channel.eq(self._channel + run),
                stage_1.base.eq(self._group_base),
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
