"""Writes into the activation memory: their shape, and the conversion of a place in a ring into two words."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.activation_memory import byte_lanes, place_signature
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters


def write_layout(p: EngineParameters) -> data.StructLayout:
    """One write of consecutive bytes.

    valid : this cycle has a write
    base : first word of the channel's plane
    place, lane : where the first byte goes: word of the plane's ring, byte of the word
    count : how many bytes, 1 to P
    last : it is the last write of its step
    """
    return data.StructLayout(
        {
            "valid": 1,
            "base": bits(p.words),
            "place": bits(p.words),
            "lane": bits(p.lanes),
            "count": bits(p.lanes + 1),
            "last": 1,
        }
    )


class WritePath(wiring.Component):
    """Turns writes of all steps into requests to the activation memory.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    write, bytes : In(write_layout), In(P x 8), the write, and its bytes from lane 0 on
    ring : In(16), words of a channel's ring, steady from the cycle before a step's first write to its last
    memory, memory_valid, memory_count, memory_bytes : Out(place_signature), Out(1), Out(bits(P + 1)), Out(P x 8),
        the write port of the activation memory
    finished : Out(1), with the request of a step's last write

    Latency: ``WRITE_PATH_CYCLES``. Back-pressure: none; a write is taken in every cycle.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "write": In(write_layout(p)),
                "bytes": In(byte_lanes(p)),
                "ring": In(16),
                "memory": Out(place_signature(p)),
                "memory_valid": Out(1),
                "memory_count": Out(bits(p.lanes + 1)),
                "memory_bytes": Out(byte_lanes(p)),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        write = self.write
        ring_end = Signal(16)
        m.d.comb += self.memory_bytes.eq(delay(m, self.bytes.as_value(), 1, "bytes", reset_less=True))
        m.d.sync += [
            ring_end.eq(self.ring - 1),
            self.memory.word0.eq(write.base + write.place),
            self.memory.word1.eq(write.base + Mux(write.place == ring_end, 0, write.place + 1)),
            self.memory.lane.eq(write.lane),
            self.memory_valid.eq(write.valid),
            self.memory_count.eq(write.count),
            self.finished.eq(write.valid & write.last),
        ]
        return m
