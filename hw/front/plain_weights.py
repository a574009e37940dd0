"""Computes weights and bias of additions and averages from the factors in their headers, a bit a cycle."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import WEIGHT_BITS, bits
from dcgen.hw.contract.front_timing import BYTE, UNIT_BITS
from dcgen.hw.contract.parameters import EngineParameters


class PlainWeights(wiring.Component):
    """Computes the two weights and the bias of a step.

    An addition's weights are its factors; bias = -(zero0 * factor0 + zero1 * factor1). Both weights of an average
    are k = (factor0 + taps // 2) // taps; bias = -zero0 * taps * k. The bias wraps at 32 bits.

    Parameters
    ----------
    p : sizes of the engine

    Members
    -------
    start : In(1), pulse; the other inputs are steady from then until ``done``
    average : In(1), 1 for an average, 0 for an addition
    factor0, factor1 : In(signed(32)), those of the section's header; of an average, factor0 is 1 to 2**24 - 1
    zero0, zero1 : In(8), zero points of the inputs; of an average, the first one counts
    taps : In(bits(max_taps + 1)), positions of an average's window, at least 1
    weight0, weight1 : Out(signed(17)), the weights
    bias : Out(signed(32)), the bias
    excess : Out(1), k does not fit a weight
    done : Out(1), pulse; the results are steady from then to the next ``start``

    Latency: ``front_timing.ADD_CYCLES`` or ``front_timing.AVERAGE_CYCLES`` from ``start`` to ``done``.

    Back-pressure: none.
    """

    def __init__(self, p: EngineParameters) -> None:
        super().__init__(
            {
                "start": In(1),
                "average": In(1),
                "factor0": In(signed(32)),
                "factor1": In(signed(32)),
                "zero0": In(8),
                "zero1": In(8),
                "taps": In(bits(p.max_taps + 1)),
                "weight0": Out(signed(WEIGHT_BITS)),
                "weight1": Out(signed(WEIGHT_BITS)),
                "bias": Out(signed(32)),
                "excess": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(range(UNIT_BITS + 2))
        # Two multiplications side by side, a bit of each multiplier in a cycle, the lowest first; ``total`` is the
        # sum of both products.
        factor = [Signal(signed(32), name=f"multiplicand_{i}") for i in range(2)]
        times = [Signal(BYTE, name=f"multiplier_{i}") for i in range(2)]
        total = Signal(signed(32))
        # Restoring division, the dividend's highest bit first.
        dividend, quotient = Signal(UNIT_BITS + 1), Signal(UNIT_BITS + 1)
        remainder = Signal(len(self.taps) + 1)

        def multiply() -> None:
            m.d.sync += total.eq(total + Mux(times[0][0], factor[0], 0) + Mux(times[1][0], factor[1], 0))
            for i in range(2):
                m.d.sync += [factor[i].eq(factor[i] << 1), times[i].eq(times[i] >> 1)]

        m.d.sync += count.eq(count + 1)
        m.d.comb += self.bias.eq(-total)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    count.eq(0),
                    dividend.eq(self.factor0.as_unsigned()[:UNIT_BITS] + (self.taps >> 1)),
                    remainder.eq(0),
                    factor[0].eq(self.factor0),
                    factor[1].eq(self.factor1),
                    times[0].eq(self.zero0),
                    times[1].eq(self.zero1),
                ]
                with m.If(self.start):
                    m.d.sync += [
                        total.eq(0),
                        self.excess.eq(0),
                        self.weight0.eq(self.factor0),
                        self.weight1.eq(self.factor1),
                    ]
                    with m.If(self.average):
                        m.next = "DIVIDE"
                    with m.Else():
                        m.next = "BIAS"
            with m.State("DIVIDE"):
                wide = Cat(dividend[-1], remainder)
                enough = Signal()
                m.d.comb += enough.eq(wide >= self.taps)
                m.d.sync += [
                    dividend.eq(dividend << 1),
                    remainder.eq(Mux(enough, wide - self.taps, wide)),
                    quotient.eq(Cat(enough, quotient)),
                ]
                with m.If(count == UNIT_BITS):
                    m.next = "SCALE"
            with m.State("SCALE"):
                m.d.sync += [
                    self.weight0.eq(quotient),
                    self.weight1.eq(quotient),
                    self.excess.eq(quotient[WEIGHT_BITS - 1 :].any()),
                    factor[0].eq(quotient),
                    factor[1].eq(0),
                    times[0].eq(self.taps),
                    count.eq(0),
                ]
                m.next = "TAPS"
            with m.State("TAPS"):
                multiply()
                with m.If(count == BYTE):
                    # ``total`` is k * taps, and becomes a factor of the bias.
                    m.d.sync += [
                        total.eq(0),
                        factor[0].eq(total),
                        times[0].eq(self.zero0),
                        times[1].eq(0),
                        count.eq(0),
                    ]
                    m.next = "BIAS"
            with m.State("BIAS"):
                multiply()
                with m.If(count == BYTE):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
        return m
