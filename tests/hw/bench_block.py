"""Plays one case of a block's test module (see ``blocks``) on the block's Verilog.

The environment variables ``BLOCK_MODULE`` and ``BLOCK_CASE`` name the test module and the case.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import cocotb
from cocotb.clock import Clock

from tests.hw.blocks import CocotbBench


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def play(dut: Any) -> None:
    case = importlib.import_module(os.environ["BLOCK_MODULE"]).CASES[os.environ["BLOCK_CASE"]]
    bench = CocotbBench(dut, case.block())
    for port in bench.inputs:
        bench._signal(port).value = 0
    if hasattr(dut, "clk"):
        dut.rst.value = 1
        Clock(dut.clk, 10, unit="ns").start()
        await bench.tick(2)
        dut.rst.value = 0
    await case.bench(bench)
