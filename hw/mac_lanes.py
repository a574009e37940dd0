"""P multiply-accumulate lanes under one broadcast weight, with shadow accumulators that drain meanwhile.

Cycle 0 takes P bytes and a weight; the products are summed in cycle ``MULTIPLY_CYCLES``. The weight marked
``tile_end`` moves the sums to the shadow accumulators and clears the others: ``loading`` is 1 in that
cycle, ``front`` holds the first R sums from the next one on. ``shift`` brings the following R to the front.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.activation_memory import byte_lanes
from hw.back_timing import MULTIPLY_CYCLES
from hw.multiplier import Multiplier, MultiplierKind
from hw.parameters import EngineParameters
from hw.pipeline import delay
from hw.signatures import WEIGHT_BITS

WORK = data.StructLayout({"valid": 1, "weight": signed(WEIGHT_BITS), "tile_end": 1, "list_end": 1})
"""What the lanes do with their bytes. list_end : this is the last tile of an output channel"""


class MacLanes(wiring.Component):
    """bytes, work, shift -> front, loading, loading_list_end."""

    def __init__(self, parameters: EngineParameters, kind: MultiplierKind = "portable") -> None:
        self.parameters, self.kind = parameters, kind
        super().__init__(
            {
                "bytes": In(byte_lanes(parameters)),
                "work": In(WORK),
                "shift": In(1),
                "loading": Out(1),
                "loading_list_end": Out(1),
                "front": Out(data.ArrayLayout(signed(32), parameters.requantisers)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        valid, tile_end, list_end = (
            delay(m, self.work[name], MULTIPLY_CYCLES, name) for name in ("valid", "tile_end", "list_end")
        )
        m.d.comb += [self.loading.eq(valid & tile_end), self.loading_list_end.eq(list_end)]

        sums = [Signal(signed(32), name=f"sum_{lane}") for lane in range(p.lanes)]
        shadows = [Signal(signed(32), name=f"shadow_{lane}") for lane in range(p.lanes)]
        for lane in range(p.lanes):
            m.submodules[f"multiplier_{lane}"] = multiplier = Multiplier(9, WEIGHT_BITS, self.kind)
            added = Signal(signed(32), name=f"added_{lane}")
            m.d.comb += [
                multiplier.a.eq(self.bytes[lane]),
                multiplier.b.eq(self.work.weight),
                added.eq(sums[lane] + multiplier.product),
            ]
            with m.If(valid):
                m.d.sync += sums[lane].eq(Mux(tile_end, 0, added))
            following = shadows[lane + p.requantisers] if lane + p.requantisers < p.lanes else added
            with m.If(self.loading | self.shift):
                m.d.sync += shadows[lane].eq(Mux(self.loading, added, following))
        m.d.comb += [self.front[lane].eq(shadows[lane]) for lane in range(p.requantisers)]
        return m
