"""Installs the system packages that the demo or the tests lack: system_packages.py demo|test

As root they are installed through apt; otherwise the command that installs them is printed, and the script fails.
It needs the standard library alone, so that it can run before anything is installed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from dcgen.targets import TARGETS

FOR_TESTS = {"ccache": "ccache", "clang": "clang", "cmake": "cmake", "iverilog": "iverilog"}
APT = ("apt-get", "install", "-y", "--no-install-recommends")


def missing(job: str) -> list[str]:
    """The Debian packages that ``job`` (demo or test) lacks, sorted by name."""
    needed = {"make": "make"}
    for target in TARGETS:
        needed[f"{target.compiler}gcc"] = target.package
        if target.emulator:
            needed[target.emulator.binary] = target.emulator.package
    if job == "test":
        needed |= FOR_TESTS
    packages = {package for program, package in needed.items() if shutil.which(program) is None}
    if importlib.util.find_spec("ensurepip") is None:
        packages.add("python3-venv")
    return sorted(packages)


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036, nothing has checked the version before
        sys.exit(f"Python {sys.version.split()[0]}: dcgen needs 3.11 or newer (make PYTHON=python3.11 ...)")
    if len(sys.argv) != 2 or sys.argv[1] not in ("demo", "test"):
        sys.exit("usage: system_packages.py demo|test")
    packages = missing(sys.argv[1])
    if not packages:
        return
    line = " ".join([*APT, *packages])
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"missing system packages, please run: sudo apt-get update && sudo {line}")
    print(f"installing system packages: {line}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("apt-get", "update", "-qq"), (*APT, "-qq", *packages)):
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
            sys.exit(f"failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
