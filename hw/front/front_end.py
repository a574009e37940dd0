"""The front end: walks the command list, reads each step's section from the blob, publishes replay lists.

Every section is checked whole (headers, sizes, code tables, stream, check sum, length of the packet) before the
last list of its step is published. So no step completes on a damaged section.
"""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.command_memory import CommandPort
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
    """Turns a command list and the blob stream into replay lists.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    start : In(1), pulse that begins at the first record of the command list; once after each reset
    blob : In(stream of BLOB), one packet for each step that reads a section, in the order of the steps
    commands : Out(CommandPort), the reader's side of a port of the command memory
    write, publish : Out(write_signature), Out(stream of head_layout), the producer's side of ``ReplayLists``
    busy : Out(1), from the cycle after ``start`` to the END record or an error
    error : Out(1), from a defect to the reset; meanwhile nothing is published and no word of the blob is taken
    cause, node : Out(8), Out(16), steady while ``error``: the defect's ``Cause``, and field ``node`` of its step
    decode : Out(1), the entries of a convolution's stream are being decoded
    decode_wait : Out(1), bits of the blob were wanted in the cycle before and had not arrived

    Latency: ``front_timing`` gives the cycle of each publication, exact if the blob never stalls.

    Back-pressure: while no half of the list memory is free, all that is on its way there stands still, the decoder
    included; ``blob.ready`` is 0 once the bit reader holds four words, and between sections.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        p = parameters
        super().__init__(
            {
                "start": In(1),
                "blob": In(stream.Signature(BLOB)),
                "commands": Out(CommandPort(p)),
                "write": Out(write_signature(p)),
                "publish": Out(stream.Signature(head_layout(p))),
                "busy": Out(1),
                "error": Out(1),
                "cause": Out(8),
                "node": Out(16),
                "decode": Out(1),
                "decode_wait": Out(1),
            }
        )
        self._records, self._reader, self._header = RecordReader(p), BitReader(), SectionHeader(p)
        self._conv, self._plain = ConvSectionReader(p), PlainWeights(p)
        self._tensors, self._lists = TensorTableReader(p), WeightListBuilder(p)
        # Zero points of the step's tensors.
        self._zero_in, self._zero_in2, self._zero_out = (
            Signal(8, name=name) for name in ("zero_in", "zero_in2", "zero_out")
        )
        self._failed = Signal(name="failed")
        self._generating = Signal(name="generating")  # every weight of the step gets an entry
        self._found = Signal(8, name="cause")  # the ``Cause`` of a defect in this cycle
        self._index = Signal(4, name="index")  # number of a header's word, or of a zero point

    def _step(self, name: str) -> Value:
        """Field ``name`` of the record of the step being worked on."""
        return step_field(self._records.record, name)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name in ("records", "reader", "header", "conv", "plain", "tensors", "lists"):
            m.submodules[name] = getattr(self, f"_{name}")
        wiring.connect(m, wiring.flipped(self.commands), self._records.commands)
        wiring.connect(m, wiring.flipped(self.write), self._lists.write)
        wiring.connect(m, wiring.flipped(self.publish), self._lists.publish)
        kind = self._step("kind")
        self._is_conv = kind == Kind.CONV
        self._is_plain = (kind == Kind.ADD) | (kind == Kind.AVG_POOL)
        consume, waiting = Signal(6), Signal()
        self._read_blob(m, consume)
        self._make_lists(m)
        self._find_defects(m, waiting)
        crc_good, end_good = self._check_end(m)
        with m.FSM():
            self._record_states(m)
            self._section_states(m, consume, waiting, crc_good, end_good)
            self._list_states(m)
        return m

    def _read_blob(self, m: Module, consume: Signal) -> None:
        """Connects the blob to the bit reader, and the bit reader to the blocks; one at a time consumes bits.

        consume : number of bits that the block whose turn it is consumes
        """
        reader, header, conv, plain = self._reader, self._header, self._conv, self._plain
        tensors, kind, h = self._tensors, self._step("kind"), header.header
        m.d.comb += [
            reader.words.payload.eq(self.blob.payload),
            reader.words.valid.eq(self.blob.valid & ~self._failed),
            self.blob.ready.eq(reader.words.ready & ~self._failed),
            reader.consume.eq(consume),
            reader.choice.eq(conv.choice),
            header.word.eq(reader.bits),
            *(getattr(header, name).eq(self._step(name)) for name in ("kind", "raw", "outputs", "taps")),
        ]
        for block in (conv, tensors):
            m.d.comb += [block.bits.eq(reader.bits), block.valid.eq(reader.valid)]
        m.d.comb += [
            conv.offset.eq(reader.offset),
            conv.header.eq(h),
            conv.outputs.eq(self._step("outputs")),
            tensors.tensors.eq(self._step("outputs")),
            tensors.channels.eq(self._step("channels")),
            plain.average.eq(kind == Kind.AVG_POOL),
            *(getattr(plain, name).eq(h[name]) for name in ("factor0", "factor1")),
            plain.taps.eq(self._step("taps")),
        ]
        m.d.comb += [
            plain.zero0.eq(self._zero_in),
            plain.zero1.eq(self._zero_in2),
            tensors.pad_index.eq(self._step("fill_index")),
        ]

    def _make_lists(self, m: Module) -> None:
        """Gives the list builder the step's extents, its entries, and what it looks up: weights and constants."""
        conv, plain, lists, is_conv = self._conv, self._plain, self._lists, self._is_conv
        h = self._header.header
        fill = Signal(8)
        m.d.sync += fill.eq(Array([0, h.lo, self._zero_in, self._tensors.pad])[self._step("fill")])
        shape = lists.shape
        m.d.comb += [
            shape.outputs.eq(Mux(is_conv | self._is_plain, self._step("outputs"), 1)),
            shape.taps.eq(self._step("taps")),
            shape.channels.eq(Mux(is_conv, self._step("channels"), 1)),
            shape.group_outputs.eq(Mux(is_conv, self._step("group_outputs"), 1)),
            shape.group_words.eq(Mux(is_conv, self._step("group_words"), self._step("in_words"))),
            shape.in_words.eq(self._step("in_words")),
            lists.halt.eq(self._failed),
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
            lists.head.zero_in.eq(self._zero_in),
            lists.head.zero_out.eq(self._zero_out),
            lists.head.fill.eq(fill),
        ]
        with m.If(self._generating):
            m.d.comb += [lists.entries.valid.eq(~lists.exhausted), lists.entries.payload.level.eq(1)]
        with m.Else():
            m.d.comb += [
                lists.entries.payload.eq(conv.entries.payload),
                lists.entries.valid.eq(conv.entries.valid),
                conv.entries.ready.eq(lists.entries.ready),
            ]

    def _find_defects(self, m: Module, waiting: Signal) -> None:
        """Makes the first defect that a block or a state finds the error.

        waiting : the block whose turn it is cannot go on without bits
        """
        reader, conv, cause = self._reader, self._conv, self._found
        tensors_cause = delay(m, self._tensors.cause, 1, "tensors_cause")
        # A wrong entry is written two cycles from now; registering ``cause`` takes one of them.
        beyond, full = delay(m, self._lists.beyond, 1, "beyond"), delay(m, self._lists.full, 1, "full")
        starved = Signal()
        m.d.comb += starved.eq(waiting & ~reader.valid)
        m.d.sync += self.decode_wait.eq(starved)
        # The bits of the packet's last word are valid only a cycle after ``ended``.
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
        m.d.comb += [self._failed.eq(self.error), self.decode.eq(conv.decoding)]
        with m.If(~self._failed & (cause != Cause.NONE)):
            m.d.sync += [self.error.eq(1), self.cause.eq(cause), self.node.eq(self._step("node")), self.busy.eq(0)]

    def _check_end(self, m: Module) -> tuple[Signal, Signal]:
        """Returns whether a packet's check sum, and its length, are those of its header.

        A tensors section states neither: its packet must end where its last word was read.
        """
        reader, h = self._reader, self._header.header
        crc_good, end_good = Signal(), Signal()
        m.d.sync += [crc_good.eq(reader.crc == h.section_crc), end_good.eq(reader.ended & reader.empty)]
        with m.If(self._step("op") != Op.TENSORS):
            m.d.sync += end_good.eq(reader.ended & reader.empty & (h.section_bytes == reader.count << 2))
        m.d.comb += self._header.index.eq(self._index)
        return crc_good, end_good

    def _record_states(self, m: Module) -> None:
        """Reads a record and the zero points of its tensors, then goes where its operation leads."""
        records, tensors, index = self._records, self._tensors, self._index
        kind, op = self._step("kind"), self._step("op")
        with m.State("IDLE"), m.If(self.start & ~self._failed):
            m.d.sync += [self.busy.eq(1), records.address.eq(0)]
            m.next = "RECORD"
        with m.State("RECORD"):
            m.d.comb += records.start.eq(1)
            m.next = "READ RECORD"
        with m.State("READ RECORD"):
            m.d.sync += index.eq(0)
            with m.If(records.done):
                m.next = "ZERO POINTS"
        with m.State("ZERO POINTS"):
            # The table answers a cycle after it is asked.
            m.d.sync += index.eq(index + 1)
            with m.Switch(index):
                with m.Case(0):
                    m.d.comb += tensors.tensor.eq(self._step("tensor_in"))
                with m.Case(1):
                    m.d.comb += tensors.tensor.eq(self._step("tensor_in2"))
                    m.d.sync += self._zero_in.eq(tensors.zero_point)
                with m.Case(2):
                    m.d.comb += tensors.tensor.eq(self._step("tensor_out"))
                    m.d.sync += self._zero_in2.eq(tensors.zero_point)
                with m.Default():
                    m.d.sync += [self._zero_out.eq(tensors.zero_point), index.eq(0)]
                    m.next = "STEP"
        with m.State("STEP"):
            m.d.comb += [self._lists.start.eq(1), self._reader.begin.eq((kind != 0) | (op == Op.TENSORS))]
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

    def _section_states(
        self, m: Module, consume: Signal, waiting: Signal, crc_good: Signal, end_good: Signal
    ) -> None:
        """Reads a section and checks it up to its end."""
        reader, header, conv, tensors = self._reader, self._header, self._conv, self._tensors
        cause, index, op = self._found, self._index, self._step("op")
        with m.State("TENSORS"):
            m.d.comb += [waiting.eq(tensors.waiting), consume.eq(tensors.consume)]
            with m.If(tensors.done):
                m.next = "SECTION END"
        with m.State("HEADER"):
            m.d.comb += [waiting.eq(1), consume.eq(32), header.write.eq(reader.valid)]
            with m.If(reader.valid):
                m.d.sync += index.eq(index + 1)
                with m.If(index == Mux(self._is_conv, CONV_WORDS - 1, NODE_WORDS - 1)):
                    m.next = "HEADER CHECK"
        with m.State("HEADER CHECK"):
            m.next = "HEADER CHECKED"
        with m.State("HEADER CHECKED"):
            m.d.comb += [conv.start.eq(self._is_conv), self._plain.start.eq(self._is_plain)]
            with m.If(header.cause != Cause.NONE):
                m.d.comb += cause.eq(header.cause)
            with m.Elif(self._is_conv):
                m.next = "CONV"
            with m.Else():
                m.next = "SECTION END"
        with m.State("CONV"):
            m.d.comb += [waiting.eq(conv.waiting), consume.eq(conv.consume)]
            with m.If(conv.done):
                with m.If(self._lists.most != header.header.max_filter_entries):
                    m.d.comb += cause.eq(Cause.LAYER)
                m.next = "SECTION END"
        with m.State("SECTION END"):
            # The last word is counted in this cycle, and compared in the next.
            m.next = "SECTION ENDED"
        with m.State("SECTION ENDED"):
            with m.If(~end_good):
                m.d.comb += cause.eq(Cause.SECTION)
            with m.Elif((op != Op.TENSORS) & ~crc_good):
                m.d.comb += cause.eq(Cause.SECTION_CRC)
            m.next = "FLUSH"
            with m.If((op == Op.TENSORS) | (op == Op.SECTION)):
                m.next = "NEXT"
            with m.Elif(self._is_plain):
                m.next = "PLAIN"

    def _list_states(self, m: Module) -> None:
        """Makes the lists of an addition or an average, publishes what is left, goes on to the next record."""
        lists, plain, address, op = self._lists, self._plain, self._records.address, self._step("op")
        with m.State("PLAIN"), m.If(plain.done):
            m.d.sync += self._generating.eq(1)
            m.next = "GENERATE"
        with m.State("GENERATE"):
            with m.If(plain.excess):
                m.d.comb += self._found.eq(Cause.LAYER)
            with m.If(lists.exhausted & ~lists.busy):
                m.d.sync += self._generating.eq(0)
                m.next = "FLUSH"
        with m.State("FLUSH"):
            m.d.comb += lists.flush.eq(1)
            m.next = "FLUSHING"
        with m.State("FLUSHING"), m.If(lists.finished & ~lists.busy):
            m.next = "NEXT"
        with m.State("NEXT"):
            taps = Mux(op == Op.CONV, self._step("taps"), 0)
            m.d.sync += address.eq(address + RECORD_WORDS + taps * TAP_WORDS)
            with m.If(~self._failed):
                m.next = "RECORD"
