"""The memory of the command list: written over the bus before a start, read by front end and back end."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters


class CommandPort(wiring.Signature):
    """A read port of the command memory, seen from the reader.

    address : Out(bits(command_words)), number of a word
    data : In(32), the word at the address of the cycle before
    """

    def __init__(self, p: EngineParameters) -> None:
        super().__init__({"address": Out(bits(p.command_words)), "data": In(32)})


class CommandWrites(wiring.Signature):
    """The write port of the command memory, seen from the writer.

    enable : Out(1), ``data`` is stored at ``address``
    address : Out(bits(command_words)), number of a word
    data : Out(32)
    """

    def __init__(self, p: EngineParameters) -> None:
        super().__init__({"enable": Out(1), "address": Out(bits(p.command_words)), "data": Out(32)})


class CommandMemory(wiring.Component):
    """``command_words`` words of 32 bits, with a write port and two read ports.

    The front end's port shares its address with the write port: a block RAM has two ports, so three independent
    ones would take twice the memory.

    Parameters
    ----------
    p : sizes of the engine

    Members
    -------
    write : In(CommandWrites), not to be used while the front end runs
    front, back : In(CommandPort), the ports of front end and back end

    Latency: one cycle from address to data.

    Back-pressure: none, each port takes an address a cycle.
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
