"""The tools that verifying needs beside Python packages. Where one is missing, one line says how to install it."""

from __future__ import annotations

import os
import shutil

from dcgen.errors import ToolError
from dcgen.targets import Target


def tools(target: Target) -> dict[str, str]:
    """Programs that verifying on ``target`` needs, each with its Debian package."""
    compiler = f"{target.compiler}gcc" if target.compiler else os.environ.get("CC", "cc").split()[0]
    needed = {"make": "make", compiler: target.package}
    if target.emulator:
        needed[target.emulator.binary] = target.emulator.package
    return needed


def require(target: Target) -> None:
    """Raise ToolError naming the packages to install unless every tool of ``target`` is there."""
    missing = {tool: package for tool, package in tools(target).items() if shutil.which(tool) is None}
    if missing:
        sudo = "" if os.geteuid() == 0 else "sudo "
        packages = " ".join(dict.fromkeys(missing.values()))
        raise ToolError(
            " and ".join(missing),
            f"not found, but verifying on {target.check_name} needs it",
            f"{sudo}apt-get install -y --no-install-recommends {packages}",
        )
