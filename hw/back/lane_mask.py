"""Which of P lanes read inside the plane: by column for each lane, and by a range of lanes.

Lane l of a tile is the pixel f + l; its column is kept in register x[l] and steps by ``x_advance`` modulo
``pitch`` from tile to tile. A ``setup`` pulse finds the columns of the first tile, (first_x + l) % pitch,
by doubling: x = first_x, then lanes whose number has bit k add 2**k % pitch. The registers are ready
``setup_cycles(p)`` after the pulse.

``query`` names the lanes that one read wants; ``inside`` is the answer one cycle later.
"""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters

X_BITS = 16


def query_layout(p: EngineParameters) -> data.StructLayout:
    """Lanes from ``low`` up to below ``high``; if ``by_column`` also only those with x_low <= x < x_high.

    ``tile_end`` steps the columns to the next tile, with ``list_end`` back to the first one.
    """
    return data.StructLayout(
        {
            "low": bits(p.lanes + 1),
            "high": bits(p.lanes + 1),
            "by_column": 1,
            "x_low": 8,
            "x_high": X_BITS + 1,
            "tile_end": 1,
            "list_end": 1,
        }
    )


class LaneMask(wiring.Component):
    """setup, first_x, pitch, x_advance; query -> inside. See the module."""

    def __init__(self, parameters: EngineParameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "setup": In(1),
                "first_x": In(X_BITS),
                "pitch": In(X_BITS),
                "x_advance": In(X_BITS),
                "query": In(query_layout(p)),
                "inside": Out(p.lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        lanes = self.parameters.lanes
        m = Module()
        levels = bits(lanes)
        amount = Signal(X_BITS)  # columns that lanes step on by ...
        less = Signal(signed(X_BITS + 1))  # ... and the same minus the pitch
        power = Signal(X_BITS)  # 2**level % pitch of the coming level
        phase = Signal(range(levels + 3), init=0)  # of the setup: 0 idle, 1 first_x, 2 .. levels + 1, copy
        copy = levels + 2

        def step_by(value: Signal) -> list:
            return [amount.eq(value), less.eq(value - self.pitch)]

        doubled = Signal(X_BITS + 1)
        m.d.comb += doubled.eq(power << 1)
        with m.If(self.setup):
            m.d.sync += [step_by(self.first_x), power.eq(self.pitch != 1), phase.eq(1)]
        with m.Elif(phase == copy):
            m.d.sync += [step_by(self.x_advance), phase.eq(0)]
        with m.Elif(phase != 0):
            m.d.sync += [
                step_by(power),
                power.eq(Mux(doubled >= self.pitch, doubled - self.pitch, doubled)),
                phase.eq(phase + 1),
            ]

        query = self.query
        for lane in range(lanes):
            x = Signal(X_BITS, name=f"x_{lane}", reset_less=True)
            first = Signal(X_BITS, name=f"first_x_{lane}", reset_less=True)
            on, back = Signal(X_BITS + 1, name=f"on_{lane}"), Signal(signed(X_BITS + 2), name=f"back_{lane}")
            stepped = Signal(X_BITS, name=f"stepped_{lane}")
            m.d.comb += [on.eq(x + amount), back.eq(x + less), stepped.eq(Mux(back >= 0, back, on))]
            joins = Const(2 | lane << 2, copy)  # bit of each phase: 1 always, level k if the lane has bit k
            stepping = Signal(name=f"stepping_{lane}")
            m.d.comb += stepping.eq(query.tile_end | joins.bit_select(phase, 1))
            with m.If(self.setup):
                m.d.sync += x.eq(0)
            with m.Elif(stepping):
                m.d.sync += x.eq(Mux(query.tile_end & query.list_end, first, stepped))
            with m.If(phase == copy):
                m.d.sync += first.eq(x)
            m.d.sync += self.inside[lane].eq(
                (query.low <= lane)
                & (query.high > lane)
                & (~query.by_column | ((x >= query.x_low) & (x < query.x_high)))
            )
        return m
