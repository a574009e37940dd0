"""The README's tables, from the file of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures.cases import CASES

BEGIN, END = "<!-- figures: python -m benchmarks.figures -->", "<!-- end of figures -->"
"""The lines of the README between which its tables stand."""
README = Path(__file__).resolve().parents[2] / "README.md"
NAMES = {
    "qemu-cortex-m4": "Cortex-M4",
    "qemu-cortex-m7": "Cortex-M7",
    "qemu-cortex-m55": "Cortex-M55",
    "qemu-riscv32": "RV32IMAC",
}


def tables(figures: Mapping[str, Any]) -> str:
    """The tables as Markdown, and a line that says of what version and processor they are."""
    rows = [(case, figures["cases"][case.name]) for case in CASES if case.name in figures["cases"]]
    fidelity = [_fidelity(case.title, row) for case, row in rows]
    machines = [
        (f"{case.title}, {row['blob_bytes']:,} bytes" if number == 0 else "", *_machine(check))
        for case, row in rows
        for number, check in enumerate(row["checks"])
    ]
    engines = [_engine(case.title, row["engine"]) for case, row in rows if row["engine"]]
    head = ("network", "parameters", "blob, bytes", "float top-1", "compressed top-1", "agreement", "mean KL", "n")
    work = ("file", "machine (QEMU)", "instructions", "flash, bytes", "RAM, bytes", "stack, bytes")
    lanes = ("network", "lanes", "cycles", "utilisation", "multiply", "pool and copy", "load", "wait for weights")
    made = f"All rows: commit {figures['commit']}, computed on {figures['processor']}."
    found = (_table(head, fidelity), _table(work, machines), _table(lanes, engines))
    return "\n\n".join((*("\n".join(table) for table in found), made))


def _fidelity(title: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    found = row["eval"]
    low, high = found["mean_kl_interval"]
    return (
        title,
        f"{row['parameters']:,}",
        f"{row['blob_bytes']:,}",
        f"{100 * found['float']['top1']:.1f} %",
        f"{100 * found['compressed']['top1']:.1f} %",
        f"{100 * found['agreement']:.1f} %",
        f"{found['mean_kl']:.3f} [{low:.3f}, {high:.3f}]",
        str(found["n"]),
    )


def _machine(check: Mapping[str, Any]) -> tuple[str, ...]:
    figures = (check[key] for key in ("instructions", "flash_bytes", "ram_bytes", "stack_bytes"))
    return (NAMES[check["target"]], *(f"{figure:,}" for figure in figures))


def _engine(title: str, engine: Mapping[str, Any]) -> tuple[str, ...]:
    causes, total = engine["cycles_by_cause"], engine["predicted_cycles"]
    shares = (causes[cause] / total for cause in ("mac", "pool", "load", "list_wait"))
    utilisation = f"{100 * engine['utilisation']:.1f} %"
    return (title, str(engine["lanes"]), f"{total:,}", utilisation, *(f"{100 * s:.2f} %" for s in shares))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def replaced(readme: str, figures: Mapping[str, Any]) -> str:
    """The README with its tables made of ``figures``."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{tables(figures)}\n{END}{after}"
