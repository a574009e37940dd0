"""The scores' way out: a queue whose room is reserved before a score sets out on its pipeline.

``reserve`` takes room for one score, allowed while ``room``; the score follows with ``push`` some cycles
later, in order. The stream never stalls the pipelines behind it.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

DEPTH = 32
"""More than the scores on their way while nothing stalls."""

SCORE = data.StructLayout({"data": signed(32), "last": 1})
"""last : of its step"""


class ScoreQueue(wiring.Component):
    """reserve, push, score -> room, scores. ``finished`` pulses when the last score has been taken."""

    def __init__(self) -> None:
        super().__init__(
            {
                "room": Out(1),
                "reserve": In(1),
                "push": In(1),
                "score": In(SCORE),
                "scores": Out(stream.Signature(SCORE)),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = SyncFIFOBuffered(width=SCORE.size, depth=DEPTH)
        reserved = Signal(range(DEPTH + 1))
        taken = Signal()
        m.d.comb += [
            self.room.eq(reserved != DEPTH),
            queue.w_data.eq(self.score),
            queue.w_en.eq(self.push),
            self.scores.payload.eq(queue.r_data),
            self.scores.valid.eq(queue.r_rdy),
            taken.eq(self.scores.valid & self.scores.ready),
            queue.r_en.eq(taken),
            self.finished.eq(taken & self.scores.payload.last),
        ]
        m.d.sync += reserved.eq(reserved + self.reserve - taken)
        return m
