"""P multiply-accumulate lanes under one weight, which goes to all of them.

Each lane has a second accumulator, its shadow: when a tile's last product has been added, the sums move to the
shadows, from where they leave while the next tile is being summed.

The lanes lie all over a chip, so each signal that goes to all of them comes straight from a register of its own.
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
"""What the lanes do with their bytes.

valid : multiply them with ``weight`` and add the products
tile_end : they are the last ones of a tile
list_end : the tile is the last one of its output channel
"""


class MacLanes(wiring.Component):
    """Multiplies and sums, and gives the sums of finished tiles, R at a time.

    Parameters
    ----------
    parameters : sizes of the engine; R = ``requantizers``
    kind : how the multipliers are built

    Members
    -------
    bytes : In(P x 8), an activation for each lane, unsigned
    work : In(WORK), the weight, signed, and what is to be done; of the same cycle
    shift : In(1), the next cycle's ``front`` is the group of R sums behind this one
    loading : Out(1), the sums of a tile move to the shadows: ``front`` has its first group from the next cycle on
    loading_list_end : Out(1), with ``loading``: the tile is the last one of its output channel
    front : Out(R x signed(32)), the group at the front of the shadows
    following : Out(signed(32)), the first sum behind the front
    Sums wrap at 32 bits.

    Latency: a product is added ``MULTIPLY_CYCLES`` after its bytes came; if it ends a tile, ``loading`` is of that
    cycle.

    Back-pressure: none. A tile may end only when the groups of the one before have left, or are leaving in that
    cycle.
    """

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
