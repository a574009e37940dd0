"""The weights of a product: a byte of the gate, as the lanes read it, in place of the weights of a list.

``Product`` in ``dcgen.hw.contract.commands`` says which entries a list of a product has.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.mac_lanes import WORK
from dcgen.hw.contract.commands import Product


class Gate(wiring.Component):
    """Puts the gate's byte, or its negative, into the work of entries PLANE and OUTSIDE.

    Members
    -------
    coming : In(WORK), what the lanes do in the next cycle
    byte : In(8), the byte that lane 0 reads in this cycle; that of entry GATE is the gate
    work : Out(WORK), what they do in this cycle

    Latency: one cycle from ``coming`` to ``work``. Entry PLANE follows entry GATE in the next cycle.

    Back-pressure: none.
    """

    def __init__(self) -> None:
        super().__init__({"coming": In(WORK), "byte": In(8), "work": Out(WORK)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        gate = Signal(8, reset_less=True)
        with m.If(self.work.entry == Product.GATE):
            m.d.sync += gate.eq(self.byte)
        m.d.sync += self.work.eq(self.coming)
        with m.Switch(self.coming.entry):
            with m.Case(Product.PLANE):
                m.d.sync += self.work.weight.eq(self.byte)
            with m.Case(Product.OUTSIDE):
                m.d.sync += self.work.weight.eq(-gate)
        return m
