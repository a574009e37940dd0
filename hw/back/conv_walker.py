"""Walks the lists of a CONV step: for each output channel, for each tile, every entry of the channel's list.

An entry is a read of P bytes, and a weight to multiply them with. If it is issued in cycle 0, the list memory
shows it in cycle 1, it asks the tap table in 2 and gets its tap in 3, its place in the ring is found in 4 and 5,
and it is a read request in cycle ``CONV_REQUEST_CYCLES``.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.mac_lanes import WORK
from dcgen.hw.back.read_path import PIXEL_BITS, request_layout
from dcgen.hw.back.step_block import StepBlock
from dcgen.hw.back.tap_table import TAP
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.replay_lists import read_signature
from dcgen.hw.common.signatures import bits, head_layout
from dcgen.hw.contract.back_timing import CONV_REQUEST_CYCLES
from dcgen.hw.contract.parameters import EngineParameters


class ConvWalker(StepBlock):
    """Issues an entry a cycle as a read request with its weight.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    start : In(1), pulse; tap table and lane columns are ready, and the first entry may be issued in the next cycle
    record : In(RECORD), the step's, steady from ``start`` to the end of the step
    head : In(stream of head_layout), head of the oldest list, released with the last entry of its last tile
    list : Out(read_signature), entries of the oldest list
    tap_index, tap : Out(bits(max_taps)), In(TAP), look-up in the tap table, which answers a cycle later
    raw_done : In(1), pulse of ``Drain``: a tile's raw scores have all set out
    request : Out(request_layout), the read
    work : Out(WORK), what the lanes do with its bytes, in the cycle of ``request``
    list_start : Out(1), the first entry of an output channel is issued; ``head.payload`` is the channel's head
    issuing : Out(1), an entry is issued in this cycle
    waiting_list : Out(1), none is issued, as the next list is not published yet
    waiting_drain : Out(1), none is issued, as the shadow accumulators still hold an earlier tile

    Latency: ``CONV_REQUEST_CYCLES`` from an entry's issue to ``request`` and ``work``.

    Back-pressure: ``request`` cannot be refused. The last entry of a tile waits until the shadow accumulators are
    free, which is ``groups`` cycles after the last entry of the tile before or, in a raw step, when ``raw_done``
    has come.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        p = parameters
        super().__init__(
            p,
            {
                "head": In(stream.Signature(head_layout(p))),
                "list": Out(read_signature(p)),
                "tap_index": Out(bits(p.max_taps)),
                "tap": In(TAP),
                "raw_done": In(1),
                "request": Out(request_layout(p)),
                "work": Out(WORK),
                "list_start": Out(1),
                "issuing": Out(1),
                "waiting_list": Out(1),
                "waiting_drain": Out(1),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tile_end, list_end = self.issue(m)
        self.address(m, tile_end, list_end)
        return m

    def issue(self, m: Module) -> tuple[Signal, Signal]:
        """Cycle 0: count entries, tiles and channels. Returns whether the entry issued ends its tile, its list."""
        p, head = self.parameters, self.head
        running, raw_pending = Signal(), Signal()
        entry = Signal(bits(p.list_entries))
        tiles, tile = Signal(16), Signal(16)
        outputs = Signal(16)  # that remain
        spacing = Signal(range(p.groups))  # cycles until the shadow accumulators are free
        tile_end, list_end = Signal(), Signal()
        tile_may_end = Signal()
        m.d.comb += [
            self.list.address.eq(entry),
            tile_end.eq(entry + 1 == head.payload.entries),
            list_end.eq(tile + 1 == tiles),
            tile_may_end.eq((spacing == 0) & ~raw_pending),
            self.issuing.eq(running & head.valid & (tile_may_end | ~tile_end)),
            self.waiting_list.eq(running & ~head.valid),
            self.waiting_drain.eq(running & head.valid & ~tile_may_end & tile_end),
            self.list_start.eq(self.issuing & (entry == 0) & (tile == 0)),
            head.ready.eq(self.issuing & tile_end & list_end),
        ]
        with m.If(spacing != 0):
            m.d.sync += spacing.eq(spacing - 1)
        with m.If(self.raw_done):
            m.d.sync += raw_pending.eq(0)
        with m.If(self.issuing):
            m.d.sync += entry.eq(entry + 1)
            with m.If(tile_end):
                m.d.sync += [
                    entry.eq(0),
                    tile.eq(tile + 1),
                    spacing.eq(p.groups - 1),
                    raw_pending.eq(self.field("raw")),
                ]
                with m.If(list_end):
                    m.d.sync += [tile.eq(0), outputs.eq(outputs - 1), running.eq(outputs != 1)]
        with m.If(self.start):
            m.d.sync += [
                running.eq(1),
                entry.eq(0),
                tile.eq(0),
                tiles.eq(self.field("tiles")),
                outputs.eq(self.field("outputs")),
            ]
        return tile_end, list_end

    def address(self, m: Module, tile_end: Signal, list_end: Signal) -> None:
        """Cycles 1 to 5: from the entry to its read request. Names end in the cycle that a signal belongs to."""
        p = self.parameters
        request = self.request
        place_bits = bits(p.words)
        ring = self.field("in_words")

        entry2 = delay(m, self.list.data, 1, "entry")
        tap4 = Signal(TAP)
        m.d.comb += self.tap_index.eq(entry2.tap)
        m.d.sync += tap4.eq(self.tap)
        weight4 = delay(m, entry2.weight, 2, "weight")
        channel4 = delay(m, entry2.channel, 2, "channel")
        valid4 = delay(m, self.issuing, 4, "valid")
        tile_end4 = delay(m, self.issuing & tile_end, 4, "tile_end")
        list_end4 = delay(m, list_end, 4, "list_end")

        # Cycle 4: the tile's place and first pixel, counted again here, so that they need no pipeline registers.
        place, pixel = Signal(place_bits), Signal(PIXEL_BITS)
        with m.If(tile_end4):
            m.d.sync += [place.eq(Mux(place + 1 == ring, 0, place + 1)), pixel.eq(pixel + p.lanes)]
        with m.If(self.start | (tile_end4 & list_end4)):
            m.d.sync += [place.eq(self.field("in_place")), pixel.eq(self.field("first_pixel"))]
        moved = Signal(signed(18))
        right = Signal(signed(18))
        width = self.field("width")
        m.d.comb += right.eq(width - tap4.dx)
        m.d.sync += moved.eq(place + tap4.words)
        base5 = Signal(place_bits)
        low5 = Signal(signed(PIXEL_BITS + 1))
        x_low5, x_high5 = Signal(8), Signal(17)
        lane5 = Signal(bits(p.lanes))
        m.d.sync += [
            base5.eq(tap4.base + channel4),
            low5.eq(tap4.row_offset - pixel),
            x_low5.eq(Mux(tap4.dx < 0, -tap4.dx, 0)),
            x_high5.eq(Mux(right < 0, 0, right)),
            lane5.eq(tap4.lane),
        ]

        # Cycle 5: a place outside the ring is brought back into it; it is less than one turn away.
        m.d.sync += [
            request.place.eq(Mux(moved < 0, moved + ring, Mux(moved >= ring, moved - ring, moved))),
            request.base.eq(base5),
            request.low.eq(low5),
            request.x_low.eq(x_low5),
            request.x_high.eq(x_high5),
            request.lane.eq(lane5),
        ]
        tile_end6, list_end6 = delay(m, tile_end4, 2, "tile_end4"), delay(m, list_end4, 2, "list_end4")
        m.d.comb += [
            request.length.eq(self.field("plane_pixels")),
            request.by_column.eq(1),
            request.tile_end.eq(tile_end6),
            request.list_end.eq(list_end6),
            request.fill.eq(delay(m, self.head.payload.zero_in, CONV_REQUEST_CYCLES, "fill")),
            self.work.valid.eq(delay(m, valid4, 2, "valid4")),
            self.work.weight.eq(delay(m, weight4, 2, "weight4")),
            self.work.tile_end.eq(tile_end6),
            self.work.list_end.eq(list_end6),
        ]
