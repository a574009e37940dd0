"""SCORES: sums of activations minus their zero point, over whole planes or of single pixels.

The sum over a plane takes a word of P bytes a cycle; the sum of a single pixel takes one lane of a word. All other
lanes read the zero point. So the sum of all P lanes, minus P zero points, is that of the pixels alone. The P lanes
are added in a tree, ``SUM_FAN_IN`` terms between two registers, and then the words of a plane one after the other.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.activation_memory import byte_lanes
from dcgen.hw.back.read_path import request_layout
from dcgen.hw.back.score_queue import SCORE
from dcgen.hw.back.step_block import StepBlock
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.back_timing import SUM_FAN_IN, read_path_cycles, tree_levels
from dcgen.hw.contract.parameters import EngineParameters


class Scores(StepBlock):
    """Issues the reads of a SCORES step, and adds up what they bring.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    start : In(1), pulse; the first read may be issued in the next cycle
    record : In(RECORD), the step's, steady from ``start`` to the end of the step
    zero_in : In(8), zero point of the tensor
    request : Out(request_layout), the read
    bytes : In(P x 8), its answer, ``read_path_cycles(p)`` later
    room : In(1), the score queue has room
    reserve : Out(1), this cycle takes room for one score
    push, score : Out(1), Out(SCORE), the score

    Latency: ``scores_push_cycles(p)`` from the issue of a score's last read to ``push``.

    Back-pressure: the last read of a score waits for ``room``.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        p = parameters
        super().__init__(
            p,
            {
                "zero_in": In(8),
                "request": Out(request_layout(p)),
                "bytes": In(byte_lanes(p)),
                "room": In(1),
                "reserve": Out(1),
                "push": Out(1),
                "score": Out(SCORE),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        issuing, score_end, step_end = self.walk(m)
        self.add(m, issuing, score_end, step_end)
        return m

    def walk(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Issue the reads. Returns whether one is issued, and whether it is the last of a score, of the step."""
        p = self.parameters
        total, ring = self.field("total"), self.field("in_words")
        count, in_place = self.field("count"), self.field("in_place")
        active, issuing, score_end, step_end = Signal(), Signal(), Signal(), Signal()
        base, place = Signal(bits(p.words)), Signal(bits(p.words))
        lane = Signal(bits(p.lanes))
        pixels, channels = Signal(32), Signal(16)  # left, those at work included
        plane_end, word_end = Signal(), Signal()
        m.d.comb += [
            plane_end.eq(pixels <= Mux(total, p.lanes, 1)),
            word_end.eq(total | (lane == p.lanes - 1)),
            score_end.eq(plane_end | ~total),
            step_end.eq(plane_end & (channels == 1)),
            issuing.eq(active & (self.room | ~score_end)),
            self.reserve.eq(issuing & score_end),
        ]
        with m.If(issuing):
            m.d.sync += [pixels.eq(pixels - Mux(total, p.lanes, 1)), lane.eq(lane + ~total)]
            with m.If(word_end):
                m.d.sync += [place.eq(Mux(place + 1 == ring, 0, place + 1)), lane.eq(0)]
            with m.If(plane_end):
                m.d.sync += [
                    pixels.eq(count),
                    place.eq(in_place),
                    lane.eq(0),
                    base.eq(base + ring),
                    channels.eq(channels - 1),
                    active.eq(channels != 1),
                ]
        with m.If(self.start):
            m.d.sync += [
                active.eq(1),
                base.eq(self.field("in_base")),
                place.eq(in_place),
                lane.eq(0),
                pixels.eq(count),
                channels.eq(self.field("outputs")),
            ]
        request = self.request
        m.d.comb += request.fill.eq(self.zero_in)
        m.d.sync += [
            request.base.eq(base),
            request.place.eq(place),
            request.lane.eq(lane),
            request.length.eq(Mux(total, Mux(plane_end, pixels, p.lanes), 1)),
        ]
        return issuing, score_end, step_end

    def add(self, m: Module, issuing: Signal, score_end: Signal, step_end: Signal) -> None:
        """Add up words, then planes; the arguments are those that ``walk`` returns."""
        p = self.parameters
        arrival = 1 + read_path_cycles(p) + tree_levels(p)
        terms = list(self.bytes)
        while len(terms) > 1:
            sums = []
            for first in range(0, len(terms), SUM_FAN_IN):
                total = sum(terms[first : first + SUM_FAN_IN], start=0)
                register = Signal(total.shape(), name=f"sum_{len(terms)}_{first}")
                m.d.sync += register.eq(total)
                sums.append(register)
            terms = sums
        zero_points = Signal(bits(255 * p.lanes + 1))
        shifted = [self.zero_in << bit for bit in range(p.lanes.bit_length()) if p.lanes >> bit & 1]
        m.d.sync += zero_points.eq(sum(shifted))  # P zero points; a product would cost a multiplier
        word = Signal(signed(len(zero_points) + 1))
        m.d.sync += word.eq(terms[0] - zero_points)

        valid = delay(m, issuing, arrival + 1, "issuing")
        end = delay(m, score_end, arrival + 1, "score_end")
        so_far, added = Signal(signed(32)), Signal(signed(32))
        m.d.comb += added.eq(so_far + word)
        with m.If(valid):
            m.d.sync += so_far.eq(Mux(end, 0, added))
        m.d.sync += [
            self.push.eq(valid & end),
            self.score.data.eq(added),
            self.score.last.eq(delay(m, step_end, arrival + 1, "step_end")),
        ]
