"""Runs the ``dcgen`` command of the checkout as a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import reduction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("--recipe", "deep-compression", "--density", "0.5")
"""Options of the quickest compilation, for tests that are about something else than the compressed network."""
MAIN = "import sys; from dcgen.command.app import main; sys.argv[0] = 'dcgen'; main()"


def dcgen(
    *arguments: object,
    before: str = "",
    cwd: Path | None = None,
    in_child: Callable[[], object] | None = None,
    timeout: float = 1200,
) -> subprocess.CompletedProcess[str]:
    """The finished process of ``dcgen ARGUMENTS``.

    before : Python code that the process runs first, to plant a fault
    in_child : called in the child process before it starts Python, e.g. to set resource limits
    timeout : seconds after which the process is killed
    """
    if not before and in_child is None:
        return _forked([*map(str, arguments)], cwd or Path.cwd(), timeout)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-c", f"{before}\n{MAIN}", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "120"},
        preexec_fn=in_child,
        timeout=timeout,
    )


_SERVER = multiprocessing.get_context("forkserver")
"""A process that has loaded dcgen: a command starts as its fork, a second of processor time sooner."""
_SERVER.set_forkserver_preload(["dcgen.command.app"])


def _forked(arguments: list[str], cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        streams = [reduction.DupFd(stream.fileno()) for stream in (out, error)]
        environment = {**os.environ, "COLUMNS": "120"}
        process = _SERVER.Process(target=_command, args=(arguments, cwd, environment, streams))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout)
        texts = []
        for stream in (out, error):
            stream.seek(0)
            texts.append(stream.read().decode())
    return subprocess.CompletedProcess(arguments, process.exitcode, *texts)


def _command(arguments: list[str], cwd: Path, environment: dict[str, str], streams: list[Any]) -> None:
    """In the fork: the command, its output in ``streams`` as in pipes."""
    from dcgen.command.app import main

    for number, stream in enumerate(streams, 1):
        os.dup2(stream.detach(), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["dcgen", *arguments]
    main()


def dcgen_json(*arguments: object, timeout: float = 1200) -> Any:
    """The JSON object that ``dcgen ARGUMENTS --json`` prints; the command must succeed."""
    done = dcgen(*arguments, "--json", timeout=timeout)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under ``folder`` by relative path."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
