"""The C driver runs networks on the simulated engine, through the AXI masters of another project, cocotbext-axi.

The environment variable ``CASE`` names a folder. Its case.json has the driver's name and library, the engine's
lanes and picture_bytes, the number of scores, whether all channels pause at random, and runs, each with the files
of a blob and a picture. For run i the folder gets run_i.npz: status, scores, writes and counters.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, First, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamSink, AxiStreamSource

from dcgen.hw.sim.playback import trace_type
from tests.hw.axi import random_pauses
from tests.rtl.driver import Driver

CASE = Path(os.environ.get("CASE", "."))
LIMIT = 2_000_000
"""Cycles for which the port waits for an interrupt."""


class Port:
    """The functions by which the C driver reaches the engine. They are called in the driver's thread."""

    def __init__(self, dut, pauses: bool, picture_bytes: int) -> None:
        self.dut, self.picture_bytes, self.count = dut, picture_bytes, 0
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.blob = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_blob"), dut.clk, dut.rst)
        self.picture = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_picture"), dut.clk, dut.rst)
        self.scores = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_scores"), dut.clk, dut.rst)
        if pauses:
            w, r = self.bus.write_if, self.bus.read_if
            bus = (w.aw_channel, w.w_channel, w.b_channel, r.ar_channel, r.r_channel)
            for seed, channel in enumerate((*bus, self.blob, self.picture, self.scores)):
                channel.set_pause_generator(random_pauses(seed))
        self.read = resume(self._read)
        self.write = resume(self._write)
        self.send_picture = resume(self._send_picture)
        self.send_blob = resume(self._send_blob)
        self.receive = resume(self._receive)
        self.wait = resume(self._wait)

    async def _read(self, offset: int) -> int:
        return await self.bus.read_dword(offset)

    async def _write(self, offset: int, value: int) -> None:
        await self.bus.write_dword(offset, value)

    async def _send_picture(self, data: bytes) -> None:
        await self.picture.send(data + bytes(-len(data) % self.picture_bytes))

    async def _send_blob(self, data: bytes) -> None:
        await self.blob.send(data)
        await self.blob.wait()

    async def _receive(self, count: int) -> None:
        self.count = count
        self.scores.clear()

    async def _wait(self) -> list[int] | None:
        if not self.dut.irq.value:
            late = ClockCycles(self.dut.clk, LIMIT)
            if await First(RisingEdge(self.dut.irq), late) is late:
                return None
        await self.picture.wait()
        await self.blob.wait()
        if self.scores.empty():
            return []
        frame = await self.scores.recv()
        return np.frombuffer(bytes(frame.tdata), "<i4").tolist()


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def the_driver_runs_networks(dut):
    case = json.loads((CASE / "case.json").read_text())
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = 1
    port = Port(dut, case["pauses"], case["picture_bytes"])
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    kind = trace_type(case["lanes"])
    writes: list[np.void] = []

    async def watch() -> None:
        while True:
            await RisingEdge(dut.clk)
            if dut.trace_valid.value == 1:
                record = np.zeros((), kind)
                for name in ("step", "word", "lane", "count"):
                    record[name] = int(getattr(dut, f"trace_{name}").value)
                data = int(dut.trace_data.value).to_bytes(case["lanes"], "little")
                record["data"][: case["lanes"]] = np.frombuffer(data, np.uint8)
                writes.append(record)

    cocotb.start_soon(watch())
    for number, run in enumerate(case["runs"]):
        driver = Driver(Path(case["library"]), case["name"], port)
        writes.clear()
        status = await bridge(driver.init)((CASE / run["blob"]).read_bytes())
        scores, counters = np.zeros(0, np.int32), {}
        if status == 0:
            picture = np.load(CASE / run["picture"])
            status, scores = await bridge(driver.run)(picture, case["scores"])
            counters = await bridge(driver.counters)()
        np.savez(
            CASE / f"run_{number}.npz",
            status=status,
            scores=scores,
            writes=np.array(writes, kind) if writes else np.zeros(0, kind),
            counters=np.array(list(counters.values()), np.int64),
        )
