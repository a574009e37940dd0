"""Registers in a row."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def delay(m: Module, value: Value, cycles: int, name: str, *, reset_less: bool = False) -> Value:
    """``value`` as it was ``cycles`` cycles ago (0 in the first ones after reset, unless ``reset_less``).

    reset_less : for what means nothing without a valid bit beside it; a reset need not reach it
    """
    for number in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{number + 1}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value
