"""The part of a board's top level that is the same on every board: the engine behind a serial port to the host."""

from __future__ import annotations

from amaranth.hdl import Module, Value
from amaranth.lib import wiring

from dcgen.hw.boards.board import Board
from dcgen.hw.boards.bridge import Bridge
from dcgen.hw.boards.uart import UartReceiver, UartTransmitter
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.engine import Engine


def add_engine(
    m: Module, parameters: EngineParameters, board: Board, megahertz: float, rx: Value, tx: Value
) -> None:
    """Add engine, bridge and UART to a top level.

    m : the top level; its new submodules are ``receiver``, ``transmitter``, ``bridge`` and ``engine``
    parameters : sizes of the engine
    board : gives the serial port's rate and the family's multipliers
    megahertz : frequency of the clock domain ``sync`` in MHz
    rx : 1 bit, the serial line from the host, asynchronous
    tx : 1 bit, assigned to: the serial line to the host
    """
    divisor = round(megahertz * 1e6 / board.baud)
    m.submodules.receiver = receiver = UartReceiver(divisor)
    m.submodules.transmitter = transmitter = UartTransmitter(divisor)
    m.submodules.bridge = bridge = Bridge(parameters.picture_bytes)
    m.submodules.engine = engine = Engine(parameters, board.family.multiplier)
    m.d.comb += [receiver.rx.eq(rx), tx.eq(transmitter.tx)]
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
