"""The scores' way out: a queue in which a score has its place before it sets out on the pipeline to it.

So pipelines need not stall where the scores' consumer does.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

DEPTH = 32
"""Scores that the queue holds: more than are on their way while nothing stalls."""

SCORE = data.StructLayout({"data": signed(32), "last": 1})
"""data : int32; last : it is the last score of its step"""


class ScoreQueue(wiring.Component):
    """Holds up to ``DEPTH`` scores, those included that have room reserved and are still on their way.

    Members
    -------
    room : Out(1), there is room for one more score
    reserve : In(1), takes that room; only with ``room``
    push, score : In(1), In(SCORE), a score that has room reserved, in the order of the reservations
    scores : Out(stream of SCORE), the scores
    finished : Out(1), the last score of a step is taken in this cycle

    Latency: ``QUEUE_CYCLES`` from ``push`` to ``scores``.

    Back-pressure: ``push`` cannot be refused; ``room`` is 0 once ``DEPTH`` scores have room and have not been
    taken.
    """

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
