"""The list builder makes the lists that a walk in Python finds, of random filters, with random pauses.

The environment variable ``SEED`` chooses other filters.
"""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from amaranth.lib import data
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from dcgen.hw.common.signatures import bits, entry_layout, head_layout
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.weight_list import shape_layout

PARAMETERS = EngineParameters(lanes=4, requantizers=2, words=64, picture_bytes=4, list_entries=16, max_outputs=16)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_filters(dut: Any) -> None:
    Clock(dut.clk, 10, unit="ns").start()
    for name in (
        "start",
        "flush",
        "halt",
        "entries__valid",
        "entries__payload",
        "weight",
        "head",
        "publish__ready",
    ):
        getattr(dut, name).value = 0
    rng = random.Random(int(os.environ.get("SEED", "3")))
    for number in range(30):
        dut.rst.value = 1
        for _ in range(3):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        await one(dut, rng, (1.0, 0.5)[number % 2])


async def one(dut: Any, rng: random.Random, hurry: float) -> None:
    """One step with random extents and entries.

    hurry : chance in a cycle that an entry is offered, and that a list would be taken
    """
    p = PARAMETERS
    groups, group_outputs = rng.randint(1, 3), rng.randint(1, 3)
    taps, channels = rng.randint(1, 5), rng.randint(1, 6)
    outputs, in_words, group_words = groups * group_outputs, rng.randint(1, 3), rng.randint(0, 9)
    density = rng.choice((0.0, 0.1, 0.5, 1.0))
    size = taps * channels
    expected: list[list[tuple[int, int, int]]] = []
    entries, at = [], 0
    for o in range(outputs):
        found = []
        for k in range(size):
            position = o * size + k
            if len(found) < 16 and rng.random() < density:
                level = rng.choice((0, rng.randint(1, 255)))
                entries.append((position - at, level))
                at = position + 1
                if level:
                    plane = o // group_outputs * group_words + k % channels * in_words
                    found.append((level * 3 - 400, k // channels, plane % 64))
        expected.append(found or [(0, 0, 0)])
    extents = {
        "outputs": outputs,
        "taps": taps,
        "channels": channels,
        "group_outputs": group_outputs,
        "group_words": group_words,
        "in_words": in_words,
    }
    dut.shape.value = shape_layout(p).const(extents).as_bits()
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0
    sent, offered, flushed, half, lists = 0, False, False, {}, []
    level_before = output_before = 0
    for _ in range(4000):
        offered = sent < len(entries) and (offered or rng.random() < hurry)
        dut.entries__valid.value = offered
        if offered:
            run, level = entries[sent]
            dut.entries__payload.value = run | level << 12
        ready = rng.random() < hurry
        dut.publish__ready.value = ready
        dut.weight.value = level_before * 3 - 400 & 0x1FFFF
        dut.head.value = output_before << bits(p.list_entries + 1)  # the filter's number, as the bias
        dut.flush.value = 0
        if sent == len(entries) and not flushed and not dut.busy.value and not offered:
            dut.flush.value, flushed = 1, True
        await RisingEdge(dut.clk)
        if dut.moving.value:  # the memories that look-ups read answer one cycle later
            level_before = dut.level.value.to_unsigned()
            output_before = dut.output.value.to_unsigned()
        if offered and dut.entries__ready.value:
            sent, offered = sent + 1, False
        assert not dut.beyond.value and not dut.full.value
        if dut.write__enable.value:
            assert ready
            half[dut.write__address.value.to_unsigned()] = dut.write__data.value.to_unsigned()
        if ready and dut.publish__valid.value:
            head = data.Const(head_layout(p), dut.publish__payload.value.to_unsigned())
            assert int(head.bias) == len(lists)
            assert int(head.entries) == len(half)
            e = [data.Const(entry_layout(p), half[i]) for i in range(len(half))]
            lists.append([(int(x.weight), int(x.tap), int(x.channel)) for x in e])
            half = {}
        if dut.finished.value and not dut.busy.value and flushed:
            assert lists == expected
            assert dut.most.value.to_unsigned() == max(len(x) if x != [(0, 0, 0)] else 0 for x in expected)
            return
    raise AssertionError(f"{len(lists)} lists of {outputs} after {sent} of {len(entries)} entries")
