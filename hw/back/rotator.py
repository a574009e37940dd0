"""Barrel rotation of lanes, any number of them.

Level k rotates by 2**k lanes where bit k of the amount is set. A rotation wraps at the number of lanes, so that it
need not be a power of two. There is a register behind every two levels, and behind the last.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.back_timing import LEVELS_A_STAGE


class Rotator(wiring.Component):
    """Rotates ``lanes`` values.

    Parameters
    ----------
    lanes : how many values
    width : bits of each
    towards_zero : output lane l is input lane (l + amount) % lanes; else it is input lane (l - amount) % lanes

    Members
    -------
    values : In(lanes x width)
    amount : In(bits(lanes)), below ``lanes``; of the same cycle as ``values``
    rotated : Out(lanes x width)

    Latency: ``rotate_cycles(lanes)``. Back-pressure: none.
    """

    def __init__(self, lanes: int, width: int, *, towards_zero: bool) -> None:
        self.lanes, self.width, self.towards_zero = lanes, width, towards_zero
        super().__init__(
            {
                "values": In(data.ArrayLayout(width, lanes)),
                "amount": In(bits(lanes)),
                "rotated": Out(data.ArrayLayout(width, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, levels = self.lanes, bits(self.lanes)
        values = [self.values[lane] for lane in range(self.lanes)]
        amount = self.amount
        for level in range(levels):
            step = (1 << level) * (1 if self.towards_zero else -1)
            values = [Mux(amount[level], values[(lane + step) % lanes], values[lane]) for lane in range(lanes)]
            if level % LEVELS_A_STAGE == LEVELS_A_STAGE - 1 or level == levels - 1:
                stage = [
                    Signal(self.width, name=f"level_{level}_lane_{lane}", reset_less=True)
                    for lane in range(self.lanes)
                ]
                m.d.sync += [register.eq(value) for register, value in zip(stage, values, strict=True)]
                later = Signal.like(amount, name=f"amount_{level}", reset_less=True)
                m.d.sync += later.eq(amount)
                values, amount = list(stage), later
        m.d.comb += [self.rotated[lane].eq(value) for lane, value in enumerate(values)]
        return m
