"""Runs plain cocotb test modules (``bench_*.py``) on Amaranth components or Verilog, from pytest.

    def test_adder(tmp_path):
        run_cocotb(Adder(8), "tests/hw/bench_adder.py", folder=tmp_path, environment={"WIDTH": "8"})

The test module sees the ports of the component as attributes of ``dut``, with ``__`` between the names of nested
signatures, and ``clk`` and ``rst`` besides. It may import ``dcgen`` and ``tests``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dcgen.hw.sim import simulator
from dcgen.hw.sim.convert import to_verilog

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("DCGEN_SIM_CACHE", Path(tempfile.gettempdir()) / f"dcgen-sim-{os.getuid()}"))


def run_cocotb(
    design: Any,
    test_module: str,
    *,
    folder: Path,
    top: str = "top",
    sim: str = "icarus",
    environment: Mapping[str, str] | None = None,
    testcase: str | None = None,
    seed: int = 1,
    waves: bool = False,
    ports: Mapping[str, Any] | None = None,
    public_depth: int = 1,
) -> None:
    """Run the tests of a bench on ``design``. Raises SimulationError where one fails.

    design : an Amaranth component, Verilog text, or Verilog files (Path, or a sequence of them)
    test_module : path of the bench from the repository's root
    folder : where the simulator runs and leaves its log, results and waves
    sim : "icarus" or "verilator"; the program is kept by a hash of its sources, for later runs of pytest too
    environment : what the bench reads from os.environ
    public_depth : levels of hierarchy that the bench may look into (Verilator)
    """
    built = build(design, top, sim, waves, ports, public_depth, folder)
    bench = ROOT / test_module
    try:
        simulator.run(
            built,
            bench.stem,
            folder,
            python_path=(bench.parent, ROOT),
            environment=environment,
            testcase=testcase,
            seed=seed,
            waves=waves,
        )
    except simulator.SimulationError as e:
        pytest.fail(str(e), pytrace=False)


def build(
    design: Any,
    top: str,
    sim: str,
    waves: bool,
    ports: Mapping[str, Any] | None,
    public_depth: int,
    folder: Path,
) -> simulator.Build:
    """``design`` built in the shared cache."""
    if isinstance(design, Path):
        sources = [design]
    elif isinstance(design, tuple | list):
        sources = list(design)
    else:
        text = design if isinstance(design, str) else to_verilog(design, top, ports)
        folder.mkdir(parents=True, exist_ok=True)
        sources = [folder / f"{top}.v"]
        sources[0].write_text(text)
    # Such a bench runs for less time than a compiler takes to optimise it for speed.
    return simulator.build(sim, sources, top, CACHE, public_depth=public_depth, waves=waves, optimise="-O1")
