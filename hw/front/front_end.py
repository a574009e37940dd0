"""The front end: walks the command list, reads each step's section from the blob, publishes lists.

Every step with a section has it checked whole (headers, sizes, code tables, stream, CRC, packet end)
before its last list is published, so a step cannot complete on a damaged section.
"""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.command_memory import ReadPort
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.record_reader import RecordReader, step_field
from dcgen.hw.common.replay_lists import write_signature
from dcgen.hw.common.signatures import head_layout
from dcgen.hw.contract.blob_format import Cause, Kind
from dcgen.hw.contract.commands import RECORD_WORDS, TAP_WORDS, Op
from dcgen.hw.contract.front_timing import CONV_WORDS, NODE_WORDS
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.bit_reader import BLOB, BitReader
from dcgen.hw.front.conv_section import ConvSectionReader
from dcgen.hw.front.plain_weights import PlainWeights
from dcgen.hw.front.section_header import SectionHeader
from dcgen.hw.front.tensor_table import TensorTableReader
from dcgen.hw.front.weight_list import WeightListBuilder


class FrontEnd(wiring.Component):
    """start, commands, blob -> lists.

    start : pulse; only after reset
    blob : one packet per section, in the order of the steps
    commands : the command memory's front port
    write, publish : the producer's side of ``ReplayLists``
    busy : from ``start`` to the END record or an error
    error, cause, node : level, its ``Cause``, and field ``node`` of its step; nothing more is published or taken
    decode : a stream's entries are being decoded
    decode_wait : bits were wanted in the cycle before, and not there
    """

    def __init__(self, parameters: EngineParameters) -> None:
        self._p = parameters
        super().__init__(
            {
                "start": In(1),
                "blob": In(stream.Signature(BLOB)),
                "commands": Out(ReadPort(parameters)),
                "write": Out(write_signature(parameters)),
                "publish": Out(stream.Signature(head_layout(parameters))),
                "busy": Out(1),
                "error": Out(1),
                "cause": Out(8),
                "node": Out(16),
                "decode": Out(1),
                "decode_wait": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.records = records = RecordReader(p)
        m.submodules.reader = reader = BitReader()
        m.submodules.header = header = SectionHeader(p)
        m.submodules.conv = conv = ConvSectionReader(p)
        m.submodules.plain = plain = PlainWeights(p)
        m.submodules.tensors = tensors = TensorTableReader(p)
        m.submodules.lists = lists = WeightListBuilder(p)
        wiring.connect(m, wiring.flipped(self.commands), records.commands)
        wiring.connect(m, wiring.flipped(self.write), lists.write)
        wiring.connect(m, wiring.flipped(self.publish), lists.publish)

        def step(name: str) -> Value:
            return step_field(records.record, name)

        kind, op = step("kind"), step("op")
        h = header.header
        is_conv = kind == Kind.CONV
        is_plain = (kind == Kind.ADD) | (kind == Kind.AVG_POOL)

        # The blob. Bits go to one reader at a time.
        failed = Signal()
        consume, waiting = Signal(6), Signal()
        m.d.comb += [
            reader.words.payload.eq(self.blob.payload),
            reader.words.valid.eq(self.blob.valid & ~failed),
            self.blob.ready.eq(reader.words.ready & ~failed),
            reader.consume.eq(consume),
            reader.choice.eq(conv.choice),
            header.word.eq(reader.bits),
            header.kind.eq(kind),
            header.raw.eq(step("raw")),
            header.outputs.eq(step("outputs")),
            header.taps.eq(step("taps")),
        ]
        for block in (conv, tensors):
            m.d.comb += [block.bits.eq(reader.bits), block.valid.eq(reader.valid)]
        m.d.comb += [
            conv.offset.eq(reader.offset),
            conv.header.eq(h),
            conv.outputs.eq(step("outputs")),
            tensors.tensors.eq(step("outputs")),
            tensors.channels.eq(step("channels")),
            plain.average.eq(kind == Kind.AVG_POOL),
            plain.factor0.eq(h.factor0),
            plain.factor1.eq(h.factor1),
            plain.taps.eq(step("taps")),
        ]

        # Zero points of the step's tensors.
        zero_in, zero_in2, zero_out, fill = (
            Signal(8, name=n) for n in ("zero_in", "zero_in2", "zero_out", "fill")
        )
        m.d.comb += [
            plain.zero0.eq(zero_in),
            plain.zero1.eq(zero_in2),
            tensors.pad_index.eq(step("fill_index")),
        ]
        m.d.sync += fill.eq(Array([0, h.lo, zero_in, tensors.pad])[step("fill")])

        # The lists.
        shape = lists.shape
        m.d.comb += [
            shape.outputs.eq(Mux(is_conv | is_plain, step("outputs"), 1)),
            shape.taps.eq(step("taps")),
            shape.channels.eq(Mux(is_conv, step("channels"), 1)),
            shape.group_outputs.eq(Mux(is_conv, step("group_outputs"), 1)),
            shape.group_words.eq(Mux(is_conv, step("group_words"), step("in_words"))),
            shape.in_words.eq(step("in_words")),
            lists.halt.eq(failed),
            lists.weight.eq(Mux(is_conv, conv.weight, Mux(lists.tap[0], plain.weight1, plain.weight0))),
            conv.level.eq(lists.level),
            conv.output.eq(lists.output),
            conv.moving.eq(lists.moving),
            conv.settled.eq(~lists.busy),
            lists.head.mult.eq(Mux(is_conv & h.flags[0], conv.constants.mult, h.mult)),
            lists.head.shift.eq(Mux(is_conv & h.flags[0], conv.constants.shift, h.shift)),
            lists.head.bias.eq(Mux(is_conv, conv.constants.bias, plain.bias)),
            lists.head.lo.eq(h.lo),
            lists.head.hi.eq(h.hi),
            lists.head.zero_in.eq(zero_in),
            lists.head.zero_out.eq(zero_out),
            lists.head.fill.eq(fill),
        ]
        generating = Signal()  # in GENERATE: an entry for every weight
        with m.If(generating):
            m.d.comb += [lists.entries.valid.eq(~lists.exhausted), lists.entries.payload.level.eq(1)]
        with m.Else():
            m.d.comb += [
                lists.entries.payload.eq(conv.entries.payload),
                lists.entries.valid.eq(conv.entries.valid),
                conv.entries.ready.eq(lists.entries.ready),
            ]

        cause = Signal(8)
        tensors_cause = delay(m, tensors.cause, 1, "tensors_cause")
        # Two cycles are left before a wrong entry is written, and one is for the registers of ``cause``.
        beyond, full = delay(m, lists.beyond, 1, "beyond"), delay(m, lists.full, 1, "full")
        starved = Signal()
        m.d.comb += starved.eq(waiting & ~reader.valid)
        m.d.sync += self.decode_wait.eq(starved)
        # The last word's bits are known to be there a cycle after it is.
        no_more = reader.ended & delay(m, reader.ended, 1, "ended")
        with m.If(delay(m, starved & no_more, 1, "too_short")):
            m.d.comb += cause.eq(Cause.SECTION)
        with m.Elif(conv.cause != Cause.NONE):
            m.d.comb += cause.eq(conv.cause)
        with m.Elif(tensors_cause != Cause.NONE):
            m.d.comb += cause.eq(tensors_cause)
        with m.Elif(beyond):
            m.d.comb += cause.eq(Cause.POSITION)
        with m.Elif(full):
            m.d.comb += cause.eq(Cause.CAPACITY)
        m.d.comb += [failed.eq(self.error), self.decode.eq(conv.decoding)]
        with m.If(~failed & (cause != Cause.NONE)):
            m.d.sync += [self.error.eq(1), self.cause.eq(cause), self.node.eq(step("node")), self.busy.eq(0)]

        index = Signal(4)
        address = records.address
        crc_good, end_good = Signal(), Signal()
        m.d.sync += [
            crc_good.eq(reader.crc == h.section_crc),
            end_good.eq(reader.ended & reader.empty),
        ]
        with m.If(op != Op.TENSORS):
            length_good = h.section_bytes == reader.count << 2
            m.d.sync += end_good.eq(reader.ended & reader.empty & length_good)
        m.d.comb += header.index.eq(index)

        with m.FSM():
            with m.State("IDLE"), m.If(self.start & ~failed):
                m.d.sync += [self.busy.eq(1), address.eq(0)]
                m.next = "RECORD"
            with m.State("RECORD"):
                m.d.comb += records.start.eq(1)
                m.next = "READ RECORD"
            with m.State("READ RECORD"):
                m.d.sync += index.eq(0)
                with m.If(records.done):
                    m.next = "ZERO POINTS"
            with m.State("ZERO POINTS"):
                # Each answer comes a cycle after its question.
                m.d.sync += index.eq(index + 1)
                with m.Switch(index):
                    with m.Case(0):
                        m.d.comb += tensors.tensor.eq(step("tensor_in"))
                    with m.Case(1):
                        m.d.comb += tensors.tensor.eq(step("tensor_in2"))
                        m.d.sync += zero_in.eq(tensors.zero_point)
                    with m.Case(2):
                        m.d.comb += tensors.tensor.eq(step("tensor_out"))
                        m.d.sync += zero_in2.eq(tensors.zero_point)
                    with m.Default():
                        m.d.sync += [zero_out.eq(tensors.zero_point), index.eq(0)]
                        m.next = "STEP"
            with m.State("STEP"):
                m.d.comb += [lists.start.eq(1), reader.begin.eq((kind != 0) | (op == Op.TENSORS))]
                with m.Switch(op):
                    with m.Case(Op.END):
                        m.d.sync += self.busy.eq(0)
                        m.next = "IDLE"
                    with m.Case(Op.LOAD):
                        m.next = "NEXT"
                    with m.Case(Op.TENSORS):
                        m.d.comb += tensors.start.eq(1)
                        m.next = "TENSORS"
                    with m.Default():
                        m.next = "HEADER"
                        with m.If(kind == 0):
                            m.next = "FLUSH"
            with m.State("TENSORS"):
                m.d.comb += [waiting.eq(tensors.waiting), consume.eq(tensors.consume)]
                with m.If(tensors.done):
                    m.next = "SECTION END"
            with m.State("HEADER"):
                m.d.comb += [waiting.eq(1), consume.eq(32), header.write.eq(reader.valid)]
                with m.If(reader.valid):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == Mux(is_conv, CONV_WORDS - 1, NODE_WORDS - 1)):
                        m.next = "HEADER CHECK"
            with m.State("HEADER CHECK"):
                m.next = "HEADER CHECKED"
            with m.State("HEADER CHECKED"):
                m.d.comb += [conv.start.eq(is_conv), plain.start.eq(is_plain)]
                with m.If(header.cause != Cause.NONE):
                    m.d.comb += cause.eq(header.cause)
                with m.Elif(is_conv):
                    m.next = "CONV"
                with m.Else():
                    m.next = "SECTION END"
            with m.State("CONV"):
                m.d.comb += [waiting.eq(conv.waiting), consume.eq(conv.consume)]
                with m.If(conv.done):
                    with m.If(lists.most != h.max_filter_entries):
                        m.d.comb += cause.eq(Cause.LAYER)
                    m.next = "SECTION END"
            with m.State("SECTION END"):
                # One cycle for the last word to be counted, one for the comparison.
                m.next = "SECTION ENDED"
            with m.State("SECTION ENDED"):
                with m.If(~end_good):
                    m.d.comb += cause.eq(Cause.SECTION)
                with m.Elif((op != Op.TENSORS) & ~crc_good):
                    m.d.comb += cause.eq(Cause.SECTION_CRC)
                m.next = "FLUSH"
                with m.If((op == Op.TENSORS) | (op == Op.SECTION)):
                    m.next = "NEXT"
                with m.Elif(is_plain):
                    m.next = "PLAIN"
            with m.State("PLAIN"), m.If(plain.done):
                m.d.sync += generating.eq(1)
                m.next = "GENERATE"
            with m.State("GENERATE"):
                with m.If(plain.excess):
                    m.d.comb += cause.eq(Cause.LAYER)
                with m.If(lists.exhausted & ~lists.busy):
                    m.d.sync += generating.eq(0)
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.comb += lists.flush.eq(1)
                m.next = "FLUSHING"
            with m.State("FLUSHING"), m.If(lists.finished & ~lists.busy):
                m.next = "NEXT"
            with m.State("NEXT"):
                taps = Mux(op == Op.CONV, step("taps"), 0)
                m.d.sync += address.eq(address + RECORD_WORDS + taps * TAP_WORDS)
                with m.If(~failed):
                    m.next = "RECORD"
        return m
