"""The command list's memory: written by the bus before a start, read by the two walkers."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters


class CommandPort(wiring.Signature):
    """A walker's view of the command memory.

    address : word number
    data : 32 bits, the word at the address of the cycle before
    """

    def __init__(self, p: EngineParameters) -> None:
        super().__init__({"address": Out(bits(p.command_words)), "data": In(32)})


class CommandWrites(wiring.Signature):
    """Writes of the command memory, seen from the writer."""

    def __init__(self, p: EngineParameters) -> None:
        super().__init__({"enable": Out(1), "address": Out(bits(p.command_words)), "data": Out(32)})


class CommandMemory(wiring.Component):
    """``command_words`` words of 32 bits with one write port and a read port each for front and back end.

    write : ``data`` is stored at ``address`` in every cycle with ``enable``; not to be used while a walker runs
    front, back : independent, latency one cycle

    The front end's port is the writer's, too: block RAM has two ports, and would be needed twice for three.
    """

    def __init__(self, p: EngineParameters) -> None:
        self._words = p.command_words
        super().__init__({"write": In(CommandWrites(p)), "front": In(CommandPort(p)), "back": In(CommandPort(p))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=32, depth=self._words, init=[])
        writer, front, back = storage.write_port(), storage.read_port(), storage.read_port()
        shared = Signal.like(self.front.address)
        m.d.comb += [
            shared.eq(Mux(self.write.enable, self.write.address, self.front.address)),
            writer.en.eq(self.write.enable),
            writer.addr.eq(shared),
            writer.data.eq(self.write.data),
            front.addr.eq(shared),
            self.front.data.eq(front.data),
            back.addr.eq(self.back.address),
            self.back.data.eq(back.data),
        ]
        return m
