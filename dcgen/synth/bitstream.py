"""The engine as a bitstream: synthesized once, placed and routed from several seeds; with the tools' figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from dcgen.emit.render import render
from dcgen.errors import ConfigError, PlanError, ToolError
from dcgen.files import temporary_folder, write_file
from dcgen.hw.boards.board import Board, Family
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.progress import Progress
from dcgen.synth.tools import YOSYS, Tool, require_amaranth

SEEDS: Final = (1, 2, 3)
"""Seeds of the placer that are tried if none are asked for."""
_SCRIPT: Final = (
    "read_rtlil top.il",
    "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i",  # as tests/rtl/collisions.py shows
    "{synthesis} -top top -run :map_luts",
    "splitnets",  # ABC stumbles over wires of which only some bits are left
    "{synthesis} -top top -run map_luts: -json top.json",
    "tee -q -o stat.json stat -json",
)
"""Yosys's commands, with ``{synthesis}`` for that of the board's family."""


@dataclass(frozen=True)
class Resource:
    """How many cells of a kind the design uses, and how many the device has."""

    used: int
    available: int


@dataclass(frozen=True)
class Placement:
    """The result of one seed.

    fmax_mhz : the highest frequency, in MHz, at which the engine's clock may run after routing
    """

    seed: int
    fmax_mhz: float


@dataclass(frozen=True)
class BitstreamReport:
    """What the tools made of an engine.

    parameters : sizes of the engine, the very ones that it is simulated with
    megahertz : frequency of the engine's clock, which the PLL makes, and which placement was asked to reach
    gateware : check sum of the design, as the function ``gateware`` gives it
    tools : versions by package
    luts : look-up tables after synthesis, to which ``resources`` adds carries and route-throughs
    resources : what the design uses, by the names of the family's ``resources``
    placements : results of all seeds, in their order; ``best`` is the one whose bitstream was written
    sha256 : check sum of the bitstream
    """

    board: Board
    parameters: EngineParameters
    megahertz: float
    gateware: str
    tools: dict[str, str]
    luts: int
    resources: dict[str, Resource]
    placements: tuple[Placement, ...]
    sha256: str = ""

    @property
    def best(self) -> Placement:
        """The fastest placement; among equals the first."""
        return max(self.placements, key=lambda p: p.fmax_mhz)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON has it. It holds no dates and no paths."""
        return {
            "board": self.board.name,
            "device": self.board.device,
            "parameters": {**asdict(self.parameters), "strides": list(self.parameters.strides)},
            "megahertz": self.megahertz,
            "gateware": self.gateware,
            "tools": self.tools,
            "luts": self.luts,
            "resources": {name: asdict(resource) for name, resource in self.resources.items()},
            "seeds": [{"seed": p.seed, "fmax_mhz": p.fmax_mhz} for p in self.placements],
            "best_seed": self.best.seed,
            "fmax_mhz": self.best.fmax_mhz,
            "sha256": self.sha256,
        }


def build(
    parameters: EngineParameters,
    folder: Path,
    *,
    board: Board,
    seeds: Sequence[int] = SEEDS,
    megahertz: float | None = None,
    jobs: int = 1,
    program: Path | None = None,
    progress: Progress,
) -> BitstreamReport:
    """Write the fastest seed's bitstream and the report to ``folder``: ``<board>.bit``, ``.json``, ``.md``.

    seeds : of the placer, at least one
    megahertz : frequency of the engine's clock, None for the board's
    jobs : how many seeds are placed and routed at once, each by a process of about 3 GB
    program : a nextpnr that was built for this machine, None for the package's

    Raises PlanError where the engine does not fit the board or is too slow with every seed; ToolError where a tool
    is missing or fails; ConfigError where there are no seeds or the PLL cannot make the clock; OutputError where
    the files cannot be written.
    """
    if not seeds:
        raise ConfigError("seeds", "expected at least one, found none")
    megahertz = board.megahertz if megahertz is None else megahertz
    family = board.family
    nextpnr = Tool(*family.nextpnr, program=program)
    tools = {"amaranth": require_amaranth()} | {tool.source: tool.version() for tool in (YOSYS, nextpnr)}
    steps = 2 + len(seeds)
    with temporary_folder("dcgen-bitstream-") as work:
        progress("synthesis", 0, steps)
        files = design(parameters, board, megahertz)
        luts = _synthesize(files, family, work)
        placements = []
        resources: dict[str, Resource] = {}
        with ThreadPoolExecutor(jobs) as pool:
            placed = pool.map(lambda seed: _place(nextpnr, board, megahertz, seed, work), seeds)
            for done, seed in enumerate(seeds, 1):
                progress(f"place and route, seed {seed}", done, steps)
                found, resources = next(placed)
                placements.append(Placement(seed, found))
        report = BitstreamReport(
            board, parameters, megahertz, gateware(files), tools, luts, resources, tuple(placements)
        )
        if report.best.fmax_mhz < megahertz:
            found = report.best.fmax_mhz
            raise PlanError(board.name, f"expected {megahertz:g} MHz, the best of the seeds reached {found:g} MHz")
        progress("bitstream", steps - 1, steps)
        names = {"routed": f"seed{report.best.seed}.config", "bitstream": "engine.bit"}
        Tool(*family.packer).run(*(part.format(**names) for part in family.packing), folder=work)
        bitstream = (work / "engine.bit").read_bytes()
    report = replace(report, sha256=hashlib.sha256(bitstream).hexdigest())
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / f"{board.name}.bit", bitstream)
    write_report(report, folder)
    progress("bitstream", steps, steps)
    return report


def write_report(report: BitstreamReport, folder: Path) -> None:
    """Write ``<board>.json`` and ``<board>.md``."""
    name = report.board.name
    write_file(folder / f"{name}.json", (json.dumps(report.to_json(), indent=2) + "\n").encode())
    write_file(folder / f"{name}.md", render("report/bitstream.md.j2", report=report).encode())


def design(parameters: EngineParameters, board: Board, megahertz: float) -> dict[str, bytes]:
    """What the tools are given: ``top.il``, the whole board's gateware, and the file of its pins and clocks.

    Raises ConfigError for a clock that the board cannot make.
    """
    try:
        files = board.plan(parameters, megahertz).files
    except ValueError as e:
        raise ConfigError(board.name, str(e)) from e
    texts = {name: files[name] for name in ("top.il", board.family.pins)}
    return {name: text.encode() if isinstance(text, str) else text for name, text in texts.items()}


def gateware(files: Mapping[str, bytes]) -> str:
    """SHA-256 of a ``design``. It tells whether a report still belongs to the gateware that there is now."""
    return hashlib.sha256(b"".join(files[name] for name in sorted(files))).hexdigest()


def _synthesize(files: Mapping[str, bytes], family: Family, work: Path) -> int:
    """Write ``files`` and the synthesized ``top.json`` to ``work``; the number of look-up tables."""
    for name, text in files.items():
        (work / name).write_bytes(text)
    YOSYS.run("-q", "-p", "; ".join(_SCRIPT).format(synthesis=family.synthesis), folder=work)
    cells = _read_json(work / "stat.json")["design"]["num_cells_by_type"]
    return int(cells.get(family.lut, 0))


def _place(
    nextpnr: Tool, board: Board, megahertz: float, seed: int, work: Path
) -> tuple[float, dict[str, Resource]]:
    """Write ``seed<n>.config`` to ``work``. Returns the highest frequency of the engine's clock, and the cells."""
    family = board.family
    nextpnr.run(
        *board.nextpnr,
        *(part.format(routed=f"seed{seed}.config") for part in family.placing),
        *("--json", "top.json", "--seed", str(seed), "--freq", f"{megahertz:g}", "--report", f"seed{seed}.json"),
        *("--timing-allow-fail", "--quiet"),
        folder=work,
    )
    report = _read_json(work / f"seed{seed}.json")
    clocks = [found["achieved"] for found in report["fmax"].values() if found["constraint"] >= megahertz * 0.999]
    if not clocks:
        raise ToolError(nextpnr.name, "its report has no clock of the engine's frequency")
    cells = report["utilization"]
    resources = {n: Resource(cells[kind]["used"], cells[kind]["available"]) for n, kind in family.resources}
    return round(min(clocks), 2), resources


def _read_json(path: Path) -> Any:
    """Read a report that a tool wrote. Raises ToolError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise ToolError(path.name, f"a tool's report cannot be read: {e}") from e
