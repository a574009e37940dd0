"""Finds the maximum of each window: over neighbouring lanes of one read, then over the reads of a chunk.

Bytes that come in cycle 0 become the maximum of 1, 2 or 3 neighbours in cycles 0 and 1, and are combined with the
earlier reads of their chunk in cycle 2. In cycle 3 every s-th lane is kept, s being the step's stride, and cycle
``WINDOW_CYCLES`` writes these outputs.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.activation_memory import byte_lanes
from dcgen.hw.back.cursor import cursor_layout, distance, distance_layout, moved
from dcgen.hw.back.pool_walker import READ_ROLE
from dcgen.hw.back.step_block import StepBlock
from dcgen.hw.back.write_path import write_layout
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters


class PoolWindow(StepBlock):
    """Makes the outputs of a POOL step, and says where they go.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    start : In(1), pulse, before the bytes of the step's first read
    record : In(RECORD), the step's, steady from ``start`` to the end of the step
    bytes, role : In(P x 8), In(READ_ROLE), the bytes of a read, and what read of its chunk it is
    write : Out(write_layout), where a chunk's outputs go
    outputs : Out(P x 8), these outputs, the first one in lane 0

    Latency: ``WINDOW_CYCLES`` from a chunk's last bytes to its ``write`` and ``outputs``.

    Back-pressure: none; ``write`` cannot be refused.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        p = parameters
        super().__init__(
            p,
            {
                "bytes": In(byte_lanes(p)),
                "role": In(READ_ROLE),
                "write": Out(write_layout(p)),
                "outputs": Out(byte_lanes(p)),
            },
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        window = self.field("x_window")
        two = self.larger_neighbours(m, list(self.bytes), window > 1, "two")
        three = self.larger_neighbours(m, two, window > 2, "three")

        role = data.View(READ_ROLE, delay(m, self.role.as_value(), 2, "role"))
        chunk = [Signal(8, name=f"chunk_{lane}", reset_less=True) for lane in range(p.lanes)]
        outputs = Signal(byte_lanes(p), reset_less=True)
        m.d.comb += self.outputs.eq(outputs)
        with m.If(role.valid):
            for kept, lane in zip(chunk, three, strict=True):
                m.d.sync += kept.eq(Mux(role.first | (lane > kept), lane, kept))

        with m.Switch(self.field("stride_select")):
            for select, stride in enumerate(p.strides):
                with m.Case(select):
                    m.d.sync += [
                        outputs[number].eq(chunk[number * stride]) for number in range(-(-p.lanes // stride))
                    ]
        m.d.comb += self.write.valid.eq(delay(m, role.valid & role.last, 2, "chunk_done"))
        self.place_writes(m)
        return m

    def larger_neighbours(self, m: Module, lanes: list[Value], enable: Value, name: str) -> list[Signal]:
        """Registers of the maximum of lanes l and l + 1 or, without ``enable``, of lane l alone."""
        registers = []
        for number, lane in enumerate(lanes):
            register = Signal(8, name=f"{name}_{number}", reset_less=True)
            neighbour = lanes[number + 1] if number + 1 < len(lanes) else lane
            m.d.sync += register.eq(Mux(enable & (neighbour > lane), neighbour, lane))
            registers.append(register)
        return registers

    def place_writes(self, m: Module) -> None:
        """The cursor of the output moves chunk by chunk, row by row, channel by channel."""
        p = self.parameters
        ring = self.field("out_words")
        chunk_outputs = self.field("chunk_outputs")
        to_chunk = distance(m, p, 0, chunk_outputs, ring, "to_chunk")
        row_words, row_lanes = (self.field(f"out_row_{part}") for part in ("words", "lanes"))
        to_row = distance(m, p, row_words, row_lanes, ring, "to_row")
        first = Signal(cursor_layout(p))
        m.d.comb += [first.place.eq(self.field("out_place")), first.lane.eq(self.field("out_lane"))]
        cursor, row_cursor = Signal(cursor_layout(p)), Signal(cursor_layout(p))
        base = Signal(bits(p.words))
        columns, rows, channels = Signal(16), Signal(16), Signal(16)  # left, those at work included
        row_end, channel_end = Signal(), Signal()
        by = Signal(distance_layout(p))
        m.d.comb += [
            row_end.eq(columns <= chunk_outputs),
            channel_end.eq(row_end & (rows == 1)),
            by.eq(Mux(row_end, to_row, to_chunk)),
        ]
        start_of = Signal(cursor_layout(p))
        m.d.comb += start_of.eq(Mux(row_end, row_cursor, cursor))
        following = moved(m, p, start_of, by, "following")
        m.d.comb += [
            self.write.base.eq(base),
            self.write.place.eq(cursor.place),
            self.write.lane.eq(cursor.lane),
            self.write.count.eq(Mux(row_end, columns, chunk_outputs)),
            self.write.last.eq(channel_end & (channels == 1)),
        ]
        with m.If(self.write.valid):
            m.d.sync += [cursor.eq(following), columns.eq(columns - chunk_outputs)]
            with m.If(row_end):
                m.d.sync += [row_cursor.eq(following), columns.eq(self.field("out_width")), rows.eq(rows - 1)]
            with m.If(channel_end):
                m.d.sync += [
                    cursor.eq(first),
                    row_cursor.eq(first),
                    rows.eq(self.field("rows")),
                    base.eq(base + ring),
                    channels.eq(channels - 1),
                ]
        with m.If(self.start):
            m.d.sync += [
                cursor.eq(first),
                row_cursor.eq(first),
                base.eq(self.field("out_base")),
                columns.eq(self.field("out_width")),
                rows.eq(self.field("rows")),
                channels.eq(self.field("outputs")),
            ]
