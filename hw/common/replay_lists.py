"""Double-buffered list memory: where the front end's lists of weights meet the back end.

The memory has two halves of ``list_entries`` entries. The producer fills one and publishes it together
with its head; the consumer reads the oldest published half any number of times and releases it.

* ``publish.ready`` is 1 while the half being filled is free; entries may be written only then. The
  handshake hands the half over: ``head.valid`` is 1 in the next cycle.
* The handshake on ``head`` releases the oldest half: ``publish.ready`` is 1 in the next cycle.
* ``read``: ``data`` is the entry of the oldest published half at the address of the cycle before.
"""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits, entry_layout, head_layout
from dcgen.hw.contract.parameters import EngineParameters


def write_signature(p: EngineParameters) -> wiring.Signature:
    """Entries into the half being filled, seen from the producer."""
    return wiring.Signature({"enable": Out(1), "address": Out(bits(p.list_entries)), "data": Out(entry_layout(p))})


def read_signature(p: EngineParameters) -> wiring.Signature:
    """Entries of the oldest published half, seen from the consumer."""
    return wiring.Signature({"address": Out(bits(p.list_entries)), "data": In(entry_layout(p))})


class ReplayLists(wiring.Component):
    """Two lists with their heads, first in, first out."""

    def __init__(self, parameters: EngineParameters) -> None:
        self.parameters = parameters
        super().__init__(
            {
                "write": In(write_signature(parameters)),
                "publish": In(stream.Signature(head_layout(parameters))),
                "head": Out(stream.Signature(head_layout(parameters))),
                "read": In(read_signature(parameters)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.entries = entries = Memory(shape=entry_layout(p), depth=2 << bits(p.list_entries), init=[])
        writer, reader = entries.write_port(), entries.read_port()

        filling, draining = Signal(), Signal()  # halves
        published = Signal(2)  # how many
        full = Signal()  # both
        heads = Array(Signal(head_layout(p), name=f"head_{half}") for half in range(2))
        put = self.publish.valid & self.publish.ready
        take = self.head.valid & self.head.ready

        m.d.comb += [
            self.publish.ready.eq(~full),
            self.head.valid.eq(published != 0),
            self.head.payload.eq(heads[draining]),
            writer.en.eq(self.write.enable),
            writer.addr.eq(Cat(self.write.address, filling)),
            writer.data.eq(self.write.data),
            reader.addr.eq(Cat(self.read.address, draining)),
            self.read.data.eq(reader.data),
        ]
        m.d.sync += [published.eq(published + put - take), full.eq(~take & Mux(put, published == 1, full))]
        with m.If(put):
            m.d.sync += [heads[filling].eq(self.publish.payload), filling.eq(~filling)]
        with m.If(take):
            m.d.sync += draining.eq(~draining)
        return m
