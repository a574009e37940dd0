"""How many pictures a second a board can do: what the engine computes and what the host's link carries."""

from __future__ import annotations

from dataclasses import dataclass

from dcgen.encode.blob import Blob
from dcgen.encode.layout import take_apart
from dcgen.hw.boards.board import Board
from dcgen.plan.engine.plan import TENSORS, EnginePlan
from dcgen.quant.qgraph import QGraph

BITS_OF_A_BYTE = 10
"""Bits that a serial line takes for a byte: a start bit, eight of data, a stop bit."""


@dataclass(frozen=True)
class Pace:
    """Estimated pictures a second: the lesser of ``compute`` and ``link``.

    megahertz : of the board's clock
    compute : pictures a second that the engine computes at that clock, where no stream makes it wait
    link : pictures a second that the board's serial port carries, each with the sections that the engine reads for
        it
    bytes : what the serial port carries for one picture
    """

    megahertz: float
    compute: float
    link: float
    bytes: int


def pace(board: Board, plan: EnginePlan, graph: QGraph, blob: Blob, cycles: int) -> Pace:
    """The pace of ``plan`` on ``board``.

    cycles : predicted cycles of one picture
    """
    layout = take_apart(blob.data)
    sections = [s.fields["section_bytes"] for s in layout.sections]
    channels, height, width = graph.input.shape
    sent = channels * height * width
    sent += sum(layout.header["tensors_bytes"] if n == TENSORS else sections[n] for n in plan.program)
    return Pace(board.megahertz, board.megahertz * 1e6 / cycles, board.baud / BITS_OF_A_BYTE / sent, sent)
