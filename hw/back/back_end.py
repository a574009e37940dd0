"""The back end: executes the command list on the activation memory, taking the front end's lists of weights."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from dcgen.hw.back.activation_memory import ActivationMemory
from dcgen.hw.back.conv_walker import ConvWalker
from dcgen.hw.back.conv_writer import ConvWriter
from dcgen.hw.back.drain import Drain
from dcgen.hw.back.loader import Loader, picture_layout
from dcgen.hw.back.mac_lanes import WORK, MacLanes
from dcgen.hw.back.pool_walker import READ_ROLE, PoolWalker
from dcgen.hw.back.pool_window import PoolWindow
from dcgen.hw.back.read_path import ReadPath
from dcgen.hw.back.requantizer import CONSTANTS, Requantizer
from dcgen.hw.back.score_queue import ScoreQueue
from dcgen.hw.back.scores import Scores
from dcgen.hw.back.sequencer import Sequencer
from dcgen.hw.back.tap_table import TapTable
from dcgen.hw.back.write_path import WritePath
from dcgen.hw.common.command_memory import CommandPort
from dcgen.hw.common.multiplier import MultiplierKind
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.record_reader import step_field
from dcgen.hw.common.replay_lists import read_signature
from dcgen.hw.common.signatures import head_layout
from dcgen.hw.contract.back_timing import REQUANTIZE_CYCLES, read_path_cycles
from dcgen.hw.contract.commands import Op
from dcgen.hw.contract.parameters import EngineParameters

CAUSES = ("mac", "list_wait", "drain_wait", "pool", "load", "other")
"""What a cycle can be spent on; ``dcgen.hw.contract.regmap.COUNTERS`` says what each means."""


def trace_signature(p: EngineParameters) -> wiring.Signature:
    """A write to the activation memory as it is requested, for simulation.

    valid : this cycle requests a write
    step : number, in the command list, of the record at work; also while nothing is written
    word, lane : where the first byte goes
    count : how many bytes are written
    data : the bytes, the first one lowest
    """
    return wiring.Signature(
        {
            "valid": Out(1),
            "step": Out(16),
            "word": Out(16),
            "lane": Out(8),
            "count": Out(8),
            "data": Out(8 * p.lanes),
        }
    )


class BackEnd(wiring.Component):
    """All blocks that walk, read, multiply, pool and write, under the sequencer.

    Parameters
    ----------
    parameters : sizes of the engine
    kind : how multipliers are built

    Members
    -------
    start : In(1), pulse that begins at the first record of the command list
    commands : Out(CommandPort), the reader's side of a port of the command memory
    head, read : In(stream of head_layout), Out(read_signature), the consumer's side of the replay lists
    picture : In(stream of picture_layout), camera bytes, taken by LOAD steps
    scores : Out(stream of signed(32)), the scores of all steps in their order
    score_last : Out(1), the score on the stream is the last one of its step
    trace : Out(trace_signature), every write to the activation memory
    busy : Out(1), from the cycle after ``start`` to the END record or a fault
    done : Out(1), from the END record to the next start
    fault : Out(1), from a record of an unknown operation to the reset
    mac, list_wait, drain_wait, pool, load, other : Out(1), what this cycle is spent on; while ``busy`` exactly one
        of them is 1

    Latency: ``dcgen.hw.contract.back_timing`` gives the exact cycles of every step.

    Back-pressure: a step waits for its lists and for the picture as long as need be. While the consumer does not
    take scores, no more are begun than ``ScoreQueue`` has room for.
    """

    def __init__(self, parameters: EngineParameters, kind: MultiplierKind = "portable") -> None:
        self.parameters = p = parameters
        self.kind: MultiplierKind = kind
        super().__init__(
            {
                "start": In(1),
                "commands": Out(CommandPort(p)),
                "head": In(stream.Signature(head_layout(p))),
                "read": Out(read_signature(p)),
                "picture": In(stream.Signature(picture_layout(p))),
                "scores": Out(stream.Signature(signed(32))),
                "score_last": Out(1),
                "trace": Out(trace_signature(p)),
                "busy": Out(1),
                "done": Out(1),
                "fault": Out(1),
                **{cause: Out(1) for cause in CAUSES},
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.sequencer = Sequencer(p)
        m.submodules.taps = TapTable(p)
        m.submodules.memory = ActivationMemory(p)
        m.submodules.read_path = ReadPath(p)
        m.submodules.write_path = WritePath(p)
        m.submodules.queue = ScoreQueue()
        m.submodules.conv_walker = ConvWalker(p)
        m.submodules.lanes = MacLanes(p, self.kind)
        m.submodules.drain = Drain(p)
        m.submodules["requantiser"] = Requantizer(p, self.kind)  # its name in the Verilog
        m.submodules.conv_writer = ConvWriter(p)
        m.submodules.pool_walker = PoolWalker(p)
        m.submodules.pool_window = PoolWindow(p)
        m.submodules.loader = Loader(p)
        m.submodules.sums = Scores(p)
        self.connect_steps(m, m.submodules)
        self.connect_reads(m, m.submodules)
        self.connect_lanes(m, m.submodules)
        self.connect_writes(m, m.submodules)
        self.connect_scores(m, m.submodules)
        return m

    def connect_steps(self, m: Module, b: Any) -> None:
        """Sequencer: record and starts to the blocks ``b`` (``m.submodules``), their ends to it; the states."""
        sequencer, head = b.sequencer, self.head
        connect(m, sequencer.commands, flipped(self.commands))
        connect(m, sequencer.tap_commands, b.taps.commands)
        fill, zero_in = Signal(8), Signal(8)
        with m.If(sequencer.take_head):
            m.d.sync += [fill.eq(head.payload.fill), zero_in.eq(head.payload.zero_in)]
        for block in (b.conv_walker, b.drain, b.conv_writer, b.pool_walker, b.pool_window, b.loader, b.sums):
            m.d.comb += block.record.eq(sequencer.record)
        for block in (b.conv_walker, b.drain, b.conv_writer):
            m.d.comb += block.start.eq(sequencer.conv_start)
        for block in (b.pool_walker, b.pool_window):
            m.d.comb += block.start.eq(sequencer.pool_start)
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.head_valid.eq(head.valid),
            sequencer.finished.eq(b.write_path.finished | b.queue.finished),
            sequencer.taps_loaded.eq(b.taps.done),
            b.taps.start.eq(sequencer.conv_setup),
            b.taps.address.eq(sequencer.tap_address),
            b.taps.taps.eq(step_field(sequencer.record, "taps")),
            b.loader.start.eq(sequencer.load_start),
            b.sums.start.eq(sequencer.scores_start),
            b.pool_walker.fill.eq(fill),
            b.sums.zero_in.eq(zero_in),
            head.ready.eq(b.conv_walker.head.ready | sequencer.take_head),
            b.conv_walker.head.valid.eq(head.valid),
            b.conv_walker.head.payload.eq(head.payload),
            self.busy.eq(sequencer.busy),
            self.done.eq(sequencer.done),
            self.fault.eq(sequencer.fault),
        ]

    def connect_reads(self, m: Module, b: Any) -> None:
        """Reads: lists and taps to the convolution's walker, the requests of the step at work to the memory."""
        read_path, record = b.read_path, b.sequencer.record
        connect(m, b.conv_walker.list, flipped(self.read))
        connect(m, read_path.memory, b.memory.read)
        m.d.comb += [
            b.taps.index.eq(b.conv_walker.tap_index),
            b.conv_walker.tap.eq(b.taps.tap),
            read_path.setup.eq(b.sequencer.conv_setup),
            read_path.ring.eq(step_field(record, "in_words")),
            read_path.memory_bytes.eq(b.memory.bytes),
        ]
        for name in ("first_x", "pitch", "x_advance"):
            m.d.comb += getattr(read_path, name).eq(step_field(record, name))
        with m.Switch(step_field(record, "op")):
            for code, block in ((Op.CONV, b.conv_walker), (Op.POOL, b.pool_walker), (Op.SCORES, b.sums)):
                with m.Case(code):
                    m.d.comb += read_path.request.eq(block.request)

    def connect_lanes(self, m: Module, b: Any) -> None:
        """Arithmetic: the bytes read, with their purpose, to lanes, windows and sums; the lanes' sums to bytes."""
        p, payload = self.parameters, self.head.payload
        lanes, drain, requantizer = b.lanes, b.drain, b["requantiser"]
        work = delay(m, b.conv_walker.work.as_value(), read_path_cycles(p), "work")
        m.d.comb += [
            lanes.bytes.eq(b.read_path.bytes),
            lanes.work.eq(data.View(WORK, work)),
            lanes.shift.eq(drain.shift),
            drain.put.eq(delay(m, b.conv_walker.list_start, 1, "put")),
            *[
                drain.put_constants[name].eq(delay(m, payload[name], 1, f"put_{name}", reset_less=True))
                for name in CONSTANTS.members
            ],
            drain.loading.eq(lanes.loading),
            drain.list_end.eq(lanes.loading_list_end),
            drain.front.eq(lanes.front),
            drain.following.eq(lanes.following),
            requantizer.sums.eq(lanes.front),
            requantizer.constants.eq(drain.constants),
            b.conv_writer.valid.eq(delay(m, drain.valid, REQUANTIZE_CYCLES, "requantised")),
            b.conv_walker.raw_done.eq(drain.raw_done),
        ]
        role = delay(m, b.pool_walker.role.as_value(), read_path_cycles(p), "role")
        m.d.comb += [
            b.pool_window.bytes.eq(b.read_path.bytes),
            b.pool_window.role.eq(data.View(READ_ROLE, role)),
            b.sums.bytes.eq(b.read_path.bytes),
        ]

    def connect_writes(self, m: Module, b: Any) -> None:
        """Writes: what the step at work makes, to the memory and to the trace."""
        write_path, memory = b.write_path, b.memory
        connect(m, write_path.memory, memory.write)
        m.d.comb += [
            write_path.ring.eq(step_field(b.sequencer.record, "out_words")),
            memory.write_valid.eq(write_path.memory_valid),
            memory.write_count.eq(write_path.memory_count),
            memory.write_bytes.eq(write_path.memory_bytes),
            self.trace.valid.eq(write_path.memory_valid),
            self.trace.step.eq(b.sequencer.step),
            self.trace.word.eq(write_path.memory.word0),
            self.trace.lane.eq(write_path.memory.lane),
            self.trace.count.eq(write_path.memory_count),
            self.trace.data.eq(write_path.memory_bytes),
        ]
        writers = (
            (Op.LOAD, b.loader.write, self.picture.payload.data),
            (Op.CONV, b.conv_writer.write, b["requantiser"].bytes),
            (Op.POOL, b.pool_window.write, b.pool_window.outputs),
        )
        with m.Switch(step_field(b.sequencer.record, "op")):
            for code, write, written in writers:
                with m.Case(code):
                    m.d.comb += [write_path.write.eq(write), write_path.bytes.eq(written)]
        connect(m, b.loader.picture, flipped(self.picture))

    def connect_scores(self, m: Module, b: Any) -> None:
        """Scores: raw accumulators or sums to the queue, the queue to the stream. Besides, the cycle's cause."""
        queue, drain, sums, conv = b.queue, b.drain, b.sums, b.conv_walker
        raw = step_field(b.sequencer.record, "op") == Op.CONV
        m.d.comb += [
            drain.room.eq(queue.room),
            sums.room.eq(queue.room),
            queue.reserve.eq(drain.reserve | sums.reserve),
            queue.push.eq(drain.push | sums.push),
            queue.score.eq(Mux(raw, drain.score, sums.score)),
            self.scores.valid.eq(queue.scores.valid),
            self.scores.payload.eq(queue.scores.payload.data),
            self.score_last.eq(queue.scores.payload.last),
            queue.scores.ready.eq(self.scores.ready),
        ]
        m.d.comb += [
            self.mac.eq(conv.issuing),
            self.list_wait.eq(conv.waiting_list | (b.sequencer.take_head & ~self.head.valid)),
            self.drain_wait.eq(conv.waiting_drain),
            self.pool.eq(b.pool_walker.issuing),
            self.load.eq(b.loader.active),
            self.other.eq(self.busy & ~(self.mac | self.list_wait | self.drain_wait | self.pool | self.load)),
        ]
