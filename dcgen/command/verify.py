"""``dcgen verify``: the emitted firmware and gateware, run and compared with the golden model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from dcgen.command import console, options
from dcgen.inputs.samples import open_samples
from dcgen.output import open_output
from dcgen.progress import Progress, unheard
from dcgen.targets import CHECK_NAME, TARGETS, find_check
from dcgen.verify import Check, verify, verify_rtl


def verify_(
    out: options.OutFolder,
    on: Annotated[
        list[str] | None,
        Option(
            help=f"Machine to verify on; repeats. Default: all of {', '.join(t.check_name for t in TARGETS)}. "
            f"{CHECK_NAME} simulates the engine."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        Option(help="Pictures or values, as for --calibration of 'compile'; default: those in OUT/golden."),
    ] = None,
    count: Annotated[int | None, Option(min=1, help="Use the first COUNT of them.")] = None,
    cycles: Annotated[bool, Option("--cycles", help="Show the engine's cycles by layer and by cause.")] = False,
    json: options.Json = False,
) -> None:
    """Build the firmware, run it, and compare every byte of every layer with the golden model.

    This runs OUT's own Makefile and C on this computer: verify only folders of which you trust whoever made them.
    """
    with console.progress() as progress:
        checks = run(out, on or [], images, count, progress)
    if json:
        console.print_json({"checks": [c.to_json() for c in checks]})
    else:
        show(checks)
        if cycles:
            show_cycles(checks)
    if not all(c.passed for c in checks):
        raise Exit(1)


def run(
    out: Path, on: Sequence[str], images: Path | None, count: int | None, progress: Progress
) -> tuple[Check, ...]:
    """Verify the output folder with its golden inputs, or those that ``images`` holds.

    on : machines by their check names, and ``rtl`` for the engine; all machines, without the engine, if it is
        empty
    count : number of pictures, the first ones of the folder; None for all
    """
    output = open_output(out)
    machines = tuple(dict.fromkeys(find_check(name) for name in on if name != CHECK_NAME))
    warn = console.print_warning if images else unheard
    samples = open_samples(images or output.golden, warn)
    which = range(len(samples.names))[:count]
    loaded = samples.load(which, output.preprocess, output.size, warn).data

    def said(step: str) -> None:
        progress(step, 1, 1)

    checks: tuple[Check, ...] = ()
    if machines or not on:
        checks = verify(out, machines or TARGETS, loaded, output.qgraph, said)
    if CHECK_NAME in on:
        checks = (*checks, verify_rtl(out, loaded, output.qgraph, said))
    return checks


def show(checks: Sequence[Check]) -> None:
    """A table with a row for each machine, and where the first difference is."""
    rows = []
    for c in checks:
        d = c.to_json()
        verdict = "equal" if c.passed else c.failure or f"{c.mismatches} bytes differ"
        if c.cycles and not c.failure and not c.mismatches and not c.passed:
            verdict = f"equal, but not the {c.cycles.predicted:,} cycles expected"
        figures = (d.get(k) for k in ("instructions", "cycles", "flash_bytes", "ram_bytes", "stack_bytes"))
        rows.append((c.target, verdict, c.layers, c.bytes_compared, *figures))
    headings = "machine", "verdict", "layers", "bytes compared", "instructions", "cycles", "flash", "RAM", "stack"
    console.print_table("Against the golden model", headings, rows)
    for c in checks:
        if c.first_mismatch:
            console.print_line(f"{c.target}: first difference at {c.first_mismatch}")


def show_cycles(checks: Sequence[Check]) -> None:
    """Predicted and counted cycles of an engine: of each layer, and for each cause of spending them."""
    for c in checks:
        if (found := c.cycles) is None:
            continue
        rows: list[tuple[object, ...]] = [(k, p, n) for k, (p, n) in found.layers.items()]
        rows.append(("all", found.predicted, found.counted))
        console.print_table("Cycles by layer", ("layer", "predicted", "counted"), rows)
        causes = [(k, p, n, f"{100 * n / max(1, found.counted):.1f} %") for k, (p, n) in found.causes.items()]
        console.print_table("Cycles by cause", ("cause", "predicted", "counted", "share"), causes)
