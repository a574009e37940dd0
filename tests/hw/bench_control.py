"""The registers behind AXI4-Lite: the master of another project, cocotbext-axi, reads and writes all of them."""

from __future__ import annotations

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from dcgen.hw.contract import regmap
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.axi import random_pauses

PARAMETERS = EngineParameters(lanes=8, words=512, requantizers=2, command_words=256, picture_bytes=4)


async def started(dut, pauses: bool) -> AxiLiteMaster:
    """Starts the clock, resets, and returns a master, whose five channels pause at random if ``pauses``."""
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = 1
    for name in ("busy", "done", "error", "cause", "node", "counting"):
        getattr(dut, name).value = 0
    for name, _ in regmap.COUNTERS[1:]:
        getattr(dut, f"causes_{name}").value = 0
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "bus"), dut.clk, dut.rst)
    if pauses:
        w, r = master.write_if, master.read_if
        for seed, channel in enumerate((w.aw_channel, w.w_channel, w.b_channel, r.ar_channel, r.r_channel)):
            channel.set_pause_generator(random_pauses(seed))
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    return master


def at(name: str) -> int:
    return regmap.register(name).offset


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def parameters_and_identity_can_be_read(dut):
    master = await started(dut, pauses=True)
    assert await master.read_dword(at("id")) == regmap.ID
    assert await master.read_dword(at("version")) == regmap.VERSION
    for name, value in regmap.parameter_values(PARAMETERS).items():
        assert await master.read_dword(at(name)) == value, name


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def registers_keep_what_is_written(dut):
    master = await started(dut, pauses=True)
    chance = random.Random(os.environ.get("COCOTB_RANDOM_SEED"))
    names = ("topology_low", "topology_high", "scores")
    kept = dict.fromkeys(names, 0)
    for _ in range(40):
        name = chance.choice(names)
        if chance.random() < 0.5:
            kept[name] = chance.getrandbits(32)
            await master.write_dword(at(name), kept[name])
        else:
            assert await master.read_dword(at(name)) == kept[name]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def wrong_accesses_are_answered_with_an_error(dut):
    master = await started(dut, pauses=True)
    assert (await master.write(at("id"), bytes(4))).resp == AxiResp.SLVERR
    assert (await master.write(at("scores"), b"\x01")).resp == AxiResp.SLVERR
    assert (await master.write(0x7000, bytes(4))).resp == AxiResp.DECERR
    assert (await master.read(0x7000, 4)).resp == AxiResp.DECERR
    beyond = regmap.COMMANDS + 4 * PARAMETERS.command_words
    assert (await master.write(beyond, bytes(4))).resp == AxiResp.DECERR
    assert await master.read_dword(at("scores")) == 0


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def commands_reach_the_memory_unless_busy(dut):
    master = await started(dut, pauses=True)
    seen = {}

    async def watch():
        while True:
            await RisingEdge(dut.clk)
            if dut.commands_enable.value:
                seen[int(dut.commands_address.value)] = int(dut.commands_data.value)

    cocotb.start_soon(watch())
    wanted = {i: random.getrandbits(32) for i in (0, 1, 7, PARAMETERS.command_words - 1)}
    for i, word in wanted.items():
        await master.write_dword(regmap.COMMANDS + 4 * i, word)
    dut.busy.value = 1
    assert (await master.write(regmap.COMMANDS + 8, bytes(4))).resp == AxiResp.SLVERR
    assert seen == wanted


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def a_start_is_a_reset_and_then_a_pulse(dut):
    master = await started(dut, pauses=False)
    events = []

    async def watch():
        cycle = 0
        while True:
            await RisingEdge(dut.clk)
            cycle += 1
            events.extend((name, cycle) for name in ("reset", "start") if getattr(dut, name).value)

    cocotb.start_soon(watch())
    await master.write_dword(at("control"), regmap.register("control").bits("start").mask)
    await ClockCycles(dut.clk, 5)
    assert [name for name, _ in events] == ["reset", "start"]
    assert events[1][1] == events[0][1] + 1
    events.clear()
    await master.write_dword(at("control"), regmap.register("control").bits("reset").mask)
    await ClockCycles(dut.clk, 5)
    assert [name for name, _ in events] == ["reset"]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def status_and_interrupt_show_the_datapath(dut):
    master = await started(dut, pauses=False)
    dut.error.value, dut.cause.value, dut.node.value = 1, 13, 0x1234
    await RisingEdge(dut.clk)
    assert await master.read_dword(at("status")) == 0x1234_0D04
    assert dut.irq.value == 0
    await master.write_dword(at("control"), regmap.register("control").bits("irq").mask)
    await RisingEdge(dut.clk)
    assert dut.irq.value == 1
    assert await master.read_dword(at("control")) == regmap.register("control").bits("irq").mask
    dut.error.value, dut.busy.value = 0, 1
    await RisingEdge(dut.clk)
    assert dut.irq.value == 0


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def counters_count_while_counting(dut):
    master = await started(dut, pauses=False)
    names = [name for name, _ in regmap.COUNTERS[1:]]
    expected = dict.fromkeys(("total", *names), 0)
    chance = random.Random(3)
    for _ in range(200):
        counting = chance.randrange(2)
        flags = {name: chance.randrange(2) for name in names}
        dut.counting.value = counting
        for name, flag in flags.items():
            getattr(dut, f"causes_{name}").value = flag
            expected[name] += flag & counting
        expected["total"] += counting
        await RisingEdge(dut.clk)
    dut.counting.value = 0
    for name, value in expected.items():
        assert await master.read_dword(at(f"cycles_{name}")) == value, name
    await master.write_dword(at("control"), regmap.register("control").bits("reset").mask)
    assert await master.read_dword(at("cycles_total")) == 0
