"""Table of a CONV step's taps: loaded from the command memory, asked by the entries of the lists."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.command_memory import CommandPort
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.commands import TAP_FIELDS, TAP_WORDS
from dcgen.hw.contract.parameters import EngineParameters

TAP = data.StructLayout({name: signed(f.width) if f.signed else f.width for name, f in TAP_FIELDS.items()})
"""One tap as its two words are packed, the first one lowest; see ``dcgen.hw.contract.commands.Tap``."""


class TapTable(wiring.Component):
    """Holds up to ``max_taps`` taps.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    start : In(1), pulse that loads the table
    address : In(bits(command_words)), number of the first tap's first command word, with ``start``
    taps : In(8), how many there are, 1 to ``max_taps``; steady until ``done``
    commands : Out(CommandPort), port of the command memory
    done : Out(1), pulse: the table is loaded
    index, tap : In(bits(max_taps)), Out(TAP), look-up, answered in the cycle after it is asked

    Latency: ``tap_load_cycles(taps)`` from ``start`` to ``done``, one cycle from ``index`` to ``tap``.

    Back-pressure: none.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "start": In(1),
                "address": In(bits(p.command_words)),
                "taps": In(8),
                "commands": Out(CommandPort(p)),
                "done": Out(1),
                "index": In(bits(p.max_taps)),
                "tap": Out(TAP),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        total = Signal(9)
        running = Signal()
        asked = Signal(9)  # words asked for
        arriving = Signal()
        number = Signal(9)  # number of the word that arrives
        m.d.comb += total.eq(self.taps << 1)
        m.d.sync += [arriving.eq(0), number.eq(asked), self.done.eq(arriving & (number + 1 == total))]
        with m.If(self.start):
            m.d.sync += [running.eq(1), asked.eq(0), self.commands.address.eq(self.address), arriving.eq(0)]
        with m.Elif(running):
            m.d.sync += [
                running.eq(asked + 1 != total),
                asked.eq(asked + 1),
                self.commands.address.eq(self.commands.address + 1),
                arriving.eq(1),
            ]
        for half in range(TAP_WORDS):
            memory = Memory(shape=32, depth=p.max_taps, init=[])
            m.submodules[f"words_{half}"] = memory
            writer, reader = memory.write_port(), memory.read_port()
            m.d.comb += [
                writer.addr.eq(number[1:]),
                writer.data.eq(self.commands.data),
                writer.en.eq(arriving & (number[0] == half)),
                reader.addr.eq(self.index),
                self.tap.as_value()[32 * half : 32 * half + 32].eq(reader.data),
            ]
        return m
