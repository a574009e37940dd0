"""``dcgen targets``: the machines that dcgen compiles for."""

from __future__ import annotations

from dcgen.command import console, options
from dcgen.targets import CHECK_NAME, ENGINES, TARGETS


def targets_(json: options.Json = False) -> None:
    """List the machines that firmware is generated for, and the engines that gateware is."""
    rows = [(t.name, t.check_name, t.description) for t in TARGETS]
    rows += [(e.name, CHECK_NAME, e.description) for e in ENGINES]
    columns = {"name": "name", "verify": "verify --on", "description": "what it is"}
    console.print_records("Targets", columns, rows, json)
