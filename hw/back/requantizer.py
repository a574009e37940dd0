"""Requantization: clip(zero_out + (((acc + bias) * mult + 2**(shift - 1)) >> shift), lo, hi) of R sums a cycle.

``acc + bias`` wraps at 32 bits. Its product with the 16 bits of ``mult`` is exact, 48 bits out of two multipliers.
As ``shift`` is 17 to 32, the lowest 16 bits of the product decide nothing: what is kept are its upper 32, which
are shifted by ``shift`` - 17 and then halved with rounding.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.multiplier import Multiplier, MultiplierKind
from dcgen.hw.common.pipeline import delay
from dcgen.hw.contract.back_timing import MULTIPLY_CYCLES, REQUANTIZE_CYCLES
from dcgen.hw.contract.parameters import EngineParameters

CONSTANTS = data.StructLayout({"bias": signed(32), "mult": 16, "shift": 6, "lo": 8, "hi": 8, "zero_out": 8})
"""Constants of one output channel, as in ``dcgen.hw.common.signatures.head_layout``."""


class Requantizer(wiring.Component):
    """R = ``requantizers`` copies of the formula.

    Parameters
    ----------
    parameters : sizes of the engine
    kind : how the multipliers are built

    Members
    -------
    sums : In(R x signed(32)), accumulators
    constants : In(CONSTANTS), of the channel that the sums of this cycle belong to
    bytes : Out(R x 8), the requantized bytes, unsigned

    Latency: ``REQUANTIZE_CYCLES``. Back-pressure: none.
    """

    def __init__(self, parameters: EngineParameters, kind: MultiplierKind = "portable") -> None:
        self.parameters, self.kind = parameters, kind
        super().__init__(
            {
                "sums": In(data.ArrayLayout(signed(32), parameters.requantizers)),
                "constants": In(CONSTANTS),
                "bytes": Out(data.ArrayLayout(8, parameters.requantizers)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        constants = self.constants
        biased = 1
        joined = biased + MULTIPLY_CYCLES + 1  # the cycle in which the halves of the product are one
        mult = delay(m, constants.mult, biased, "mult")
        distance = delay(m, (constants.shift - 17)[:4], joined, "distance")
        finer = delay(m, distance[:2], 1, "finer")
        rounding = delay(m, Cat(Const(1, 1), constants.zero_out), joined + 2, "rounding")
        lo = delay(m, constants.lo, REQUANTIZE_CYCLES - 1, "lo")
        hi = delay(m, constants.hi, REQUANTIZE_CYCLES - 1, "hi")

        for lane in range(self.parameters.requantizers):
            acc = Signal(signed(32), name=f"acc_{lane}", reset_less=True)
            m.submodules[f"high_{lane}"] = high = Multiplier(17, 17, self.kind)
            m.submodules[f"low_{lane}"] = low = Multiplier(17, 17, self.kind)
            m.d.comb += [high.a.eq(acc[16:].as_signed()), high.b.eq(mult), low.a.eq(acc[:16]), low.b.eq(mult)]
            product = Signal(signed(32), name=f"product_{lane}", reset_less=True)  # its bits 16 and up
            coarse = Signal.like(product, name=f"coarse_{lane}")
            shifted = Signal.like(product, name=f"shifted_{lane}")
            rounded = Signal(signed(33), name=f"rounded_{lane}", reset_less=True)
            byte = Signal(8, name=f"byte_{lane}", reset_less=True)
            sum_of_halves = high.product + low.product[16:32].as_unsigned()
            m.d.sync += [
                acc.eq(self.sums[lane] + constants.bias),
                product.eq(sum_of_halves),
                coarse.eq(product >> (distance & 0b1100)),
                shifted.eq(coarse >> finer),
                rounded.eq((shifted + rounding) >> 1),  # (shifted + 1 + 2 * zero_out) >> 1
                byte.eq(Mux(rounded < 0, 0, Mux(rounded > 255, 255, rounded[:8]))),
                self.bytes[lane].eq(Mux(byte > hi, hi, Mux(byte < lo, lo, byte))),
            ]
        return m
