"""UART: 8 data bits, the least significant one first, no parity, one stop bit."""

from __future__ import annotations

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits

FRAME_BITS = 10
"""Start bit, eight data bits, stop bit."""
MIN_DIVISOR = 4
"""Fewest clock cycles of a bit: below, the synchronizer's delay would move the sample out of its bit."""


class UartReceiver(wiring.Component):
    """Turns the line into bytes. A byte without stop bit is dropped.

    Parameters
    ----------
    divisor : clock cycles of a bit, at least 4

    Members
    -------
    rx : In(1), the line, asynchronous to the clock; idle high
    byte, valid : Out(8), Out(1), a byte, valid for one cycle

    Latency: a byte is valid in the middle of its stop bit. Back-pressure: none; bytes cannot be refused.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = checked_divisor(divisor)
        super().__init__({"rx": In(1, init=1), "byte": Out(8), "valid": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)
        timer = Signal(range(self.divisor))
        left = Signal(range(FRAME_BITS + 1))  # bits still to sample, start and stop included; 0 is idle
        shift = Signal(8)
        m.d.comb += self.byte.eq(shift)
        m.d.sync += timer.eq(timer - 1)
        idle = left == 0
        with m.If(idle & ~rx):
            m.d.sync += [left.eq(FRAME_BITS), timer.eq(self.divisor // 2 - 1)]
        with m.Elif(~idle & (timer == 0)):
            m.d.sync += [timer.eq(self.divisor - 1), left.eq(left - 1)]
            with m.If((left == FRAME_BITS) & rx):
                m.d.sync += left.eq(0)  # a glitch, no start bit
            with m.Elif(left == 1):
                m.d.comb += self.valid.eq(rx)
            with m.Else():
                m.d.sync += shift.eq(Cat(shift[1:], rx))  # the start bit falls out at the other end
        return m


class UartTransmitter(wiring.Component):
    """Turns bytes into the line's bits.

    Parameters
    ----------
    divisor : clock cycles of a bit, at least 4

    Members
    -------
    bytes : In(stream of 8 bits)
    tx : Out(1), the line; idle high

    Latency: the start bit begins in the cycle behind the one in which its byte is taken.

    Back-pressure: a byte is taken once the stop bit of the one before has ended.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = checked_divisor(divisor)
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer = Signal(range(self.divisor))
        left = Signal(bits(FRAME_BITS + 1))
        shift = Signal(FRAME_BITS, init=-1)
        m.d.comb += [self.bytes.ready.eq(left == 0), self.tx.eq(shift[0])]
        idle = left == 0
        with m.If(idle & self.bytes.valid):
            m.d.sync += [shift.eq(Cat(0, self.bytes.payload, 1)), left.eq(FRAME_BITS), timer.eq(self.divisor - 1)]
        with m.Elif(~idle & (timer == 0)):
            m.d.sync += [timer.eq(self.divisor - 1), left.eq(left - 1), shift.eq(Cat(shift[1:], 1))]
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
        return m


def checked_divisor(divisor: int) -> int:
    """``divisor``, if the receiver can work with it. Raises ValueError."""
    if divisor < MIN_DIVISOR:
        raise ValueError(f"divisor must be at least {MIN_DIVISOR} clock cycles a bit, not {divisor}")
    return divisor
