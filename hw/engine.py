"""The engine: registers, command memory, front end, list memory and back end, connected."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, ResetInserter, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.back_end import BackEnd, trace_signature
from dcgen.hw.common.axi_lite import AxiLite
from dcgen.hw.common.command_memory import CommandMemory
from dcgen.hw.common.multiplier import MultiplierKind
from dcgen.hw.common.replay_lists import ReplayLists
from dcgen.hw.contract import regmap
from dcgen.hw.contract.blob_format import Cause
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.control import CAUSES, Control
from dcgen.hw.front.front_end import FrontEnd

WORD = data.StructLayout({"data": 32, "last": 1})
"""A word of the blob stream; ``last`` marks the last word of a section."""
SCORE = data.StructLayout({"data": signed(32), "last": 1})
"""A score; ``last`` marks the last one of a picture."""


class Engine(wiring.Component):
    """Runs a network: takes its blob and a picture, sends the scores, as the command list says.

    Parameters
    ----------
    parameters : sizes of the engine
    kind : how its multipliers are built

    Members
    -------
    bus : In(AxiLite), the registers of ``regmap``, slave side
    blob : In(stream of WORD), a packet for each step that reads a section, in the order of the steps
    picture : In(stream of ``picture_bytes`` bytes), camera bytes, the first lowest; the last beat of a picture may
        be partly filled
    scores : Out(stream of SCORE), one packet a picture
    irq : Out(1), interrupt line, high while it is enabled and the engine is done or in error
    trace : Out(trace_signature), every write to the activation memory, for simulation

    Latency: ``front_timing`` and ``back_timing`` give the cycles of a network, exact if no stream stalls.

    Back-pressure: ``blob`` and ``picture`` are taken only between a start and the last score. An error stops the
    engine: no further score is offered, one that is on offer stays, and both input streams are taken and thrown
    away until the next start or reset.
    """

    def __init__(self, parameters: EngineParameters, kind: MultiplierKind = "portable") -> None:
        self.parameters = parameters
        self.kind: MultiplierKind = kind
        beat = data.StructLayout({"data": 8 * parameters.picture_bytes})
        super().__init__(
            {
                "bus": In(AxiLite(regmap.ADDRESS_BITS)),
                "blob": In(stream.Signature(WORD)),
                "picture": In(stream.Signature(beat)),
                "scores": Out(stream.Signature(SCORE)),
                "irq": Out(1),
                "trace": Out(trace_signature(parameters)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        p = self.parameters
        m.submodules.control = control = Control(p)
        m.submodules.commands = commands = CommandMemory(p)
        front, back, lists = FrontEnd(p), BackEnd(p, self.kind), ReplayLists(p)
        for name, block in (("front", front), ("back", back), ("lists", lists)):
            m.submodules[name] = ResetInserter(control.reset)(block)

        wiring.connect(m, wiring.flipped(self.bus), control.bus)
        wiring.connect(m, control.commands, commands.write)
        wiring.connect(m, front.commands, commands.front)
        wiring.connect(m, back.commands, commands.back)
        wiring.connect(m, front.write, lists.write)
        wiring.connect(m, front.publish, lists.publish)
        wiring.connect(m, lists.head, back.head)
        wiring.connect(m, lists.read, back.read)
        wiring.connect(m, back.trace, wiring.flipped(self.trace))
        m.d.comb += self.irq.eq(control.irq)

        running, done = Signal(), Signal()
        error, cause, node = Signal(), Signal(8), Signal(16)
        m.d.comb += [front.start.eq(control.start), back.start.eq(control.start)]
        with m.If(control.reset):
            m.d.sync += [running.eq(0), done.eq(0), error.eq(0), cause.eq(0), node.eq(0)]
        with m.Else():
            with m.If(control.start):
                m.d.sync += running.eq(1)
            with m.If(front.error & ~error):
                m.d.sync += [error.eq(1), cause.eq(front.cause), node.eq(front.node)]
            with m.Elif(back.fault & ~error):
                m.d.sync += [error.eq(1), cause.eq(Cause.LAYER)]
        m.d.comb += [
            control.busy.eq(running & ~done & ~error),
            control.done.eq(done & ~error),
            control.error.eq(error),
            control.cause.eq(cause),
            control.node.eq(node),
        ]
        self._inputs(m, front, back, running, error)
        last = self._scores(m, control, back, error)

        # The cycle counters run from the first blob word to the last score, both cycles included.
        first, counting = Signal(), Signal()
        m.d.comb += [
            first.eq(front.blob.valid & front.blob.ready),
            control.counting.eq((counting | first) & ~done & ~error),
        ]
        with m.If(control.reset):
            m.d.sync += counting.eq(0)
        with m.Elif(first):
            m.d.sync += counting.eq(1)
        with m.If(last & ~control.reset):
            m.d.sync += done.eq(1)
        named = back.mac | back.list_wait | back.drain_wait | back.pool | back.load
        for name in CAUSES:
            block = front if name.startswith("decode") else back
            m.d.comb += getattr(control.causes, name).eq(~named if name == "other" else getattr(block, name))
        return m

    def _inputs(self, m: Module, front: Any, back: Any, running: Signal, error: Signal) -> None:
        """Connects both input streams to front and back end while running; after an error, throws them away."""
        for outer, inner in ((self.blob, front.blob), (self.picture, back.picture)):
            m.d.comb += [
                inner.payload.eq(outer.payload),
                inner.valid.eq(outer.valid & running & ~error),
                outer.ready.eq(error | (running & inner.ready)),
            ]

    def _scores(self, m: Module, control: Control, back: Any, error: Signal) -> Signal:
        """Puts a register behind the back end's scores, which an error leaves alone.

        Returns whether the picture's last score is being taken in this cycle.
        """
        sent, last = Signal(32), Signal()
        taken = Signal()
        m.d.comb += [
            back.scores.ready.eq((~self.scores.valid | self.scores.ready) & ~error),
            taken.eq(back.scores.valid & back.scores.ready),
            last.eq(self.scores.valid & self.scores.ready & self.scores.p.last),
        ]
        with m.If(taken):
            m.d.sync += [
                self.scores.p.data.eq(back.scores.payload),
                self.scores.p.last.eq(sent + 1 == control.scores),
                sent.eq(sent + 1),
            ]
        with m.If(taken):
            m.d.sync += self.scores.valid.eq(1)
        with m.Elif(self.scores.ready):
            m.d.sync += self.scores.valid.eq(0)
        with m.If(control.reset):
            m.d.sync += [self.scores.valid.eq(0), sent.eq(0)]
        return last
