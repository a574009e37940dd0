"""A host that keeps the rules, in front of an engine that stalls at random."""

import os
import random
from collections import deque

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from dcgen.hw.boards.bridge import CREDITS, MAX_WORDS, Command

PICTURE_BYTES = int(os.environ["PICTURE_BYTES"])
PAYLOAD = {Command.READ: 4, Command.SCORE: 4, Command.LAST_SCORE: 4}


class Host:
    """Sends bytes without pauses, and takes messages apart."""

    def __init__(self, dut):
        self.dut = dut
        self.queue = deque()
        self.messages = deque()
        cocotb.start_soon(self._send())
        cocotb.start_soon(self._receive())

    async def _send(self):
        while True:
            await FallingEdge(self.dut.clk)
            self.dut.valid.value = int(bool(self.queue))
            self.dut.byte.value = self.queue.popleft() if self.queue else random.randrange(256)

    async def _receive(self):
        message = []
        while True:
            await FallingEdge(self.dut.clk)
            ready = random.random() < 0.6
            self.dut.transmit__ready.value = ready
            await RisingEdge(self.dut.clk)  # what is read now are values from before the edge
            if ready and self.dut.transmit__valid.value:
                message.append(int(self.dut.transmit__payload.value))
                if len(message) == 1 + PAYLOAD.get(message[0], 0):
                    value = int.from_bytes(bytes(message[1:]), "little") if len(message) > 1 else None
                    self.messages.append((message[0], value))
                    message = []

    async def expect(self, *kinds):
        """The oldest message, or the oldest of these kinds."""
        for _ in range(20_000):
            for i, found in enumerate(self.messages):
                if not kinds or found[0] in kinds:
                    del self.messages[i]
                    return found
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"no message of {kinds}, but {self.messages}")


class Taker:
    """Takes a stream, and stalls it at random."""

    def __init__(self, dut, name, fields):
        self.found = []
        self.open = True
        cocotb.start_soon(self._run(dut, name, fields))

    async def _run(self, dut, name, fields):
        valid, ready = getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__ready")
        held = None
        while True:
            await FallingEdge(dut.clk)
            ready.value = taking = self.open and random.random() < 0.7
            await RisingEdge(dut.clk)
            seen = tuple(int(getattr(dut, f"{name}__{f}").value) for f in fields) if valid.value else None
            assert held is None or seen == held, "a beat changed while it was stalled"
            held = None if taking else seen
            if taking and seen is not None:
                self.found.append(seen)


async def bus_slave(dut, memory):
    """An AXI4-Lite slave that accepts address and data in either order."""
    address = data = None
    dut.bus__bvalid.value = dut.bus__rvalid.value = 0
    dut.bus__bresp.value = dut.bus__rresp.value = 0
    while True:
        await FallingEdge(dut.clk)
        take = [random.random() < 0.3 for _ in range(3)]
        dut.bus__awready.value, dut.bus__wready.value, dut.bus__arready.value = take
        dut.bus__bvalid.value = dut.bus__rvalid.value = 0
        if address is not None and data is not None:
            memory[address] = data
            address = data = None
            dut.bus__bvalid.value = 1
        await RisingEdge(dut.clk)
        if take[0] and dut.bus__awvalid.value:
            address = int(dut.bus__awaddr.value)
        if take[1] and dut.bus__wvalid.value:
            data = int(dut.bus__wdata.value)
            assert dut.bus__wstrb.value == 15
        if take[2] and dut.bus__arvalid.value:
            found = memory.get(int(dut.bus__araddr.value), 0)
            await FallingEdge(dut.clk)
            dut.bus__arready.value = 0
            await ClockCycles(dut.clk, random.randrange(1, 4))
            await FallingEdge(dut.clk)
            dut.bus__rdata.value = found
            dut.bus__rvalid.value = 1
            await RisingEdge(dut.clk)


async def started(dut):
    for name in ("valid", "byte", "transmit__ready", "scores__valid", "blob__ready", "picture__ready"):
        getattr(dut, name).value = 0
    for name in ("awready", "wready", "arready", "bvalid", "rvalid"):
        getattr(dut, f"bus__{name}").value = 0
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 1)
    return Host(dut)


def words_of(count):
    return [random.getrandbits(32) for _ in range(count)]


def stream_command(command, words):
    return bytes((command, len(words) - 1)) + b"".join(w.to_bytes(4, "little") for w in words)


@cocotb.test()
async def registers_are_read_and_written(dut):
    host, memory = await started(dut), {}
    cocotb.start_soon(bus_slave(dut, memory))
    written = {}
    for _ in range(30):
        address, value = random.randrange(16) * 4 + 0x8100, random.getrandbits(32)
        if random.random() < 0.5:
            written[address] = value
            host.queue += bytes((Command.WRITE,)) + address.to_bytes(2, "little") + value.to_bytes(4, "little")
            assert await host.expect() == (Command.WRITE, None)
        else:
            host.queue += bytes((Command.READ,)) + address.to_bytes(2, "little")
            assert await host.expect() == (Command.READ, written.get(address, 0))
    assert memory == written


@cocotb.test()
async def both_streams_arrive_whole_while_the_other_stalls(dut):
    host = await started(dut)
    blob, picture = Taker(dut, "blob", ("payload",)), Taker(dut, "picture", ("payload",))
    for stalled, other in ((blob, picture), (picture, blob)):
        stalled.open, other.open = False, True
        for taker in (stalled, other):
            taker.found.clear()
        sent = {blob: [], picture: []}
        credits = {blob: CREDITS, picture: CREDITS}
        for turn in range(12):
            taker = random.choice((blob, picture)) if credits[stalled] else other
            length = random.choice((1, 2, 5, MAX_WORDS)) * (PICTURE_BYTES // 4 if taker is picture else 1)
            words = words_of(min(length, MAX_WORDS))
            ends = taker is blob and random.random() < 0.5
            kind = Command.PICTURE if taker is picture else Command.BLOB_END if ends else Command.BLOB
            if not credits[taker]:
                await host.expect(Command.PICTURE if taker is picture else Command.BLOB)
                credits[taker] += 1
            credits[taker] -= 1
            host.queue += stream_command(kind, words)
            sent[taker] += [w | (ends and i == len(words) - 1) << 32 for i, w in enumerate(words)]
            if turn == 9:
                stalled.open = True
        for taker, kind in ((blob, Command.BLOB), (picture, Command.PICTURE)):
            for _ in range(CREDITS - credits[taker]):
                await host.expect(kind)
        await ClockCycles(dut.clk, 20)
        assert [word for (word,) in blob.found] == sent[blob]
        beats = [w for (beat,) in picture.found for w in split(beat)]
        assert beats == sent[picture]
        assert not host.messages


def split(beat):
    return [beat >> 32 * i & 0xFFFFFFFF for i in range(PICTURE_BYTES // 4)]


@cocotb.test()
async def scores_reach_the_host_in_order(dut):
    host = await started(dut)
    scores = words_of(20)
    for i, score in enumerate(scores):
        await FallingEdge(dut.clk)
        dut.scores__payload.value = score | (i == len(scores) - 1) << 32
        dut.scores__valid.value = 1
        while True:
            await RisingEdge(dut.clk)  # what is read now are values from before the edge
            if dut.scores__ready.value:
                break
        await FallingEdge(dut.clk)
        dut.scores__valid.value = 0
        await ClockCycles(dut.clk, random.randrange(1, 9))
    for i, score in enumerate(scores):
        assert await host.expect() == (Command.LAST_SCORE if i == len(scores) - 1 else Command.SCORE, score)


@cocotb.test()
async def nonsense_is_named_and_zeros_resynchronise(dut):
    host = await started(dut)
    blob = Taker(dut, "blob", ("payload",))
    host.queue += bytes((0x9C, 0, 0, Command.BLOB, 255, 1, 2, 3))
    assert await host.expect() == (Command.UNKNOWN, None)
    host.queue += bytes(1025)
    host.queue += bytes((Command.FLUSH,))
    assert await host.expect(Command.FLUSH) == (Command.FLUSH, None)
    blob.found.clear()
    host.messages.clear()
    host.queue += stream_command(Command.BLOB_END, [0x12345678])
    assert await host.expect() == (Command.BLOB, None)
    await ClockCycles(dut.clk, 30)
    assert blob.found == [(0x1_12345678,)]
