"""Make the README's figures anew: compile, evaluate and verify every case, then write its tables.

    python -m benchmarks.figures SHARED FOLDER [--only NAME ...]

SHARED is the folder of published weights and photographs; FOLDER takes the outputs, by commit. A case that was
already made of this commit is not made again, so that an interrupted run goes on. Cases that are not there are not
in the tables. docs/figures.json keeps the figures, and the tables are made of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.figures.cases import CASES, Case, dcgen, digits_pictures
from benchmarks.figures.table import README, replaced

ROOT = README.parent
FIGURES = ROOT / "docs" / "figures.json"
INTERVALS = ("agreement_interval", "mean_kl_interval")
EVALUATED = ("n", "agreement", "mean_kl", *INTERVALS, "float", "compressed", "top1_change")
ENGINE = ("lanes", "predicted_cycles", "utilisation", "cycles_by_cause", "memory_words_used")
CHECKED = ("target", "mismatches", "instructions", "flash_bytes", "ram_bytes", "stack_bytes")


def measured(case: Case, data: Path, folder: Path) -> dict[str, Any]:
    """Compile, evaluate and verify a case."""
    digits = folder / "digits-pictures"
    digits_pictures(digits)
    places = {"data": str(data), "digits": str(digits)}
    out = folder / case.name
    arguments = [word.format(**places) for word in case.arguments.split()]
    manifest = json.loads(dcgen("compile", *arguments, "-o", out, "--json"))
    images = Path(case.images.format(**places))
    found = json.loads(dcgen("eval", out, "--images", images, "--labels", images / "labels.txt", "--json"))
    on = [word for machine in case.machines for word in ("--on", machine)]
    checks = []
    if on:
        checks = json.loads(dcgen("verify", out, *on, "--images", images, "--count", 1, "--json"))["checks"]
    return {
        "command": f"dcgen compile {case.arguments}".strip(),
        "parameters": manifest["parameters"],
        "blob_bytes": manifest["blob_bytes"],
        "eval": {key: found[key] for key in EVALUATED},
        "engine": {key: manifest["engine"][key] for key in ENGINE} if "engine" in manifest else None,
        "checks": [{key: check[key] for key in CHECKED} for check in checks],
    }


def commit() -> str:
    """The checkout's commit: all rows are of one."""
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def processor() -> str:
    """The computer's processor, on whose sums in floating point the levels of a network depend a little."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__.split("\n\n")[0])
    parser.add_argument("shared", metavar="SHARED", type=Path)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    names = [case.name for case in CASES]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    arguments = parser.parse_args()
    version = commit()
    folder = arguments.folder / version
    folder.mkdir(parents=True, exist_ok=True)
    cases = {}
    for case in CASES:
        kept = folder / f"{case.name}.json"
        if not kept.exists() and case.name in arguments.only:
            print(f"making {case.name}", file=sys.stderr, flush=True)
            found = measured(case, arguments.shared / "data", folder)
            kept.write_text(json.dumps(found), encoding="utf-8")
        if kept.exists():
            cases[case.name] = json.loads(kept.read_text(encoding="utf-8"))
    figures = {"commit": version, "processor": processor(), "cases": cases}
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    README.write_text(replaced(README.read_text(encoding="utf-8"), figures), encoding="utf-8")


if __name__ == "__main__":
    main()
