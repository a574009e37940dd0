"""Runs one bench of a block in two simulators: Amaranth's own, and a Verilog simulator under cocotb.

A bench sets a block's ports by their names ("request.valid") and asserts what it gets::

    async def doubles(b: Bench) -> None:
        b.set("value", 3)
        await b.tick()
        assert b.get("doubled") == 6

    CASES = {"8 bits": Case(lambda: Doubler(8), doubles)}

    @pytest.mark.parametrize(("case", "sim"), runs(CASES))
    def test_doubler(case, sim, tmp_path):
        play(__name__, CASES, case, sim, tmp_path)

What ``set`` sets is there at the next clock edge. After a tick, ``get`` gives values of the cycle behind it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from amaranth.hdl import Const, Shape, ShapeCastable
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

from dcgen.hw.sim.convert import to_verilog
from tests.rtl.bench import run_cocotb


class Bench(Protocol):
    """A block in some simulator. The value of a port with a layout is a mapping or a sequence."""

    rng: random.Random

    def set(self, port: str, value: Any) -> None: ...

    def get(self, port: str) -> Any: ...

    async def tick(self, cycles: int = 1) -> None: ...

    async def settle(self) -> None:
        """To be awaited before a ``get`` of what depends on a ``set`` of the same cycle."""


@dataclass(frozen=True)
class Case:
    """A block and a bench that shows something of it.

    block : makes the block
    bench : sets and gets its ports, and asserts
    extra : Verilog of the primitives that the block instantiates, which Amaranth's simulator cannot know
    """

    block: Callable[[], Any]
    bench: Callable[[Bench], Awaitable[None]]
    extra: str = ""


def runs(cases: Mapping[str, Case]) -> list[Any]:
    """Names of cases with simulators, for ``pytest.mark.parametrize``.

    Cases without primitives run in Amaranth's simulator; the first one, and those with primitives, also run as
    Verilog in Icarus, among the slow tests.
    """
    verilog = [name for number, (name, case) in enumerate(cases.items()) if number == 0 or case.extra]
    return [
        *[(name, "amaranth") for name, case in cases.items() if not case.extra],
        *[pytest.param(name, "icarus", marks=pytest.mark.slow) for name in verilog],
    ]


def play(module: str, cases: Mapping[str, Case], name: str, sim: str, folder: Path) -> None:
    """Runs case ``name`` of ``cases``, which is ``CASES`` of the test module ``module``, in simulator ``sim``."""
    case = cases[name]
    if sim == "amaranth":
        block = case.block()

        async def bench(ctx: Any) -> None:
            await case.bench(AmaranthBench(ctx, block))

        simulator = Simulator(block)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        return
    text = to_verilog(case.block(), "top") + case.extra
    environment = {"BLOCK_MODULE": module, "BLOCK_CASE": name}
    run_cocotb(text, "tests/hw/bench_block.py", folder=folder, sim=sim, environment=environment)


def ports_of(block: wiring.Component) -> dict[str, tuple[Any, Any, bool]]:
    """For each port, by its dotted name: value, shape, and whether it is an input."""
    return {
        ".".join(map(str, path)): (value, member.shape, member.flow == In)
        for path, member, value in block.signature.flatten(block)
    }


class AmaranthBench:
    """A bench in Amaranth's simulator."""

    def __init__(self, ctx: Any, block: wiring.Component) -> None:
        self.ctx, self.rng = ctx, random.Random(1)
        self.ports = {name: value for name, (value, _, _) in ports_of(block).items()}

    def set(self, port: str, value: Any) -> None:
        self.ctx.set(self.ports[port], value)

    def get(self, port: str) -> Any:
        return self.ctx.get(self.ports[port])

    async def tick(self, cycles: int = 1) -> None:
        for _ in range(cycles):
            await self.ctx.tick()

    async def settle(self) -> None:
        return


class CocotbBench:
    """A bench on Verilog. It sets and gets at falling edges of the clock, registers change at rising ones."""

    def __init__(self, handle: Any, block: wiring.Component) -> None:
        self.handle, self.rng = handle, random.Random(1)
        self.shapes = {name: shape for name, (_, shape, _) in ports_of(block).items()}
        self.inputs = [name for name, (_, _, is_input) in ports_of(block).items() if is_input]

    def _signal(self, port: str) -> Any:
        return getattr(self.handle, port.replace(".", "__"))

    def set(self, port: str, value: Any) -> None:
        shape = self.shapes[port]
        if isinstance(shape, ShapeCastable):
            value = Const.cast(shape.const(value)).value
        self._signal(port).value = int(value) & (1 << Shape.cast(shape).width) - 1

    def get(self, port: str) -> Any:
        shape = self.shapes[port]
        bits = int(self._signal(port).value)
        if isinstance(shape, ShapeCastable):
            return shape.from_bits(bits)
        plain = Shape.cast(shape)
        return bits - (1 << plain.width) if plain.signed and bits >> plain.width - 1 else bits

    async def tick(self, cycles: int = 1) -> None:
        from cocotb.triggers import FallingEdge

        for _ in range(cycles):
            await FallingEdge(self.handle.clk)

    async def settle(self) -> None:
        from cocotb.triggers import Timer

        await Timer(1, "ns")
