"""Walks the reads of a POOL step: channel, row, chunk, window row, read of the window row.

Five nested cursors; the outermost loop that goes on moves its cursor by its distance, and all inner ones
take the result over, so one adder serves them all and there is no bubble anywhere. A read is issued every
cycle and is a request one cycle later.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.cursor import cursor_layout, distance, distance_layout, moved
from dcgen.hw.back.read_path import request_layout
from dcgen.hw.common.record_reader import RECORD, step_field
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters

READ_ROLE = data.StructLayout({"valid": 1, "first": 1, "last": 1})
"""first, last : of a chunk"""

LOOPS = ["x", "row", "chunk", "window"]  # inner to outer; the channel is outside them


class PoolWalker(wiring.Component):
    """start, record, fill -> request and its role. The first read is issued one cycle after ``start``."""

    def __init__(self, parameters: EngineParameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "start": In(1),
                "record": In(RECORD),
                "fill": In(8),
                "request": Out(request_layout(p)),
                "role": Out(READ_ROLE),
                "issuing": Out(1),
            }
        )

    def field(self, name: str) -> Signal:
        return step_field(self.record, name)

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        ring = self.field("in_words")
        cursors = {loop: Signal(cursor_layout(p), name=f"cursor_{loop}") for loop in LOOPS}
        distances = {
            loop: distance(
                m, p, self.field(f"{loop}_words"), self.field(f"{loop}_lanes"), ring, f"distance_{loop}"
            )
            for loop in LOOPS
        }
        base = Signal(bits(p.words))

        # Countdowns, and which loop goes on: the innermost that has not ended.
        counts = {loop: Signal(16, name=f"count_{loop}") for loop in [*LOOPS, "channel"]}
        starts = {
            "x": self.field("x_groups"),
            "row": self.field("taps"),
            "chunk": self.field("out_width"),  # outputs that remain
            "window": self.field("rows"),
            "channel": self.field("outputs"),
        }
        # Each loop's end, and which loop goes on, are registers, found with the countdowns' next values.
        steps = dict.fromkeys(counts, 1) | {"chunk": self.field("chunk_outputs")}
        ends = {loop: Signal(name=f"end_{loop}") for loop in counts}
        single = {loop: Signal(name=f"single_{loop}") for loop in counts}  # it ends where it starts
        m.d.sync += [single[loop].eq(starts[loop] <= steps[loop]) for loop in counts]
        coming_ends = {loop: Signal(name=f"coming_end_{loop}") for loop in counts}
        goes_on = {loop: Signal(name=f"goes_on_{loop}") for loop in counts}
        active, finished = Signal(), Signal()
        m.d.comb += [coming_ends[loop].eq(ends[loop]) for loop in counts]
        m.d.sync += [ends[loop].eq(coming_ends[loop]) for loop in counts]
        inner_ended = self.start | (active & ~finished)
        for loop in counts:
            m.d.sync += goes_on[loop].eq(inner_ended & ~coming_ends[loop])
            inner_ended = inner_ended & coming_ends[loop]
        m.d.sync += finished.eq(inner_ended)

        from_cursor, by = Signal(cursor_layout(p)), Signal(distance_layout(p))
        m.d.comb += [from_cursor.eq(cursors["x"]), by.eq(distances["x"])]
        for loop in LOOPS[1:]:
            with m.If(goes_on[loop]):
                m.d.comb += [from_cursor.eq(cursors[loop]), by.eq(distances[loop])]
        following = moved(m, p, from_cursor, by, "following")
        first = Signal(cursor_layout(p))
        m.d.comb += [first.place.eq(self.field("in_place")), first.lane.eq(self.field("in_lane"))]

        for number, loop in enumerate(LOOPS):
            # This loop's cursor moves when it or one further out goes on.
            for outer in LOOPS[number:]:
                with m.If(goes_on[outer]):
                    m.d.sync += cursors[loop].eq(following)
            with m.If(goes_on["channel"] | self.start):
                m.d.sync += cursors[loop].eq(first)
        with m.If(goes_on["channel"]):
            m.d.sync += base.eq(base + ring)
        loops = list(counts)
        for number, loop in enumerate(loops):
            with m.If(goes_on[loop]):
                m.d.sync += counts[loop].eq(counts[loop] - steps[loop])
                m.d.comb += coming_ends[loop].eq(counts[loop] <= (steps[loop] << 1))
                m.d.sync += [counts[inner].eq(starts[inner]) for inner in loops[:number]]
                m.d.comb += [coming_ends[inner].eq(single[inner]) for inner in loops[:number]]

        # Row and column of the read, for the lanes outside the plane.
        row, row_of_window = Signal(signed(18)), Signal(signed(18))
        column, column_of_chunk = Signal(signed(18)), Signal(signed(18))
        first_row, first_column = self.field("first_row"), self.field("first_column")
        with m.If(goes_on["x"]):
            m.d.sync += column.eq(column + self.field("x_step"))
        with m.If(goes_on["row"]):
            m.d.sync += [row.eq(row + 1), column.eq(column_of_chunk)]
        next_column = Signal(signed(18))
        next_row = Signal(signed(18))
        m.d.comb += [
            next_column.eq(column_of_chunk + self.field("chunk_columns")),
            next_row.eq(row_of_window + self.field("stride_y")),
        ]
        with m.If(goes_on["chunk"]):
            m.d.sync += [column.eq(next_column), column_of_chunk.eq(next_column), row.eq(row_of_window)]
        with m.If(goes_on["window"]):
            m.d.sync += [row.eq(next_row), row_of_window.eq(next_row)]
        with m.If(goes_on["channel"] | self.start):
            m.d.sync += [row.eq(first_row), row_of_window.eq(first_row)]
        with m.If(goes_on["window"] | goes_on["channel"] | self.start):
            m.d.sync += [column.eq(first_column), column_of_chunk.eq(first_column)]

        with m.If(finished):
            m.d.sync += active.eq(0)
        with m.If(self.start):
            m.d.sync += [active.eq(1), base.eq(self.field("in_base"))]
            m.d.sync += [count.eq(starts[loop]) for loop, count in counts.items()]
            m.d.comb += [end.eq(single[loop]) for loop, end in coming_ends.items()]

        request, role = self.request, self.role
        inside = (row >= 0) & (row < self.field("height"))
        m.d.comb += [self.issuing.eq(active), request.fill.eq(self.fill)]
        m.d.sync += [
            role.valid.eq(active),
            role.first.eq((counts["x"] == starts["x"]) & (counts["row"] == starts["row"])),
            role.last.eq(ends["x"] & ends["row"]),
            request.base.eq(base),
            request.place.eq(cursors["x"].place),
            request.lane.eq(cursors["x"].lane),
            request.low.eq(-column),
            request.length.eq(Mux(inside, self.field("in_columns"), 0)),
        ]
        return m
