"""A bit reader hands out the bits of random packets in their order, with the right count and CRC.

Words come with random pauses, and random numbers of bits are consumed.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def packets(dut: Any) -> None:
    Clock(dut.clk, 10, unit="ns").start()
    for name in ("words__valid", "words__payload", "begin", "consume", "late"):
        getattr(dut, name).value = 0
    dut.rst.value = 1
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    rng = random.Random(5)
    for number in range(12):
        await one_packet(dut, rng, rng.choice((1, 2, 3, 40)), (1.0, 1.0, 0.5)[number % 3], number % 4 == 0)


async def one_packet(dut: Any, rng: random.Random, size: int, hurry: float, greedy: bool) -> None:
    """Sends a packet of ``size`` random words and compares all that comes out.

    hurry : chance in a cycle that a word is offered
    greedy : consume 32 bits in each cycle that has them; without pauses the reader must sustain that
    """
    words = [rng.getrandbits(32) for _ in range(size)]
    stream = sum(word << 32 * i for i, word in enumerate(words))
    dut.begin.value = 1
    await RisingEdge(dut.clk)
    dut.begin.value = 0
    at = taken = cycles = wanted = 0
    offered = False
    while at < 32 * size:
        offered = taken < size and (offered or rng.random() < hurry)
        dut.words__valid.value = offered
        if offered:
            dut.words__payload.value = words[taken] | (taken == size - 1) << 32
        # The reader is ``valid`` only with 32 bits, so the last 32 must be consumed at once: near the end, only
        # numbers are chosen that leave whole words.
        left = 32 * size - at
        appetite = 32 if greedy else rng.choice((0, 1, 5, 12, 32, rng.randint(0, 32), wanted, wanted))
        wanted = appetite if left - appetite >= 32 or appetite == left else left % 32 or 32
        dut.consume.value = wanted
        dut.late.value = rng.random() < 0.5
        await RisingEdge(dut.clk)
        cycles += 1
        if dut.valid.value:
            assert dut.bits.value.to_unsigned() == (stream >> at) & 0xFFFFFFFF
            assert dut.offset.value.to_unsigned() == at % 32
            at += wanted
        if offered and dut.words__ready.value:
            taken, offered = taken + 1, False
    dut.words__valid.value = 0
    dut.consume.value = 0
    await RisingEdge(dut.clk)
    assert dut.ended.value and dut.empty.value and not dut.valid.value
    assert dut.count.value.to_unsigned() == size
    data = b"".join(word.to_bytes(4, "little") for word in words[1:])
    assert dut.crc.value.to_unsigned() == zlib.crc32(data)
    if greedy and hurry == 1:
        assert cycles == size + 2
