"""Signed multiplier, ``MULTIPLY_CYCLES`` deep: portable, or a vendor's primitive by the same ports.

a, b : signed, at most 18 bits each -> product : signed, both widths together
"""

from __future__ import annotations

from typing import Literal

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.ecp5 import Multiplier18

MultiplierKind = Literal["portable", "ecp5"]


class Multiplier(wiring.Component):
    """One product a cycle."""

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
