"""Delays by registers."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def delay(m: Module, value: Value, cycles: int, name: str, *, reset_less: bool = False) -> Value:
    """``value`` as it was ``cycles`` cycles ago, and 0 in the first ``cycles`` cycles after a reset.

    name : stem of the registers' names
    reset_less : a reset leaves the registers alone, for values that mean nothing without a valid bit of their own
    """
    for number in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{number + 1}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value
