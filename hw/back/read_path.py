"""Reads P consecutive bytes of a ring, and replaces those that lie outside the plane."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.activation_memory import byte_lanes, place_signature
from dcgen.hw.back.lane_mask import X_BITS, LaneMask
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.back_timing import MEMORY_REQUEST, read_path_cycles
from dcgen.hw.contract.parameters import EngineParameters

PIXEL_BITS = 25
"""Width of a flat pixel's number, which is 24 bits in a record, and of sums of two of them."""


def request_layout(p: EngineParameters) -> data.StructLayout:
    """One read of P consecutive bytes.

    base : first word of the channel's plane
    place, lane : where the first byte is: word of the plane's ring, byte of the word
    low, length : lanes l with low <= l < low + length are inside the plane
    by_column, x_low, x_high, tile_end, list_end : as in ``lane_mask.query_layout``
    fill : byte that the lanes outside read
    """
    return data.StructLayout(
        {
            "base": bits(p.words),
            "place": bits(p.words),
            "lane": bits(p.lanes),
            "low": signed(PIXEL_BITS + 1),
            "length": PIXEL_BITS,
            "by_column": 1,
            "x_low": 8,
            "x_high": X_BITS + 1,
            "tile_end": 1,
            "list_end": 1,
            "fill": 8,
        }
    )


class ReadPath(wiring.Component):
    """Turns requests into reads of the activation memory, and masks what it answers.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    request : In(request_layout), the read
    ring : In(16), words of a channel's ring, steady during a step
    setup, first_x, pitch, x_advance : In(1), In(16), In(16), In(16), those of ``LaneMask``
    memory : Out(place_signature), the read port of the activation memory
    memory_bytes : In(P x 8), its answer
    bytes : Out(P x 8), the bytes read, or ``fill`` in lanes outside the plane

    Latency: ``read_path_cycles(p)`` from ``request`` to ``bytes``, ``MEMORY_REQUEST`` of them before ``memory``.

    Back-pressure: none; a request is taken in every cycle, and answers keep their order.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "request": In(request_layout(p)),
                "ring": In(16),
                "setup": In(1),
                "first_x": In(X_BITS),
                "pitch": In(X_BITS),
                "x_advance": In(X_BITS),
                "memory": Out(place_signature(p)),
                "memory_bytes": In(byte_lanes(p)),
                "bytes": Out(byte_lanes(p)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.mask = mask = LaneMask(p)
        request = self.request
        place_bits = bits(p.words)

        # Cycles 0 and 1: the word behind the first one in its ring; the range of lanes, cut to 0 .. lanes.
        base, following = Signal(place_bits), Signal(place_bits)
        word0 = Signal(place_bits)
        ring_end = Signal(16)
        m.d.sync += [
            ring_end.eq(self.ring - 1),
            base.eq(request.base),
            word0.eq(request.base + request.place),
            following.eq(Mux(request.place == ring_end, 0, request.place + 1)),
            self.memory.word0.eq(word0),
            self.memory.word1.eq(base + following),
            self.memory.lane.eq(delay(m, request.lane, MEMORY_REQUEST - 1, "lane")),
        ]
        low, high = Signal(bits(p.lanes + 1)), Signal(bits(p.lanes + 1))
        above = Signal(signed(PIXEL_BITS + 2))  # low + length
        low_cut = Signal.like(low)
        m.d.sync += [
            low_cut.eq(cut(request.low, p.lanes)),
            above.eq(request.low + request.length),
            low.eq(low_cut),
            high.eq(cut(above, p.lanes)),
        ]

        # The mask is asked two cycles before ``bytes``: one for its answer, one for the register of the masked
        # bytes.
        asking = read_path_cycles(p) - 2
        m.d.comb += [
            mask.setup.eq(self.setup),
            mask.first_x.eq(self.first_x),
            mask.pitch.eq(self.pitch),
            mask.x_advance.eq(self.x_advance),
            mask.query.low.eq(delay(m, low, asking - 2, "low")),
            mask.query.high.eq(delay(m, high, asking - 2, "high")),
        ]
        for name in ["by_column", "x_low", "x_high", "tile_end", "list_end"]:
            m.d.comb += mask.query[name].eq(delay(m, request[name], asking, name))
        fill = delay(m, request.fill, asking + 1, "fill", reset_less=True)
        masked = Signal(byte_lanes(p), reset_less=True)
        m.d.comb += self.bytes.eq(masked)
        for lane in range(p.lanes):
            m.d.sync += masked[lane].eq(Mux(mask.inside[lane], self.memory_bytes[lane], fill))
        return m


def cut(value: Signal, lanes: int) -> Mux:
    """``value`` brought into 0 .. lanes."""
    return Mux(value < 0, 0, Mux(value > lanes, lanes, value[: bits(lanes + 1)]))
