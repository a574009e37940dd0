"""The README's tables are made of docs/figures.json, by the command that it names, all of one version."""

from __future__ import annotations

import json

from benchmarks.figures.__main__ import FIGURES
from benchmarks.figures.cases import CASES, MACHINES
from benchmarks.figures.table import NAMES, README, replaced, tables


def test_the_readme_s_tables_are_those_of_the_figures() -> None:
    readme, figures = README.read_text(encoding="utf-8"), json.loads(FIGURES.read_text(encoding="utf-8"))
    assert replaced(readme, figures) == readme, "run python -m benchmarks.figures"


def test_every_figure_is_of_a_case_that_the_command_makes() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    commands = {case.name: f"dcgen compile {case.arguments}".strip() for case in CASES}
    assert {name: found["command"] for name, found in figures["cases"].items()}.items() <= commands.items()


def test_every_firmware_that_a_figure_is_of_was_equal_in_every_byte() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    checks = [check for found in figures["cases"].values() for check in found["checks"]]
    assert checks and all(check["mismatches"] == 0 for check in checks)


def test_every_machine_has_a_name() -> None:
    assert tuple(NAMES) == MACHINES


def test_a_file_is_named_once_and_its_machines_stand_below_it() -> None:
    check = {"target": "qemu-cortex-m4", "instructions": 1234, "flash_bytes": 5, "ram_bytes": 6, "stack_bytes": 7}
    shares = {"top1": 0.5}
    found = {"n": 2, "agreement": 1.0, "mean_kl": 0.25, "mean_kl_interval": [0.1, 0.4]}
    row = {
        "parameters": 1000,
        "blob_bytes": 2000,
        "eval": {**found, "float": shares, "compressed": shares},
        "engine": {
            **{"lanes": 8, "predicted_cycles": 2000, "utilisation": 0.5},
            "cycles_by_cause": {"mac": 1000, "pool": 500, "load": 20, "list_wait": 1, "other": 479},
        },
        "checks": [check, {**check, "target": "qemu-riscv32"}],
    }
    text = tables({"commit": "c0ffee", "processor": "a processor", "cases": {"digits": row}})
    assert "| 1,000 | 2,000 | 50.0 % | 50.0 % | 100.0 % | 0.250 [0.100, 0.400] | 2 |" in text
    assert "| digits, 16x16, `--max-kl 0.04`, 2,000 bytes | Cortex-M4 | 1,234 | 5 | 6 | 7 |" in text
    assert "|  | RV32IMAC | 1,234 | 5 | 6 | 7 |" in text
    assert "| 8 | 2,000 | 50.0 % | 50.00 % | 25.00 % | 1.00 % | 0.05 % |" in text
    assert "commit c0ffee, computed on a processor" in text
