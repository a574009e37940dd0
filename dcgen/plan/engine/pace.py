"""How many pictures a second a board may do: what the engine computes, what the host's link carries."""

from __future__ import annotations

from dataclasses import dataclass

from dcgen.encode.blob import Blob
from dcgen.encode.layout import take_apart
from dcgen.hw.boards.board import Board
from dcgen.plan.engine.plan import TENSORS, EnginePlan
from dcgen.quant.qgraph import QGraph

BITS_OF_A_BYTE = 10
"""On a serial line: start, eight of data, stop."""


@dataclass(frozen=True)
class Pace:
    """Pictures a second, estimated: the lesser of ``compute`` and ``link``.

    megahertz : of the board's clock
    compute : at that clock, streams never waiting
    link : through the board's serial port: each picture, and the sections that the engine reads for it
    bytes : that the latter takes a picture
    """

    megahertz: float
    compute: float
    link: float
    bytes: int


def pace(board: Board, plan: EnginePlan, graph: QGraph, blob: Blob, cycles: int) -> Pace:
    """``cycles`` : of one picture, as predicted."""
    layout = take_apart(blob.data)
    sections = [s.fields["section_bytes"] for s in layout.sections]
    channels, height, width = graph.input.shape
    sent = channels * height * width
    sent += sum(layout.header["tensors_bytes"] if n == TENSORS else sections[n] for n in plan.program)
    return Pace(board.megahertz, board.megahertz * 1e6 / cycles, board.baud / BITS_OF_A_BYTE / sent, sent)
