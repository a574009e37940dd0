"""The ULX3S: the engine behind the board's USB serial port.

Host bytes reach the engine through ``dcgen.hw.boards.bridge`` at the board's ``baud``. LED 0 beats while the clock
runs, LED 1 is the engine's interrupt, LEDs 2 and 3 are lit while bytes come and go.
"""

from __future__ import annotations

from typing import Any

from amaranth.build.run import BuildPlan
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io, wiring
from amaranth_boards import ulx3s

from dcgen.hw.boards.board import Board
from dcgen.hw.boards.bridge import Bridge
from dcgen.hw.boards.pll import Pll
from dcgen.hw.boards.uart import UartReceiver, UartTransmitter
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.engine import Engine

HEARTBEAT_BITS = 26


class Top(Elaboratable):
    """Engine, bridge, UART and clock on the board's pins."""

    def __init__(self, parameters: EngineParameters, board: Board, megahertz: float) -> None:
        self.parameters, self.board, self.megahertz = parameters, board, megahertz

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        p = self.parameters
        clock = io.Buffer("i", platform.request("clk25", dir="-"))
        uart = platform.request("uart", dir={"rx": "-", "tx": "-", "rts": "-", "dtr": "-"})
        rx, tx = io.Buffer("i", uart.rx), io.Buffer("o", uart.tx)
        leds = [io.Buffer("o", platform.request("led", number, dir="-")) for number in range(4)]
        m.domains.sync = ClockDomain()
        m.submodules += [clock, rx, tx, *leds]
        m.submodules.pll = Pll(clock.i, self.board.crystal_mhz, self.megahertz)

        divisor = round(self.megahertz * 1e6 / self.board.baud)
        m.submodules.receiver = receiver = UartReceiver(divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(divisor)
        m.submodules.bridge = bridge = Bridge(p.picture_bytes)
        m.submodules.engine = engine = Engine(p, "ecp5")
        m.d.comb += [
            *(receiver.rx.eq(rx.i), tx.o.eq(transmitter.tx)),
        ]
        m.d.sync += [bridge.byte.eq(receiver.byte), bridge.valid.eq(receiver.valid)]
        wiring.connect(m, bridge.transmit, transmitter.bytes)
        wiring.connect(m, bridge.bus, engine.bus)
        for ours, its in ((bridge.blob, engine.blob), (bridge.picture, engine.picture)):
            m.d.comb += [its.payload.eq(ours.payload), its.valid.eq(ours.valid), ours.ready.eq(its.ready)]
        m.d.comb += [
            bridge.scores.payload.eq(engine.scores.payload),
            bridge.scores.valid.eq(engine.scores.valid),
            engine.scores.ready.eq(bridge.scores.ready),
        ]

        heartbeat = Signal(HEARTBEAT_BITS)
        m.d.sync += heartbeat.eq(heartbeat + 1)
        for led, value in zip(leds, (heartbeat[-1], engine.irq, ~rx.i, ~transmitter.tx), strict=True):
            register = Signal()
            m.d.sync += register.eq(value)
            m.d.comb += led.o.eq(register)
        return m


def plan(parameters: EngineParameters, board: Board, megahertz: float) -> BuildPlan:
    """Files for the tools: ``top.il``, the design, and ``top.lpf``, pins and clocks; without places of sources."""
    platform = getattr(ulx3s, f"ULX3S_{board.variant}_Platform")()
    return platform.prepare(Top(parameters, board, megahertz), name="top", emit_src=False)
