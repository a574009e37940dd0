"""P multiply-accumulate lanes under one broadcast weight, with shadow accumulators that drain meanwhile.

Cycle 0 takes P bytes and a weight; the products are summed in cycle ``MULTIPLY_CYCLES``. The weight marked
``tile_end`` moves the sums to the shadow accumulators and clears the others: ``loading`` is 1 in that
cycle, ``front`` holds the first R sums from the next one on. ``shift`` brings the following R to the front, the
first of which is ``following`` until then.

The lanes lie all over a chip: what goes to all of them comes straight from a register of its own.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.activation_memory import byte_lanes
from dcgen.hw.common.multiplier import Multiplier, MultiplierKind
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.signatures import WEIGHT_BITS
from dcgen.hw.contract.back_timing import MULTIPLY_CYCLES
from dcgen.hw.contract.parameters import EngineParameters

WORK = data.StructLayout({"valid": 1, "weight": signed(WEIGHT_BITS), "tile_end": 1, "list_end": 1})
"""What the lanes do with their bytes. list_end : this is the last tile of an output channel"""


class MacLanes(wiring.Component):
    """bytes, work, shift -> front, following, loading, loading_list_end."""

    def __init__(self, parameters: EngineParameters, kind: MultiplierKind = "portable") -> None:
        self.parameters, self.kind = parameters, kind
        super().__init__(
            {
                "bytes": In(byte_lanes(parameters)),
                "work": In(WORK),
                "shift": In(1),
                "loading": Out(1),
                "loading_list_end": Out(1),
                "front": Out(data.ArrayLayout(signed(32), parameters.requantizers)),
                "following": Out(signed(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        coming, tile_end = (delay(m, self.work[name], MULTIPLY_CYCLES - 1, name) for name in ("valid", "tile_end"))
        valid = Signal()
        load = Signal(init=1)  # so that a reset clears the sums
        m.d.sync += [valid.eq(coming), load.eq(coming & tile_end), self.loading.eq(coming & tile_end)]
        m.d.comb += self.loading_list_end.eq(delay(m, self.work.list_end, MULTIPLY_CYCLES, "list_end"))

        sums = [Signal(signed(32), name=f"sum_{lane}", reset_less=True) for lane in range(p.lanes)]
        shadows = [Signal(signed(32), name=f"shadow_{lane}", reset_less=True) for lane in range(p.lanes)]
        for lane in range(p.lanes):
            m.submodules[f"multiplier_{lane}"] = multiplier = Multiplier(9, WEIGHT_BITS, self.kind)
            added = Signal(signed(32), name=f"added_{lane}")
            m.d.comb += [
                multiplier.a.eq(self.bytes[lane]),
                multiplier.b.eq(self.work.weight),
                added.eq(sums[lane] + multiplier.product),
            ]
            with m.If(load):
                m.d.sync += sums[lane].eq(0)
            with m.Elif(valid):
                m.d.sync += sums[lane].eq(added)
            following = shadows[lane + p.requantizers] if lane + p.requantizers < p.lanes else added
            with m.If(load | self.shift):
                m.d.sync += shadows[lane].eq(Mux(load, added, following))
        m.d.comb += [self.front[lane].eq(shadows[lane]) for lane in range(p.requantizers)]
        m.d.comb += self.following.eq(shadows[p.requantizers % p.lanes])
        return m
