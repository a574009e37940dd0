"""Boards by name: what the tools must know of them. Plain Python, shared with the compiler."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Board:
    """A board with a Lattice ECP5 that a bitstream can be built for.

    name : as users write it
    variant : of the ULX3S in ``amaranth_boards``, "12F" .. "85F"
    device : the FPGA, with package and speed grade
    nextpnr : options that choose it
    crystal_mhz : the board's clock, from which the PLL makes the engine's
    megahertz : the engine's clock, unless another is asked for
    baud : of the serial port to the host, which picture, blob and scores go through
    block_rams, multipliers, luts : what the FPGA has: DP16KD, MULT18X18D, LUT4
    """

    name: str
    variant: str
    device: str
    nextpnr: tuple[str, ...]
    block_rams: int
    multipliers: int
    luts: int
    crystal_mhz: int = 25
    megahertz: float = 50.0
    baud: int = 1_000_000


def _ulx3s(variant: str, size: str, block_rams: int, multipliers: int, luts: int) -> Board:
    return Board(
        name=f"ulx3s-{variant.lower()}",
        variant=variant,
        device=f"LFE5U-{variant}-6BG381C",
        nextpnr=(f"--{size}", "--package", "CABGA381", "--speed", "6"),
        block_rams=block_rams,
        multipliers=multipliers,
        luts=luts,
    )


# The 12F is the 25F's die with its block RAM and multipliers rated lower; the open tools use all of it.
ULX3S_12F = _ulx3s("12F", "12k", 56, 28, 24_288)
ULX3S_25F = _ulx3s("25F", "25k", 56, 28, 24_288)
ULX3S_45F = _ulx3s("45F", "45k", 108, 72, 43_848)
ULX3S_85F = _ulx3s("85F", "85k", 208, 156, 83_640)
BOARDS = (ULX3S_12F, ULX3S_25F, ULX3S_45F, ULX3S_85F)
