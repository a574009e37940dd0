"""Gives a host, at the other end of a serial line, the engine's registers and streams.

The host sends commands; numbers are little-endian:

====================  =====================================================  ==============================
bytes                 meaning                                                answer
====================  =====================================================  ==============================
00                    nothing; 1025 of them end whatever command was begun   none
01 aa aa              read the register at byte address aaaa                 01 dd dd dd dd
02 aa aa dd dd dd dd  write dddddddd to it                                   02
03 nn, words          nn + 1 words of the blob stream                        03, once the engine has them
04 nn, words          the same, and the last of them ends a packet           03, once the engine has them
05 nn, words          nn + 1 words of the picture stream                     05, once the engine has them
08                    empties both buffers; other answers are dropped        08
other                 nothing                                                ff
====================  =====================================================  ==============================

Besides answers the host is sent scores: ``06 dd dd dd dd``, and ``07 dd dd dd dd`` for the last one of a picture.

A serial line cannot be stopped. No byte is ever lost if the host keeps two rules: it awaits the answer to a
register command before it sends the next one, and it has at most ``CREDITS`` commands of each stream unanswered.
The two streams have a buffer each, so that a blob that the engine does not take yet never keeps the picture from
it. The host fills the picture's bytes up to whole beats of the engine's picture stream.
"""

from enum import IntEnum

from amaranth import Cat, Const, Module, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from dcgen.hw.boards.stream_slice import StreamSlice
from dcgen.hw.common.axi_lite import AxiLite
from dcgen.hw.contract.regmap import ADDRESS_BITS

CREDITS = 2
"""How many commands of a stream its buffer holds."""
MAX_WORDS = 256
"""The most words that a command of a stream has."""
WORD_BYTES = 4

WORDS = data.StructLayout({"data": 32, "last": 1})
"""A word of the blob stream, or a score; ``last`` says that it is the last one of its packet."""


class Command(IntEnum):
    """First byte of a command, or of a message to the host."""

    NOTHING = 0x00
    READ = 0x01
    WRITE = 0x02
    BLOB = 0x03
    BLOB_END = 0x04
    PICTURE = 0x05
    SCORE = 0x06
    LAST_SCORE = 0x07
    FLUSH = 0x08
    UNKNOWN = 0xFF


class Bridge(wiring.Component):
    """Executes the host's commands, and sends it answers and scores.

    Parameters
    ----------
    picture_bytes : bytes of a beat of the engine's picture stream; a multiple of 4, else ValueError

    Members
    -------
    byte, valid : In(8), In(1), a byte from the host, valid for one cycle
    transmit : Out(stream of 8 bits), bytes to the host
    bus : Out(AxiLite), the engine's registers
    blob, picture : Out(stream of WORDS), Out(stream of ``picture_bytes`` bytes), the engine's inputs
    scores : In(stream of WORDS), the engine's output

    Latency: a register command is on the bus at most two cycles after its last byte.

    Back-pressure: ``byte`` is taken in every cycle; the host's two rules keep buffers from running over.
    ``scores`` wait while anything else is to be sent.
    """

    def __init__(self, picture_bytes: int) -> None:
        if picture_bytes % WORD_BYTES:
            raise ValueError(f"picture_bytes must be a multiple of {WORD_BYTES}, not {picture_bytes}")
        self.picture_words = picture_bytes // WORD_BYTES
        super().__init__(
            {
                "byte": In(8),
                "valid": In(1),
                "transmit": Out(stream.Signature(8)),
                "bus": Out(AxiLite(ADDRESS_BITS)),
                "blob": Out(stream.Signature(WORDS)),
                "picture": Out(stream.Signature(8 * picture_bytes)),
                "scores": In(stream.Signature(WORDS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flush = Signal()
        resettable = ResetInserter(flush)
        m.submodules.parser = parser = Parser()
        m.submodules.blob = blob = resettable(CreditBuffer(1))
        m.submodules.picture = picture = resettable(CreditBuffer(self.picture_words))
        m.submodules.bus = bus = BusAccess()
        m.submodules.answers = answers = resettable(Answers())
        wiring.connect(m, wiring.flipped(self.transmit), answers.bytes)
        wiring.connect(m, wiring.flipped(self.bus), bus.bus)
        wiring.connect(m, wiring.flipped(self.scores), answers.scores)
        command, word = parser.command, parser.word
        is_blob = (command == Command.BLOB) | (command == Command.BLOB_END)
        m.d.comb += [
            *(parser.byte.eq(self.byte), parser.valid.eq(self.valid)),
            flush.eq(parser.done & (command == Command.FLUSH)),
            *(buffer.data.eq(word) for buffer in (blob, picture)),
            *(buffer.credit.eq(parser.last) for buffer in (blob, picture)),
            blob.write.eq(parser.word_valid & is_blob),
            blob.last.eq(parser.last & (command == Command.BLOB_END)),
            picture.write.eq(parser.word_valid & (command == Command.PICTURE)),
            self.blob.payload.data.eq(blob.beats.payload.data),
            self.blob.payload.last.eq(blob.beats.payload.last),
            self.blob.valid.eq(blob.beats.valid),
            blob.beats.ready.eq(self.blob.ready),
            self.picture.payload.eq(picture.beats.payload.data),
            self.picture.valid.eq(picture.beats.valid),
            picture.beats.ready.eq(self.picture.ready),
            bus.address.eq(parser.address),
            bus.data.eq(word),
            bus.read.eq(parser.done & (command == Command.READ)),
            bus.write.eq(parser.done & (command == Command.WRITE)),
            answers.read.eq(bus.read_done),
            answers.read_data.eq(bus.read_data),
            answers.write.eq(bus.write_done),
            answers.blob.eq(blob.credit_back),
            answers.picture.eq(picture.credit_back),
            answers.unknown.eq(parser.unknown),
        ]
        # The answer to a flush must outlive the reset that it causes.
        m.d.sync += answers.flushed.eq(flush)
        return m


class Parser(wiring.Component):
    """Takes commands apart.

    Members
    -------
    byte, valid : In(8), In(1), a byte from the host, valid for one cycle
    command : Out(8), first byte of the command at work
    address : Out(16), byte address, of a register command
    word, word_valid : Out(32), Out(1), four bytes that follow, valid for one cycle
    last : Out(1), with ``word_valid``: it is the command's last word
    done : Out(1), pulse: the command is complete; ``address`` and ``word`` hold in this cycle
    unknown : Out(1), pulse: the first byte is no command's

    Latency: ``word`` is of the cycle of its last byte. ``done`` is of that cycle too or, for a command without
    words, of the cycle behind its last byte.

    Back-pressure: none.
    """

    byte: In(8)
    valid: In(1)
    command: Out(8)
    address: Out(ADDRESS_BITS)
    word: Out(32)
    word_valid: Out(1)
    last: Out(1)
    done: Out(1)
    unknown: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        byte, valid = self.byte, self.valid
        count = Signal(range(MAX_WORDS))  # words still to come behind this one
        place = Signal(range(WORD_BYTES))  # number of the next byte in its word
        earlier = Signal(24)
        m.d.comb += self.word.eq(Cat(earlier, byte))
        with m.FSM():
            with m.State("command"), m.If(valid):
                m.d.sync += [self.command.eq(byte), place.eq(0), count.eq(0)]
                with m.Switch(byte):
                    with m.Case(Command.READ, Command.WRITE):
                        m.next = "address"
                    with m.Case(Command.BLOB, Command.BLOB_END, Command.PICTURE):
                        m.next = "length"
                    with m.Case(Command.FLUSH):
                        m.next = "alone"
                    with m.Case(Command.NOTHING):
                        pass
                    with m.Default():
                        m.d.comb += self.unknown.eq(1)
            with m.State("alone"):
                m.d.comb += self.done.eq(1)
                m.next = "command"
            with m.State("length"), m.If(valid):
                m.d.sync += count.eq(byte)
                m.next = "words"
            with m.State("address"), m.If(valid):
                m.d.sync += [self.address.eq(Cat(self.address[8:], byte)), place.eq(place + 1)]
                with m.If(place == 1):
                    m.d.sync += place.eq(0)
                    m.next = "words"
                    with m.If(self.command == Command.READ):
                        m.next = "alone"
            with m.State("words"), m.If(valid):
                m.d.sync += [earlier.eq(Cat(earlier[8:], byte)), place.eq(place + 1)]
                with m.If(place == WORD_BYTES - 1):
                    m.d.comb += [self.word_valid.eq(1), self.last.eq(count == 0)]
                    m.d.sync += count.eq(count - 1)
                    with m.If(count == 0):
                        m.d.comb += self.done.eq(1)
                        m.next = "command"
        return m


class CreditBuffer(wiring.Component):
    """Holds the words of ``CREDITS`` commands of one stream, and joins them to beats.

    Parameters
    ----------
    words : words of a beat

    Members
    -------
    write, data : In(1), In(32), a word
    last, credit : In(1), with ``write``: it is the last word of its packet; of its command
    beats : Out(stream), ``data`` is ``words`` words, the first one lowest; ``last`` is that of its last word
    credit_back : Out(1), pulse: a command's last word has left the queue

    Latency: four cycles from the last word of a beat to the beat, if nothing waits.

    Back-pressure: ``write`` cannot be refused; there is room for ``CREDITS`` commands of ``MAX_WORDS`` words.
    """

    def __init__(self, words: int) -> None:
        self.words = words
        beat = data.StructLayout({"data": 32 * words, "last": 1})
        super().__init__(
            {
                **{"write": In(1), "data": In(32), "last": In(1), "credit": In(1)},
                **{"beats": Out(stream.Signature(beat)), "credit_back": Out(1)},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=34, depth=CREDITS * MAX_WORDS + 1)
        m.d.comb += [fifo.w_en.eq(self.write), fifo.w_data.eq(Cat(self.data, self.last, self.credit))]
        word, last, credit = fifo.r_data[:32], fifo.r_data[32], fifo.r_data[33]
        m.submodules.slice = beats = StreamSlice(self.beats.payload.shape())
        wiring.connect(m, wiring.flipped(self.beats), beats.given)
        count = Signal(range(self.words + 1))
        beat = [Signal(32, name=f"word{i}") for i in range(self.words)]
        beat_last = Signal()
        full = count == self.words
        m.d.comb += [
            beats.taken.valid.eq(full),
            beats.taken.payload.data.eq(Cat(*beat)),
            beats.taken.payload.last.eq(beat_last),
            # A word enters the beat while there is room in it, or while the full beat leaves.
            fifo.r_en.eq(fifo.r_rdy & (~full | beats.taken.ready)),
            self.credit_back.eq(fifo.r_en & credit),
        ]
        with m.If(full & beats.taken.ready):
            m.d.sync += count.eq(fifo.r_en)
        with m.Elif(fifo.r_en):
            m.d.sync += count.eq(count + 1)
        with m.If(fifo.r_en):
            m.d.sync += beat_last.eq(last)
            for i, place in enumerate(beat):
                with m.If((count == i) | (full if i == 0 else 0)):
                    m.d.sync += place.eq(word)
        return m


class BusAccess(wiring.Component):
    """Makes one AXI4-Lite access at a time.

    Members
    -------
    read, write : In(1), pulse that starts an access; not before the one before has ended
    address, data : In(16), In(32), byte address and word to be written, with that pulse
    read_done, write_done : Out(1), pulse at the end of an access
    read_data : Out(32), the word read, with ``read_done``
    bus : Out(AxiLite), the master's side

    Latency: the bus is asked in the cycle behind ``read`` or ``write``, and its answer is passed on in its cycle.

    Back-pressure: waits for the bus as long as need be.
    """

    read: In(1)
    write: In(1)
    address: In(ADDRESS_BITS)
    data: In(32)
    read_done: Out(1)
    read_data: Out(32)
    write_done: Out(1)
    bus: Out(AxiLite(ADDRESS_BITS))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        m.d.comb += [
            *(bus.wstrb.eq(0xF), bus.bready.eq(1), bus.rready.eq(1)),
            *(self.read_done.eq(bus.rvalid), self.read_data.eq(bus.rdata), self.write_done.eq(bus.bvalid)),
        ]
        for valid, ready in ((bus.awvalid, bus.awready), (bus.wvalid, bus.wready), (bus.arvalid, bus.arready)):
            with m.If(ready):
                m.d.sync += valid.eq(0)
        with m.If(self.write):
            m.d.sync += [bus.awaddr.eq(self.address), bus.wdata.eq(self.data), bus.awvalid.eq(1), bus.wvalid.eq(1)]
        with m.If(self.read):
            m.d.sync += [bus.araddr.eq(self.address), bus.arvalid.eq(1)]
        return m


class Answers(wiring.Component):
    """Sends the host one message after the other, scores only while there is nothing else to be sent.

    Members
    -------
    read, read_data : In(1), In(32), pulse: a register has been read, and has this value
    write : In(1), pulse: a register has been written
    blob, picture : In(1), pulse: the engine has a command's words
    unknown : In(1), pulse: a byte was no command
    flushed : In(1), pulse: the buffers are empty
    scores : In(stream of WORDS), scores of the engine
    bytes : Out(stream of 8 bits), to the host

    Latency: two cycles from a pulse to the first byte of its message, if nothing else is being sent.

    Back-pressure: up to ``CREDITS`` pulses of each kind wait until they can be told; more are lost.
    """

    read: In(1)
    read_data: In(32)
    write: In(1)
    blob: In(1)
    picture: In(1)
    unknown: In(1)
    flushed: In(1)
    scores: In(stream.Signature(WORDS))
    bytes: Out(stream.Signature(8))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sources = {
            Command.FLUSH: self.flushed,
            Command.READ: self.read,
            Command.WRITE: self.write,
            Command.BLOB: self.blob,
            Command.PICTURE: self.picture,
            Command.UNKNOWN: self.unknown,
        }
        read_data = Signal(32)
        with m.If(self.read):
            m.d.sync += read_data.eq(self.read_data)
        message = Signal(8 * (1 + WORD_BYTES))
        left = Signal(range(2 + WORD_BYTES))
        free = left == 0
        m.d.comb += [self.bytes.valid.eq(~free), self.bytes.payload.eq(message[:8])]
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [left.eq(left - 1), message.eq(message >> 8)]
        earlier = Value.cast(0)  # a source that goes first has something to tell
        for command, pulse in sources.items():
            waiting = Signal(range(CREDITS + 1), name=f"waiting_{command.name.lower()}")
            told = Signal(name=f"told_{command.name.lower()}")
            m.d.comb += told.eq(free & (waiting != 0) & ~earlier)
            with m.If(pulse & ~told & (waiting != CREDITS)):
                m.d.sync += waiting.eq(waiting + 1)
            with m.If(told & ~pulse):
                m.d.sync += waiting.eq(waiting - 1)
            with m.If(told):
                length = 1 + WORD_BYTES if command == Command.READ else 1
                m.d.sync += [message.eq(Cat(Const(command, 8), read_data)), left.eq(length)]
            earlier |= waiting != 0
        m.d.comb += self.scores.ready.eq(free & ~earlier)
        with m.If(self.scores.valid & self.scores.ready):
            score = self.scores.payload
            first = Signal(8)
            m.d.comb += first.eq(Command.SCORE)
            with m.If(score.last):
                m.d.comb += first.eq(Command.LAST_SCORE)
            m.d.sync += [message.eq(Cat(first, score.data)), left.eq(1 + WORD_BYTES)]
        return m
