"""Engines that gateware is generated for, each of certain sizes, and the boards that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dcgen.hw.boards import board
from dcgen.hw.boards.board import Board
from dcgen.hw.contract.parameters import EngineParameters


@dataclass(frozen=True)
class EngineTarget:
    """An engine of certain sizes.

    name : what ``--target`` takes
    description : one line for people
    parameters : sizes of the engine, the same in simulation and synthesis
    board : board for which a bitstream can be made, None for an engine that is simulated only
    """

    name: str
    description: str
    parameters: EngineParameters
    board: Board | None = None


ULX3S_85F: Final = EngineTarget(
    "ulx3s-85f",
    "sparse-MAC engine of 49 lanes on a ULX3S board (Lattice ECP5-85)",
    EngineParameters(),
    board.ULX3S_85F,
)
SIMULATED: Final = EngineTarget(
    "engine-8",
    "sparse-MAC engine of 8 lanes for small networks, simulated only",
    EngineParameters(
        lanes=8,
        words=2048,
        requantizers=2,
        list_entries=512,
        max_taps=16,
        max_outputs=256,
        max_symbols=1024,
        max_tensors=64,
        command_words=2048,
        picture_bytes=4,
    ),
)
ENGINES: Final[tuple[EngineTarget, ...]] = (ULX3S_85F, SIMULATED)
CHECK_NAME: Final = "rtl"
"""What ``verify --on`` calls the engine of an output, whichever it is."""
