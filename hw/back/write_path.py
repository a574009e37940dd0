"""Writes into the activation memory: their shape, and the conversion of a place into two words.

One write a cycle; ``memory`` and ``trace`` show it one cycle after ``write``.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.activation_memory import byte_lanes, place_signature
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters


def write_layout(p: EngineParameters) -> data.StructLayout:
    """``count`` bytes from word ``base + place``, lane ``lane`` on; place in the ring of ``out_words``.

    last : of the step
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
    """write, bytes, ring -> memory request; ``finished`` with the request of a step's last write."""

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
