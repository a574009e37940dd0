"""Runs a harness program, on this computer or in an emulator, and returns what it wrote."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from dcgen.errors import ToolError
from dcgen.quant.qgraph import U8
from dcgen.targets import Target
from dcgen.verify.records import write_request

PICTURE_TIMEOUT = 600.0
"""Seconds that one picture may take. A full SqueezeNet takes about 20 in an emulator."""
_POLL = 0.2
"""Seconds between two looks at whether the program is to be stopped."""


@dataclass(frozen=True)
class MachineRun:
    """A finished harness program.

    results : the records it wrote, to be read by ``read_results``
    pictures : how many it was given
    measured, traced : how many of the first pictures it was asked to measure and to trace
    seconds : that it ran
    """

    target: Target
    results: Path
    pictures: int
    measured: int
    traced: int
    seconds: float


def run(
    target: Target,
    program: Path,
    pictures: U8,
    folder: Path,
    *,
    measured: int,
    traced: int,
    stop: threading.Event | None = None,
    picture_timeout: float = PICTURE_TIMEOUT,
) -> MachineRun:
    """Run ``program`` on pictures uint8 [N, H, W, C] in ``folder``, which exists and nothing else uses.

    measured, traced : how many of the first pictures to measure and to trace
    stop : when set, the program is killed and ToolError raised
    picture_timeout : seconds that one picture may take

    Raises ToolError when the program crashes or takes too long. That the runtime ends a run with an error status
    is no crash: the results say so.
    """
    write_request(folder / "pictures.bin", pictures, measured=measured, traced=traced)
    command = target.emulator.command(str(program)) if target.emulator else (str(program),)
    limit = picture_timeout * (measured + traced + 1)
    started = time.monotonic()
    code, output = _finish(target, command, folder, started + limit, stop or threading.Event())
    results = folder / "results.bin"
    if code != 0 or not results.is_file():
        raise ToolError(target.check_name, f"the program failed with code {code}: {_reason(output)}")
    return MachineRun(target, results, len(pictures), measured, traced, time.monotonic() - started)


def _finish(
    target: Target, command: tuple[str, ...], folder: Path, deadline: float, stop: threading.Event
) -> tuple[int, str]:
    """Exit code and output of the command, which is killed at the monotonic time ``deadline``."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        while True:
            try:
                output, _ = process.communicate(timeout=_POLL)
                return process.returncode, output
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    raise ToolError(target.check_name, "was interrupted") from None
                if time.monotonic() > deadline:
                    raise ToolError(target.check_name, "the program did not end in time") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _reason(output: str) -> str:
    """The line of a program's output that says why it died: a sanitizer's, else the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "ERROR: " in line or "runtime error:" in line]
    return (telling[:1] or lines[-1:] or ["it printed nothing"])[0]
