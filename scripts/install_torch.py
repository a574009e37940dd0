"""Installs PyTorch for the CPU into this Python's environment; a GPU build would be gigabytes.

First asks pip what it would install, so that nothing large is fetched in vain. If the configured package index
offers a GPU build only, PyTorch's own index of CPU builds is used.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

TORCH = "torch==2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
GPU_PACKAGES = ("nvidia-", "cuda-", "triton", "pytorch-triton")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")


def resolution(*options: str) -> list[str] | None:
    """Names of the packages that ``pip install OPTIONS torch`` would install; None if pip finds no solution."""
    query = subprocess.run(
        [*PIP, "--dry-run", "--only-binary", ":all:", "--report", "-", *options, TORCH],
        capture_output=True,
        text=True,
    )
    if query.returncode != 0:
        return None
    return [package["metadata"]["name"].lower() for package in json.loads(query.stdout)["install"]]


def main() -> None:
    if importlib.util.find_spec("torch"):
        return
    for options in ((), ("--index-url", CPU_INDEX, "--retries", "1")):
        names = resolution(*options)
        if names is not None and not any(name.startswith(GPU_PACKAGES) for name in names):
            print(f"installing {TORCH}, the CPU build", flush=True)
            sys.exit(subprocess.run([*PIP, "--only-binary", ":all:", *options, TORCH]).returncode)
    sys.exit(f"{TORCH}: no CPU build found in the package index or at {CPU_INDEX}")


if __name__ == "__main__":
    main()
