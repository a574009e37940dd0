"""Reads the blob's tensors section, and keeps each tensor's zero point and the input's pad bytes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.blob_format import Cause
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.bit_reader import CONSUMER

MAX_CHANNELS = 16
"""Most channels of the network's input."""
INFINITY = 0x7F800000
"""Bits of a float32. The positive finite numbers are the patterns from 1 to one less."""


class TensorTableReader(wiring.Component):
    """Stores the section's zero points and pad bytes for look-ups.

    Parameters
    ----------
    p : sizes of the engine; ``max_tensors`` zero points are kept

    Members
    -------
    start : In(1), pulse; the bit reader stands at the section's first word
    tensors, channels : In(16), tensors of the network, channels of its input; steady from ``start`` to ``done``
    bits, valid, consume, waiting : see ``CONSUMER``
    done : Out(1), pulse behind the section's last word
    cause : Out(8), a defect in this cycle, ``Cause.NONE`` if there is none
    tensor, zero_point : In(bits(max_tensors)), Out(8), number of a tensor; its zero point, in the cycle after
    pad_index, pad : In(4), Out(8), number of an input's channel; its pad byte, in the cycle after

    Latency: a cycle a word, two words a tensor and one for four channels.

    Back-pressure: a word is taken in each cycle that has one.
    """

    def __init__(self, p: EngineParameters) -> None:
        self._p = p
        super().__init__(
            {
                "start": In(1),
                "tensors": In(16),
                "channels": In(16),
                **CONSUMER,
                "done": Out(1),
                "cause": Out(8),
                "tensor": In(bits(p.max_tensors)),
                "zero_point": Out(8),
                "pad_index": In(bits(MAX_CHANNELS)),
                "pad": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pad_word = data.ArrayLayout(8, 4)
        m.submodules.zeros = zeros = Memory(shape=8, depth=self._p.max_tensors, init=[])
        m.submodules.pads = pads = Memory(shape=pad_word, depth=MAX_CHANNELS // 4, init=[])
        zero_in, zero_out = zeros.write_port(), zeros.read_port()
        pad_in, pad_out = pads.write_port(), pads.read_port()
        lane = Signal(2)
        m.d.sync += lane.eq(self.pad_index[:2])
        m.d.comb += [zero_out.addr.eq(self.tensor), self.zero_point.eq(zero_out.data)]
        m.d.comb += [pad_out.addr.eq(self.pad_index[2:]), self.pad.eq(pad_out.data[lane])]

        index = Signal(16)
        m.d.comb += [zero_in.addr.eq(index), zero_in.data.eq(self.bits)]
        m.d.comb += [pad_in.addr.eq(index[2:]), pad_in.data.eq(self.bits)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += index.eq(0)
                with m.If(self.start):
                    m.next = "SCALE"
            with m.State("SCALE"):
                m.d.comb += [self.waiting.eq(1), self.consume.eq(32)]
                with m.If((self.tensors > self._p.max_tensors) | (self.channels > MAX_CHANNELS)):
                    m.d.comb += self.cause.eq(Cause.CAPACITY)
                with m.Elif(self.valid & ((self.bits == 0) | (self.bits >= INFINITY))):
                    m.d.comb += self.cause.eq(Cause.HEADER)
                with m.If(self.valid):
                    m.next = "ZERO POINT"
            with m.State("ZERO POINT"):
                m.d.comb += [self.waiting.eq(1), self.consume.eq(32), zero_in.en.eq(self.valid)]
                with m.If(self.valid):
                    m.d.sync += index.eq(index + 1)
                    m.next = "SCALE"
                    with m.If(self.bits[8:] != 0):
                        m.d.comb += self.cause.eq(Cause.HEADER)
                    with m.If(index + 1 == self.tensors):
                        m.d.sync += index.eq(0)
                        m.next = "PADS"
            with m.State("PADS"):
                m.d.comb += [self.waiting.eq(1), self.consume.eq(32), pad_in.en.eq(self.valid)]
                unused = Cat((index + i >= self.channels).replicate(8) for i in range(4))
                with m.If(self.valid):
                    m.d.sync += index.eq(index + 4)
                    with m.If((self.bits & unused) != 0):
                        m.d.comb += self.cause.eq(Cause.HEADER)
                    with m.If(index + 4 >= self.channels):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m
