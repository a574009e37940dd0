"""Bytes over a line of the right speed, over lines whose speed is a little off, and what is no byte."""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly, RisingEdge, Timer

DIVISOR = int(os.environ["DIVISOR"])
PERIOD = 1000
"""Period of the clock, in ps."""


async def started(dut):
    cocotb.start_soon(Clock(dut.clk, PERIOD, unit="ps").start())
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0


async def send(line, byte, bit, stop=1):
    for level in (0, *(byte >> i & 1 for i in range(8)), stop):
        line.value = level
        await Timer(bit, unit="ps")
    line.value = 1


async def collect(dut, found):
    while True:
        await FallingEdge(dut.clk)
        if dut.valid.value:
            found.append(int(dut.byte.value))


@cocotb.test(skip="rx" not in os.environ["SIDE"])
async def received_bytes_are_those_sent(dut):
    dut.rx.value = 1
    await started(dut)
    found = []
    cocotb.start_soon(collect(dut, found))
    data = [0x00, 0xFF, 0x55, 0xAA, *(random.randrange(256) for _ in range(40))]
    for byte in data:
        await send(dut.rx, byte, int(DIVISOR * PERIOD * random.uniform(0.98, 1.02)))
        if random.random() < 0.5:
            await Timer(random.randrange(1, 3 * DIVISOR * PERIOD), unit="ps")
    await ClockCycles(dut.clk, 4 * DIVISOR)
    assert found == data


@cocotb.test(skip="rx" not in os.environ["SIDE"])
async def a_frame_without_stop_bit_and_a_glitch_are_dropped(dut):
    dut.rx.value = 1
    await started(dut)
    found = []
    cocotb.start_soon(collect(dut, found))
    bit = DIVISOR * PERIOD
    dut.rx.value = 0
    await Timer(PERIOD, unit="ps")  # shorter than half a bit
    dut.rx.value = 1
    await Timer(12 * bit, unit="ps")
    await send(dut.rx, 0xFF, bit, stop=0)
    await Timer(12 * bit, unit="ps")
    await send(dut.rx, 0x5A, bit)
    await ClockCycles(dut.clk, 4 * DIVISOR)
    assert found == [0x5A]


@cocotb.test(skip="tx" not in os.environ["SIDE"])
async def the_line_carries_the_bytes(dut):
    dut.bytes__valid.value = 0
    await started(dut)
    data = [0x00, 0xFF, *(random.randrange(256) for _ in range(20))]

    async def feed():
        for byte in data:
            await ClockCycles(dut.clk, random.choice((1, 1, 5 * DIVISOR)))
            dut.bytes__payload.value = byte
            dut.bytes__valid.value = 1
            while True:
                await ReadOnly()
                taken = dut.bytes__ready.value
                await RisingEdge(dut.clk)
                if taken:
                    break
            dut.bytes__valid.value = 0

    cocotb.start_soon(feed())
    for byte in data:
        await FallingEdge(dut.tx)
        levels = []
        await Timer(DIVISOR * PERIOD // 2, unit="ps")
        for _ in range(10):
            levels.append(int(dut.tx.value))
            if len(levels) < 10:
                await Timer(DIVISOR * PERIOD, unit="ps")
        assert levels == [0, *(byte >> i & 1 for i in range(8)), 1]
