"""Builds the programs of an emitted firmware folder with its own Makefile, outside that folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from dcgen.errors import OutputError, PlanError, ToolError
from dcgen.targets import Target

SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
_OVERFLOW = re.compile(r"region [`'\"]?(\w+)'? overflowed by (\d+) bytes")


def build(
    firmware: Path,
    target: Target,
    folder: Path,
    *,
    optimise: str = "-O2",
    extra_flags: str = "",
    compiler: str = "",
    name: str = "run",
) -> Path:
    """Build a harness program and return its ELF file.

    firmware : the emitted folder, which is left as it is
    folder : where to build. The sources are copied to a subfolder for each target and built there under relative
        names, as make cannot take a path with spaces.
    optimise, extra_flags : compiler flags, given as make variables OPTIMISE and CFLAGS_EXTRA
    compiler : command, with flags, that compiles for an emulated machine in place of its GCC: make's DEVICE_CC
    name : of the program: ``run``, or on an emulated machine also ``profile``

    Raises PlanError where the model does not fit the machine's memory, ToolError where the build
    fails otherwise, OutputError where ``firmware`` is no firmware folder.
    """
    if not (firmware / "Makefile").is_file():
        raise OutputError(firmware, "no firmware folder here, expected its Makefile", "run dcgen compile first")
    copy = folder.resolve() / target.name
    shutil.copytree(firmware, copy, dirs_exist_ok=True)
    program = f"build/{target.name}/{name}.elf"
    variables = ("BUILD=build", f"OPTIMISE={optimise}", f"CFLAGS_EXTRA={extra_flags}", f"DEVICE_CC={compiler}")
    done = subprocess.run(
        ["make", "-s", "-C", str(copy), *variables, program],
        env={**os.environ, "TMPDIR": str(copy)},  # a compiler that is killed leaves its files there
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return copy / program
    if overflow := _OVERFLOW.search(done.stdout):
        region, excess = overflow.groups()
        raise PlanError(target.check_name, f"the model needs {excess} bytes more {region} than the machine has")
    raise ToolError(target.check_name, f"building the firmware failed: {_reason(done.stdout)}")


def _reason(output: str) -> str:
    """The first line of a compiler's or linker's output that says what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"\berror\b|undefined reference|cannot find", line)]
    return (telling or lines or ["make gave no reason"])[0]
