"""Registers in a row."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def delay(m: Module, value: Value, cycles: int, name: str) -> Value:
    """``value`` as it was ``cycles`` cycles ago (0 in the first ones after reset)."""
    for number in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{number + 1}")
        m.d.sync += register.eq(value)
        value = register
    return value
