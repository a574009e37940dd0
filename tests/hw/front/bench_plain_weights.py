"""The weights and biases of random additions and averages equal their formulas, and take the stated cycles."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from dcgen.hw.contract.front_timing import ADD_CYCLES, AVERAGE_CYCLES


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_constants(dut: Any) -> None:
    Clock(dut.clk, 10, unit="ns").start()
    dut.start.value = 0
    dut.rst.value = 1
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    rng = random.Random(2)
    for number in range(60):
        average, taps = number % 2, rng.choice((1, 2, 9, 13, 63, 64))
        zeros = rng.choice(((0, 255), (255, 255), (rng.randrange(256), rng.randrange(256))))
        limit = 65535
        factors = rng.randint(-limit, limit), rng.choice((0, -limit, limit, rng.randint(-limit, limit)))
        if average:
            factors = rng.choice((1, (1 << 24) - 1, taps << rng.randint(0, 16), rng.randrange(1, 1 << 24))), 0
        dut.average.value, dut.taps.value = average, taps
        dut.factor0.value, dut.factor1.value = (f & 0xFFFFFFFF for f in factors)
        dut.zero0.value, dut.zero1.value = zeros
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        cycles = 0
        while not cycles or not dut.done.value:
            await RisingEdge(dut.clk)
            cycles += 1
        assert cycles == (AVERAGE_CYCLES if average else ADD_CYCLES)
        found = dut.weight0.value.to_signed(), dut.weight1.value.to_signed()
        if average:
            weight = (factors[0] + taps // 2) // taps
            assert bool(dut.excess.value) == (weight >= 1 << 16)
            if dut.excess.value:
                continue
            assert found[0] == weight
            bias = -zeros[0] * taps * weight
        else:
            assert not dut.excess.value
            assert found == factors
            bias = -(zeros[0] * factors[0] + zeros[1] * factors[1])
        assert (dut.bias.value.to_unsigned() - bias) % (1 << 32) == 0
