"""Helpers of the gateware's tests: run a bench, and pack lanes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from amaranth.sim import Simulator


def simulate(design: Any, *benches: Callable[[Any], Awaitable[None]]) -> None:
    """Runs the benches on a design clocked at will until the last of them ends."""
    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


def packed(lanes: Sequence[int], width: int = 8) -> int:
    """Lanes as one number, lane 0 lowest."""
    return sum((int(value) & (1 << width) - 1) << width * lane for lane, value in enumerate(lanes))


def unpacked(value: int, lanes: int, width: int = 8) -> list[int]:
    """Lanes of a number, lane 0 lowest."""
    return [value >> width * lane & (1 << width) - 1 for lane in range(lanes)]
