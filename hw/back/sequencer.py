"""Walks the command list: reads a record, starts the block that its operation names, waits for its end."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.command_memory import CommandPort
from dcgen.hw.common.record_reader import RECORD, RecordReader, step_field
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.back_timing import setup_cycles
from dcgen.hw.contract.commands import RECORD_WORDS, Op
from dcgen.hw.contract.parameters import EngineParameters


class Sequencer(wiring.Component):
    """Runs a step at a time. CONV first has taps and lane columns set up, POOL and SCORES take their list's head.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    start : In(1), pulse that begins at record 0
    commands : Out(CommandPort), port of the command memory, which the tap table borrows during its set-up
    record : Out(RECORD), the record at work, steady from the step's start to ``finished``
    step : Out(16), its number in the command list
    conv_setup : Out(1), pulse that loads taps and columns
    tap_address : Out(bits(command_words)), word of the first tap
    tap_commands : In(CommandPort), the tap table's accesses to the command memory
    taps_loaded : In(1), pulse: the tap table is loaded
    load_start, conv_start, pool_start, scores_start : Out(1), pulse that starts the block of the record's
        operation
    take_head : Out(1), the oldest list's head is released if it is valid; ``pool_start`` or ``scores_start``
        follows
    head_valid : In(1), there is such a head
    finished : In(1), pulse: the step's last write or score is out
    busy : Out(1), from the cycle after ``start`` to the END record or a fault
    done : Out(1), from the END record to the next start
    fault : Out(1), from a record of an unknown operation to the reset

    Latency: ``dcgen.hw.contract.back_timing``, from ``dispatched`` on. Back-pressure: a step waits for what it
    needs.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "start": In(1),
                "commands": Out(CommandPort(p)),
                "record": Out(RECORD),
                "step": Out(16),
                "conv_setup": Out(1),
                "tap_address": Out(bits(p.command_words)),
                "tap_commands": In(CommandPort(p)),
                "taps_loaded": In(1),
                "conv_start": Out(1),
                "load_start": Out(1),
                "take_head": Out(1),
                "head_valid": In(1),
                "pool_start": Out(1),
                "scores_start": Out(1),
                "finished": In(1),
                "busy": Out(1),
                "done": Out(1),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.reader = reader = RecordReader(p)
        address, following = Signal(bits(p.command_words)), Signal(bits(p.command_words))
        columns_left = Signal(range(setup_cycles(p) + 1))  # cycles until the lane columns are set up
        taps_loaded = Signal()
        op = step_field(self.record, "op")

        m.d.comb += [
            self.record.eq(reader.record),
            reader.address.eq(following),
            reader.commands.data.eq(self.commands.data),
            self.tap_commands.data.eq(self.commands.data),
            self.commands.address.eq(reader.commands.address),
            self.tap_address.eq(address + RECORD_WORDS),
            self.busy.eq(1),
        ]
        with m.If(reader.start):
            m.d.sync += address.eq(following)
        with m.If(self.start):
            m.d.sync += self.done.eq(0)

        m.d.sync += [self.pool_start.eq(0), self.scores_start.eq(0)]
        with m.FSM(name="phase"):
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                with m.If(self.start):
                    m.d.comb += reader.start.eq(1)
                    m.d.sync += self.step.eq(0)
                    m.next = "READ"
            with m.State("READ"), m.If(reader.done):
                m.next = "DISPATCH"
            with m.State("DISPATCH"):
                m.d.sync += [columns_left.eq(setup_cycles(p) - 1), taps_loaded.eq(0)]
                with m.Switch(op):
                    with m.Case(Op.END):
                        m.d.sync += self.done.eq(1)
                        m.next = "IDLE"
                    with m.Case(Op.TENSORS, Op.SECTION):
                        m.next = "NEXT"
                    with m.Case(Op.LOAD):
                        m.d.comb += self.load_start.eq(1)
                        m.next = "WORK"
                    with m.Case(Op.CONV):
                        m.d.comb += self.conv_setup.eq(1)
                        m.next = "CONV SETUP"
                    with m.Case(Op.POOL, Op.SCORES):
                        m.next = "HEAD"
                    with m.Default():
                        m.d.sync += self.fault.eq(1)
                        m.next = "FAULT"
            with m.State("CONV SETUP"):
                m.d.comb += self.commands.address.eq(self.tap_commands.address)
                m.d.sync += taps_loaded.eq(taps_loaded | self.taps_loaded)
                with m.If(columns_left != 0):
                    m.d.sync += columns_left.eq(columns_left - 1)
                with m.Elif(taps_loaded):
                    m.d.comb += self.conv_start.eq(1)
                    m.next = "WORK"
            with m.State("HEAD"):
                m.d.comb += self.take_head.eq(1)
                with m.If(self.head_valid):
                    m.d.sync += [self.pool_start.eq(op == Op.POOL), self.scores_start.eq(op == Op.SCORES)]
                    m.next = "LAUNCH"
            with m.State("LAUNCH"):
                m.next = "WORK"
            with m.State("WORK"), m.If(self.finished):
                m.next = "NEXT"
            with m.State("NEXT"):
                taps = Mux(op == Op.CONV, step_field(self.record, "taps") << 1, 0)
                m.d.comb += [following.eq(address + RECORD_WORDS + taps), reader.start.eq(1)]
                m.d.sync += self.step.eq(self.step + 1)
                m.next = "READ"
            with m.State("FAULT"):
                m.d.comb += self.busy.eq(0)
        return m
