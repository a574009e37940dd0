"""A signed multiplier, in portable form or as a vendor's primitive, with the same ports and latency."""

from __future__ import annotations

from typing import Literal

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.ecp5 import Multiplier18

MultiplierKind = Literal["portable", "ecp5"]
"""How multipliers are built: by synthesis from a product, or as the Lattice ECP5's primitive."""


class Multiplier(wiring.Component):
    """Multiplies two signed numbers.

    Parameters
    ----------
    a_bits, b_bits : widths of the factors, at most 18; ValueError if one is wider
    kind : how the multiplier is built

    Members
    -------
    a, b : In(signed(a_bits)), In(signed(b_bits)), the factors
    product : Out(signed(a_bits + b_bits)), their product

    Latency: ``back_timing.MULTIPLY_CYCLES``.

    Back-pressure: none, a product a cycle.
    """

    def __init__(self, a_bits: int, b_bits: int, kind: MultiplierKind = "portable") -> None:
        if max(a_bits, b_bits) > 18:
            raise ValueError(f"factors of {a_bits} and {b_bits} bits, expected at most 18")
        self.kind = kind
        super().__init__(
            {"a": In(signed(a_bits)), "b": In(signed(b_bits)), "product": Out(signed(a_bits + b_bits))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.kind == "ecp5":
            m.submodules.primitive = primitive = Multiplier18()
            m.d.comb += [primitive.a.eq(self.a), primitive.b.eq(self.b), self.product.eq(primitive.product)]
            return m
        a, b = Signal.like(self.a), Signal.like(self.b)
        m.d.sync += [a.eq(self.a), b.eq(self.b), self.product.eq(a * b)]
        return m
