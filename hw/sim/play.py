"""The cocotb test that runs ``bench.v``: it waits until everything has been played."""

import cocotb
from cocotb.triggers import RisingEdge


@cocotb.test()
async def plays_to_the_end(dut):
    await RisingEdge(dut.finished)
