"""The command list's memory: written by the bus before a start, read by the two walkers."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.parameters import EngineParameters
from hw.signatures import bits


class ReadPort(wiring.Signature):
    """A walker's view of the command memory.

    address : word number
    data : 32 bits, the word at the address of the cycle before
    """

    def __init__(self, p: EngineParameters) -> None:
        super().__init__({"address": Out(bits(p.command_words)), "data": In(32)})


class CommandMemory(wiring.Component):
    """``command_words`` words of 32 bits with one write port and a read port each for front and back end.

    write : ``data`` is stored at ``address`` in every cycle with ``enable``; not to be used while a walker runs
    front, back : independent, latency one cycle
    """

    def __init__(self, p: EngineParameters) -> None:
        self._words = p.command_words
        write = wiring.Signature({"enable": Out(1), "address": Out(bits(p.command_words)), "data": Out(32)})
        super().__init__({"write": In(write), "front": In(ReadPort(p)), "back": In(ReadPort(p))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=32, depth=self._words, init=[])
        port = storage.write_port()
        m.d.comb += [
            port.en.eq(self.write.enable),
            port.addr.eq(self.write.address),
            port.data.eq(self.write.data),
        ]
        for reader in (self.front, self.back):
            source = storage.read_port()
            m.d.comb += [source.addr.eq(reader.address), reader.data.eq(source.data)]
        return m
