"""Walks the reads of a POOL step, in five nested loops.

From outside to inside they go over output channels ("channel"), output rows ("window"), chunks of an output row,
which are as many outputs as one pass over the lanes makes ("chunk"), rows of the windows ("row"), and reads of a
window's row ("x"). Each loop but the first has a cursor, the place of its current iteration. In each cycle one
loop goes on: its cursor moves by its distance, and the cursors of the loops inside take the result over. So one
adder serves them all, and no cycle is lost between loops.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.cursor import cursor_layout, distance, distance_layout, moved
from dcgen.hw.back.read_path import request_layout
from dcgen.hw.back.step_block import StepBlock
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters

READ_ROLE = data.StructLayout({"valid": 1, "first": 1, "last": 1})
"""What a read is: one at all; the first, the last one of its chunk."""

LOOPS = ["x", "row", "chunk", "window"]
"""The loops that have cursors, inner to outer; the channel's is outside them."""


class PoolWalker(StepBlock):
    """Issues a read a cycle.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    start : In(1), pulse; the first read is issued in the next cycle
    record : In(RECORD), the step's, steady from the cycle before ``start`` to the end of the step
    fill : In(8), byte that lanes outside the plane read
    request : Out(request_layout), the read
    role : Out(READ_ROLE), what the read is, in the cycle of ``request``
    issuing : Out(1), a read is issued in this cycle

    Latency: one cycle from ``issuing`` to ``request`` and ``role``.

    Back-pressure: none; there is a read in every cycle from the first to the last.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        p = parameters
        super().__init__(
            p, {"fill": In(8), "request": Out(request_layout(p)), "role": Out(READ_ROLE), "issuing": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        ring = self.field("in_words")
        cursors = {loop: Signal(cursor_layout(p), name=f"cursor_{loop}") for loop in LOOPS}
        distances = {}
        for loop in LOOPS:
            words, lanes = self.field(f"{loop}_words"), self.field(f"{loop}_lanes")
            distances[loop] = distance(m, p, words, lanes, ring, f"distance_{loop}")
        base = Signal(bits(p.words))
        loops = Loops(self)
        active, finished = Signal(), Signal()
        loops.choose(m, self.start, active, finished)
        self.move(m, loops.goes_on, cursors, distances)
        with m.If(loops.goes_on["channel"]):
            m.d.sync += base.eq(base + ring)
        loops.count(m)
        row, column = self.position(m, loops.goes_on)

        with m.If(finished):
            m.d.sync += active.eq(0)
        with m.If(self.start):
            m.d.sync += [active.eq(1), base.eq(self.field("in_base"))]
            loops.restart(m)

        request, role, counts = self.request, self.role, loops.counts
        inside = (row >= 0) & (row < self.field("height"))
        m.d.comb += [self.issuing.eq(active), request.fill.eq(self.fill)]
        m.d.sync += [
            role.valid.eq(active),
            role.first.eq((counts["x"] == loops.starts["x"]) & (counts["row"] == loops.starts["row"])),
            role.last.eq(loops.ends["x"] & loops.ends["row"]),
            request.base.eq(base),
            request.place.eq(cursors["x"].place),
            request.lane.eq(cursors["x"].lane),
            request.low.eq(-column),
            request.length.eq(Mux(inside, self.field("in_columns"), 0)),
        ]
        return m

    def move(self, m: Module, goes_on: dict[str, Signal], cursors: dict, distances: dict) -> None:
        """Move the cursor of the loop that goes on by its distance; the cursors inside it start from there."""
        p = self.parameters
        from_cursor, by = Signal(cursor_layout(p)), Signal(distance_layout(p))
        m.d.comb += [from_cursor.eq(cursors["x"]), by.eq(distances["x"])]
        for loop in LOOPS[1:]:
            with m.If(goes_on[loop]):
                m.d.comb += [from_cursor.eq(cursors[loop]), by.eq(distances[loop])]
        following = moved(m, p, from_cursor, by, "following")
        first = Signal(cursor_layout(p))
        m.d.comb += [first.place.eq(self.field("in_place")), first.lane.eq(self.field("in_lane"))]
        for number, loop in enumerate(LOOPS):
            for outer in LOOPS[number:]:
                with m.If(goes_on[outer]):
                    m.d.sync += cursors[loop].eq(following)
            with m.If(goes_on["channel"] | self.start):
                m.d.sync += cursors[loop].eq(first)

    def position(self, m: Module, goes_on: dict[str, Signal]) -> tuple[Signal, Signal]:
        """Row and column of the plane that lane 0 of the read is in; both may lie outside the plane."""
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
        return row, column


class Loops:
    """Countdowns of the five nested loops, and which of the loops goes on, found a cycle ahead.

    counts : what is left of each loop, this read included: outputs of the loop over chunks, else iterations
    starts : what ``counts`` starts from
    steps : what an iteration takes from ``counts``
    ends : the loop is in its last iteration
    single : the loop has one iteration
    coming_ends : what ``ends`` will be in the next cycle
    goes_on : the loop begins its next iteration in this cycle, all loops inside it being at their ends
    """

    def __init__(self, walker: PoolWalker) -> None:
        names = [*LOOPS, "channel"]
        self.counts = {loop: Signal(16, name=f"count_{loop}") for loop in names}
        fields = dict(x="x_groups", row="taps", chunk="out_width", window="rows", channel="outputs")
        self.starts = {loop: walker.field(name) for loop, name in fields.items()}
        self.steps = dict.fromkeys(names, 1) | {"chunk": walker.field("chunk_outputs")}
        self.ends, self.single, self.coming_ends, self.goes_on = (
            {loop: Signal(name=f"{name}_{loop}") for loop in names}
            for name in ("end", "single", "coming_end", "goes_on")
        )

    def choose(self, m: Module, start: Signal, active: Signal, finished: Signal) -> None:
        """The loop that goes on is the innermost that has not ended; none does after the last read."""
        m.d.sync += [self.single[loop].eq(self.starts[loop] <= self.steps[loop]) for loop in self.counts]
        m.d.comb += [self.coming_ends[loop].eq(self.ends[loop]) for loop in self.counts]
        m.d.sync += [self.ends[loop].eq(self.coming_ends[loop]) for loop in self.counts]
        inner_ended = start | (active & ~finished)
        for loop, coming_end in self.coming_ends.items():
            m.d.sync += self.goes_on[loop].eq(inner_ended & ~coming_end)
            inner_ended = inner_ended & coming_end
        m.d.sync += finished.eq(inner_ended)

    def count(self, m: Module) -> None:
        """Count down the loop that goes on, and start the loops inside it again."""
        for number, loop in enumerate(self.counts):
            inside = list(self.counts)[:number]
            with m.If(self.goes_on[loop]):
                m.d.sync += self.counts[loop].eq(self.counts[loop] - self.steps[loop])
                m.d.comb += self.coming_ends[loop].eq(self.counts[loop] <= (self.steps[loop] << 1))
                m.d.sync += [self.counts[inner].eq(self.starts[inner]) for inner in inside]
                m.d.comb += [self.coming_ends[inner].eq(self.single[inner]) for inner in inside]

    def restart(self, m: Module) -> None:
        """Start all loops."""
        m.d.sync += [count.eq(self.starts[loop]) for loop, count in self.counts.items()]
        m.d.comb += [end.eq(self.single[loop]) for loop, end in self.coming_ends.items()]
