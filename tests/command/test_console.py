"""Tables on the console."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dcgen.command import console, verify
from dcgen.verify import Check

FAILURE = "the runtime ended with SECTION_CRC"
CHECKS = (
    Check("qemu-cortex-m55", 1000, 17, 13_552_000, 0, instructions=1_173_600, flash_bytes=26_965, ram_bytes=9_148),
    Check("qemu-riscv32", 1000, 17, 13_552_000, 0, failure=FAILURE, instructions=2_313_403, stack_bytes=1_348),
)


@pytest.mark.parametrize("width", [10, 80, 300])
@pytest.mark.parametrize("terminal", [False, True])
def test_the_table_of_verify_is_never_cut(width: int, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text of it stands on one line, however narrow the console is."""
    out = io.StringIO()
    narrow = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    monkeypatch.setattr(console.print_table, "__defaults__", (narrow,))
    verify.show(CHECKS)
    lines = out.getvalue().splitlines()
    assert "…" not in out.getvalue()
    headings = ("machine", "verdict", "bytes compared", "instructions", "cycles", "flash", "RAM", "stack")
    for texts in (
        headings,
        ("qemu-cortex-m55", "equal", "1,173,600", "26,965"),
        ("qemu-riscv32", FAILURE, "1,348"),
    ):
        assert any(all(text in line for text in texts) for line in lines), texts


def test_plain_progress_says_how_long_a_stage_still_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(console, "stderr", Console(file=out))
    now = 0.0
    report = console._plain_lines(lambda: now)
    for seconds, done in ((10.0, 0), (16.0, 3), (17.0, 4), (22.0, 6), (30.0, 10)):
        now = seconds
        report("stage 1 of 2, dense", done, 10)
    assert out.getvalue().splitlines() == [
        "dcgen: 10 s, stage 1 of 2, dense, 0 of 10",
        "dcgen: 16 s, stage 1 of 2, dense, 3 of 10, 14 s left",
        "dcgen: 22 s, stage 1 of 2, dense, 6 of 10, 8 s left",
        "dcgen: 30 s, stage 1 of 2, dense, 10 of 10, 0 s left",
    ]
