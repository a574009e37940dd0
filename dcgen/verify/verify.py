"""Builds an emitted firmware for each target, runs it, and compares every byte of every layer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from dcgen.errors import ConfigError
from dcgen.files import temporary_folder
from dcgen.quant.qgraph import U8, QGraph
from dcgen.targets import Target
from dcgen.verify.build import SANITIZERS, build
from dcgen.verify.compare import Check, Comparison, batches, golden
from dcgen.verify.elf import footprint
from dcgen.verify.machines import MachineRun, run
from dcgen.verify.pool import WorkPool
from dcgen.verify.toolchain import require

Progress = Callable[[str], None]
"""Told in words what has just been finished."""


def verify(
    out_dir: Path,
    targets: Sequence[Target],
    pictures: U8,
    graph: QGraph,
    progress: Progress = lambda _: None,
) -> tuple[Check, ...]:
    """One Check per target, in the order of ``targets``.

    out_dir : what ``dcgen compile`` wrote; its ``firmware`` folder is built elsewhere
    pictures : uint8 [N, H, W, C], N >= 1; each goes through every target
    graph : the integer network that the firmware must equal

    progress : told in words what has just been finished

    The host program runs under address and undefined-behaviour sanitizers. The first picture is also run cold and
    untraced; instructions and stack are those of that run.

    Raises ToolError where a tool is missing or fails, PlanError where the model does not fit a machine's memory.
    """
    if not len(pictures):
        raise ConfigError("pictures", "at least one is needed to verify, found none")
    for target in targets:
        require(target)
    stop = threading.Event()
    with WorkPool() as pool, temporary_folder("dcgen-verify-") as folder:
        try:
            return _verify(out_dir / "firmware", targets, pictures, graph, progress, folder, pool, stop)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _verify(
    firmware: Path,
    targets: Sequence[Target],
    pictures: U8,
    graph: QGraph,
    progress: Progress,
    folder: Path,
    pool: WorkPool,
    stop: threading.Event,
) -> tuple[Check, ...]:
    building = [pool.submit(_build, firmware, target, folder / "build") for target in targets]
    programs: list[Path] = []
    for target, built in zip(targets, building, strict=True):
        programs.append(built.result())
        progress(f"{target.check_name}: built")
    comparisons = [Comparison(graph) for _ in targets]
    runs: list[MachineRun] = []
    seconds = [0.0] * len(targets)
    done = 0
    for batch in batches(pictures):
        running: list[Future[MachineRun]] = []
        for target, program in zip(targets, programs, strict=True):
            place = folder / "runs" / target.name
            place.mkdir(parents=True, exist_ok=True)
            measured = 0 if done else 1
            running.append(
                pool.submit(run, target, program, batch, place, measured=measured, traced=len(batch), stop=stop)
            )
        expected = golden(graph, batch)
        done += len(batch)
        runs = []
        for i, (target, future) in enumerate(zip(targets, running, strict=True)):
            runs.append(future.result())
            comparisons[i].add(runs[i], *expected)
            seconds[i] += runs[i].seconds
            progress(f"{target.check_name}: {done} of {len(pictures)} pictures compared")
    checks = []
    for machine_run, comparison, program, s in zip(runs, comparisons, programs, seconds, strict=True):
        size = footprint(program) if machine_run.target.emulator else None
        flash, ram = (size.flash_bytes, size.ram_bytes) if size else (None, None)
        checks.append(comparison.check(machine_run, s, flash, ram))
    return tuple(checks)


def _build(firmware: Path, target: Target, folder: Path) -> Path:
    """The harness program for ``target``; on this computer with sanitizers."""
    if target.emulator:
        return build(firmware, target, folder)
    return build(firmware, target, folder, optimise="-O1", extra_flags=SANITIZERS)
