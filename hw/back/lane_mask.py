"""Says which of the P lanes read inside the plane: by a range of lanes, and by the column of each lane.

Lane l of a tile computes pixel f + l of the flat plane, f being the tile's first one. The column of that pixel is
kept in the lane's register x, which steps on by ``x_advance`` modulo ``pitch`` from tile to tile. The columns of
the first tile, (first_x + l) % pitch, are found without a division: all lanes begin with ``first_x``, and then,
for each k, those lanes whose number has bit k add 2**k % pitch.
"""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters

X_BITS = 16
"""Width of a column's number."""


def query_layout(p: EngineParameters) -> data.StructLayout:
    """One question.

    low, high : lanes l with low <= l < high are asked for
    by_column : only those of them are meant whose column x has x_low <= x < x_high
    x_low, x_high : bounds of the column
    tile_end : the columns step on to the next tile behind this question ...
    list_end : ... or, with this bit too, back to the first tile
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
    """Keeps the column of each lane, and answers one question a cycle.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    setup : In(1), pulse that finds the columns of a step's first tile
    first_x : In(16), column of the first tile's first pixel
    pitch : In(16), pixels from row to row
    x_advance : In(16), ``lanes`` % ``pitch``; all three are steady from ``setup`` to the end of the step
    query : In(query_layout), the question
    inside : Out(P), bit l: lane l is among those meant

    Latency: ``setup_cycles(p)`` from ``setup`` to the first question, one cycle from ``query`` to ``inside``.

    Back-pressure: none.
    """

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
        amount = Signal(X_BITS)  # columns that the lanes step on by ...
        less = Signal(signed(X_BITS + 1))  # ... and the same minus the pitch
        power = Signal(X_BITS)  # 2**level % pitch of the coming level
        phase = Signal(range(levels + 3), init=0)  # of the setup: 0 idle, 1 first_x, 2 + k for bit k, ``copy``
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
            joins = Const(2 | lane << 2, copy)  # the phases in which the lane steps: 1, and 2 + k for its bits k
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
