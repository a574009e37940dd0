"""Runs the ``dcgen`` command of the checkout as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
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


def dcgen_json(*arguments: object, timeout: float = 1200) -> Any:
    """The JSON object that ``dcgen ARGUMENTS --json`` prints; the command must succeed."""
    done = dcgen(*arguments, "--json", timeout=timeout)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under ``folder`` by relative path."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
