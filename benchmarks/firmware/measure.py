"""Builds a network's firmware for a machine, runs it, and counts what it takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.firmware.network import Network
from benchmarks.firmware.vectors import vector_instructions
from dcgen.errors import ToolError
from dcgen.files import temporary_folder
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import I32
from dcgen.targets import HOST, Target
from dcgen.verify.build import build
from dcgen.verify.elf import footprint
from dcgen.verify.machines import run
from dcgen.verify.records import read_profile, read_results
from dcgen.verify.toolchain import require

HOST_SECONDS = 2.0
"""The last run on the host, which is the one that is timed, takes at least this long."""


@dataclass(frozen=True)
class Measurement:
    """What one picture takes, cold, on an emulated machine.

    target : name of the machine's target
    instructions : from the first of dcg_init to the last score, in a run without a trace
    init : those of dcg_init, which checks the whole blob
    layers : instructions of each node that does any work, by name; from a second run, to a tick of the clock
    flash_bytes, ram_bytes, stack_bytes : as ``dcgen verify`` reports them
    arena_bytes : the arena's part of ``ram_bytes``
    vector_instructions : how many of ``instructions`` are vector instructions; None where the machine has none
    """

    target: str
    instructions: int
    init: int
    layers: Mapping[str, int]
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    stack_bytes: int
    vector_instructions: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "instructions": self.instructions,
            "init_instructions": self.init,
            "layers": dict(self.layers),
            "flash_bytes": self.flash_bytes,
            "ram_bytes": self.ram_bytes,
            "arena_bytes": self.arena_bytes,
            "stack_bytes": self.stack_bytes,
        }


def measure(network: Network, target: Target) -> Measurement:
    """Count what ``network`` takes on ``target``, which is emulated.

    Raises ToolError where a tool is missing or scores differ from the golden model's, PlanError where the network
    does not fit the machine's memory.
    """
    assert target.emulator is not None
    require(target)
    worth = target.emulator.instructions_per_tick
    with temporary_folder("dcgen-benchmark-") as folder:
        network.write(folder / "firmware")
        programs = {n: build(folder / "firmware", target, folder / "build", name=n) for n in ("run", "profile")}
        results = {n: _results(network, target, p, folder / n, 1) for n, p in programs.items()}
        (outcome,) = read_results(results["run"])
        profile = read_profile(results["profile"])
        size = footprint(programs["run"])
        instructions, vectors = round(outcome.ticks * worth), None
        if target.extension == "helium":
            run_once = target, programs["run"], network.picture[None], folder / "vectors"
            vectors = vector_instructions(*run_once, instructions=instructions, intervals=2)
    for scores in (outcome.scores, profile.scores):
        _check(network, target, scores)
    names = [n.name for n in network.graph.nodes]
    return Measurement(
        target.name,
        instructions,
        round(profile.init * worth),
        {names[i]: round(ticks * worth) for i, ticks in sorted(profile.nodes.items())},
        size.flash_bytes,
        size.ram_bytes,
        network.plan.arena_bytes,
        outcome.stack_bytes,
        vectors,
    )


def host_seconds(network: Network) -> float:
    """Seconds that a picture takes on one core of this computer, the emitted C compiled with ``-O3``."""
    require(HOST)
    with temporary_folder("dcgen-benchmark-") as folder:
        network.write(folder / "firmware")
        program = build(folder / "firmware", HOST, folder / "build", optimise="-O3")
        count, seconds = 1, 0.0
        while seconds < HOST_SECONDS:
            started = time.monotonic()
            results = _results(network, HOST, program, folder / str(count), count)
            seconds = time.monotonic() - started
            for outcome in read_results(results):
                _check(network, HOST, outcome.scores)
            pictures, count = count, 2 * count
    return seconds / pictures


def _results(network: Network, target: Target, program: Path, folder: Path, count: int) -> Path:
    folder.mkdir()
    pictures = np.repeat(network.picture[None], count, axis=0)
    return run(target, program, pictures, folder, measured=count, traced=0).results


def _check(network: Network, target: Target, scores: I32 | None) -> None:
    if scores is None or not np.array_equal(scores, execute(network.graph, network.picture[None])[0]):
        raise ToolError(target.check_name, "computes other scores than the golden model", "dcgen verify says more")
