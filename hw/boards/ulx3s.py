"""The ULX3S: the engine behind the board's USB serial port.

LED 0 blinks while the clock runs, at its frequency divided by 2**26. LED 1 is the engine's interrupt. LEDs 2 and 3
are lit while the line from the host and the line to it are low, that is, while bytes come and go.
"""

from __future__ import annotations

from typing import Any

from amaranth.build.run import BuildPlan
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth_boards import ulx3s

from dcgen.hw.boards.board import Board
from dcgen.hw.boards.host_link import add_engine
from dcgen.hw.boards.pll import Pll
from dcgen.hw.contract.parameters import EngineParameters

HEARTBEAT_BITS = 26


class Top(Elaboratable):
    """Engine and clock on the board's pins.

    parameters : sizes of the engine
    board : which ULX3S
    megahertz : frequency of the engine's clock in MHz
    """

    def __init__(self, parameters: EngineParameters, board: Board, megahertz: float) -> None:
        self.parameters, self.board, self.megahertz = parameters, board, megahertz

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        clock = io.Buffer("i", platform.request("clk25", dir="-"))
        uart = platform.request("uart", dir={"rx": "-", "tx": "-", "rts": "-", "dtr": "-"})
        rx, tx = io.Buffer("i", uart.rx), io.Buffer("o", uart.tx)
        leds = [io.Buffer("o", platform.request("led", number, dir="-")) for number in range(4)]
        m.domains.sync = ClockDomain()
        m.submodules += [clock, rx, tx, *leds]
        m.submodules.pll = Pll(clock.i, platform.default_clk_frequency / 1e6, self.megahertz)
        add_engine(m, self.parameters, self.board, self.megahertz, rx.i, tx.o)

        heartbeat = Signal(HEARTBEAT_BITS)
        m.d.sync += heartbeat.eq(heartbeat + 1)
        shown = (heartbeat[-1], m.submodules.engine.irq, ~rx.i, ~m.submodules.transmitter.tx)
        for led, value in zip(leds, shown, strict=True):
            register = Signal()
            m.d.sync += register.eq(value)
            m.d.comb += led.o.eq(register)
        return m


def plan(parameters: EngineParameters, board: Board, megahertz: float) -> BuildPlan:
    """``top.il``, the design without the places of its sources on disk; ``top.lpf``, pins and clocks."""
    platform = getattr(ulx3s, board.platform)()
    return platform.prepare(Top(parameters, board, megahertz), name="top", emit_src=False)
