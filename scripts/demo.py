"""Shows dcgen's main job from start to end, on the network that ships with it: demo.py OUT

Compiles ``digits``, proves its firmware equal to the golden model on this computer and on four emulated boards,
measures its accuracy, and says where everything lies. The digits shown served neither training nor calibration.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

CHECKED = 5  # pictures on each machine for which every byte of every layer is compared
SCRIPTS = Path(__file__).parent
STYLE: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "box": box.SIMPLE_HEAD}


def show(command: list[str]) -> None:
    """Prints a command as one would type it."""
    print(f"\n$ {shlex.join(command)}", flush=True)


def dcgen(*arguments: object) -> Any:
    """The JSON that ``dcgen ARGUMENTS --json`` prints. Its progress is shown; where it fails, the demo ends."""
    words = [str(a) for a in arguments]
    show(["dcgen", *words])
    program = str(Path(sys.executable).parent / "dcgen")
    done = subprocess.run([program, *words, "--json"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"the demo stopped: dcgen {words[0]} failed")
    return json.loads(done.stdout)


def machines_table(checks: list[dict[str, Any]]) -> Table:
    """A row for each machine: bytes compared and differing, instructions, and memory in bytes."""
    table = Table(title="Firmware against golden model, every byte of every layer", **STYLE)
    for heading in ("machine", "bytes", "differ", "instructions", "flash", "RAM", "stack"):
        table.add_column(heading, justify="left" if heading == "machine" else "right", no_wrap=True)
    keys = ("bytes_compared", "mismatches", "instructions", "flash_bytes", "ram_bytes", "stack_bytes")
    for check in checks:
        numbers = (check.get(key) for key in keys)
        table.add_row(check["target"], *("" if n is None else f"{n:,}" for n in numbers))
    return table


def fidelity_table(found: dict[str, Any]) -> Table:
    """Accuracy of the float model and of the emitted C, and how far the two agree."""
    table = Table(title=f"On {found['n']} digits never seen before", **STYLE)
    for heading in ("", "float model", "emitted C"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("top-1", *(f"{found[net]['top1']:.1%}" for net in ("float", "compressed")))
    table.add_row("same answer", "", f"{found['agreement']:.1%}")
    table.add_row("mean KL divergence", "", f"{found['mean_kl']:.4f} nats")
    return table


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: demo.py OUT")
    started = time.perf_counter()
    demo = Path(sys.argv[1])
    pictures, out = demo / "pictures", demo / "digits"
    command = [sys.executable, str(SCRIPTS / "digits_pictures.py"), str(pictures)]
    show(command)
    subprocess.run(command, check=True)
    test = pictures / "test"
    chosen = ("--calibration", pictures / "calibration", "--max-kl", "0.04")
    manifest = dcgen("compile", "digits", *chosen, "-o", out)
    checks = dcgen("verify", out, "--images", test, "--count", CHECKED)["checks"]
    found = dcgen("eval", out, "--images", test, "--labels", test / "labels.txt", "--on", "host")

    console = Console()
    console.print()
    console.print(machines_table(checks))
    console.print(fidelity_table(found))
    parameters, blob = manifest["parameters"], manifest["blob_bytes"]
    print(f"blob: {blob:,} bytes for {parameters:,} parameters, {4 * parameters:,} bytes as float32")
    print(f"{manifest['nonzeros']:,} weights are not zero; {manifest['macs']:,} multiply-accumulates if none were")
    print(f"took {time.perf_counter() - started:.0f} s; {CHECKED} of the digits ran on each machine\n")
    for path, what in (
        (out / "firmware", "C sources to build into a product, README.md says how"),
        (out / "model.dcb", "the network alone"),
        (out / "manifest.json", "every figure, layer by layer"),
        (test, "the digits it had never seen"),
    ):
        print(f"{path!s:28} {what}")


if __name__ == "__main__":
    main()
