"""The list memory, in two halves, where the front end's replay lists meet the back end.

The producer fills one half and publishes it together with its head. The consumer reads the oldest published half,
as often as it likes, and releases it. So a list is replayed while the next one is decoded.
"""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits, entry_layout, head_layout
from dcgen.hw.contract.parameters import EngineParameters


def write_signature(p: EngineParameters) -> wiring.Signature:
    """Writes of entries to the half being filled, seen from the producer.

    enable : Out(1), ``data`` is stored at ``address``
    address : Out(bits(list_entries)), number of an entry
    data : Out(entry_layout)
    """
    return wiring.Signature({"enable": Out(1), "address": Out(bits(p.list_entries)), "data": Out(entry_layout(p))})


def read_signature(p: EngineParameters) -> wiring.Signature:
    """Reads of entries of the oldest published half, seen from the consumer.

    address : Out(bits(list_entries)), number of an entry
    data : In(entry_layout), the entry at the address of the cycle before
    """
    return wiring.Signature({"address": Out(bits(p.list_entries)), "data": In(entry_layout(p))})


class ReplayLists(wiring.Component):
    """Two lists with their heads, first in, first out.

    Parameters
    ----------
    parameters : sizes of the engine; a half holds ``list_entries`` entries

    Members
    -------
    write : In(write_signature), to be used only while ``publish.ready``
    publish : In(stream of head_layout), hands the half being filled over, with its head
    head : Out(stream of head_layout), head of the oldest published half; taking it releases the half
    read : In(read_signature), entries of the oldest published half

    Latency: one cycle from a transfer on ``publish`` to ``head.valid``, from one on ``head`` to ``publish.ready``,
    and from an address to its entry.

    Back-pressure: ``publish.ready`` is 0 while both halves are published, ``head.valid`` while none is.
    """

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

        filling, draining = Signal(), Signal()  # number of the half being filled, and of the oldest published one
        published = Signal(2)  # number of published halves
        full = Signal()  # both halves are published
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
