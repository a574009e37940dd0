"""``dcgen frontier``: the curve of a model's file sizes and what each of them costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Option

from dcgen.command import arguments, console, options
from dcgen.compress.recipes import DEFAULT
from dcgen.config import load_recipe
from dcgen.frontier import Row, frontier
from dcgen.result import Job, Pictures, Source
from dcgen.targets import HOST


def frontier_(
    model: options.ModelName,
    out: options.NewFolder,
    calibration: options.Calibration,
    smallest: Annotated[str, Option("--from", help="Bytes of the smallest file, e.g. 250K (K is 1,000).")],
    largest: Annotated[str, Option("--to", help="Bytes of the largest file, e.g. 450K (K is 1,000).")],
    points: Annotated[int, Option(min=2, max=99, help="Number of files, evenly spaced in size.")] = 12,
    weights: options.Weights = None,
    trust: options.Trust = False,
    preprocess: options.PreprocessName = None,
    mean: options.Mean = None,
    std: options.Std = None,
    order: options.Order = None,
    fit: options.Fit = None,
    input_size: options.InputSize = None,
    settings: options.Settings = None,
    target: options.TargetName = None,
    outputs: options.Outputs = None,
    json: options.Json = False,
) -> None:
    """Write the curve of bytes, fidelity, density and work of MODEL, every point ready for compile --point."""
    machine = arguments.machine(target)
    chosen = arguments.preprocess(preprocess, mean, std, order, fit, input_size)
    job = Job(
        source=Source(model=model, weights=weights, preprocess=chosen, size=input_size, trust=trust),
        pictures=Pictures(folder=calibration),
        recipe=load_recipe(DEFAULT, settings or ()),
        outputs=arguments.outputs(outputs),
        target=machine,
        weigh=target is not None and machine is not HOST,
    )
    sizes = arguments.amount("--from", smallest), arguments.amount("--to", largest)
    with console.progress() as progress:
        rows = frontier(job, out, points, sizes, progress, console.print_warning)
    if json:
        console.print_json({"points": [asdict(r) for r in rows]})
    else:
        show(rows, out)


def show(rows: Sequence[Row], out: Path) -> None:
    """A table of the points of a curve, and how one of them is compiled."""
    values = rows[0].mean_kl is None
    told = ("error",) if values else ("mean KL", "agreement")
    headings = ("point", "bytes", *told, "density", "MACs", "instr.", "cycles")
    shown = [
        (
            *(Path(r.point).stem, r.blob_bytes),
            *((r.relative_error,) if values else (r.mean_kl, r.agreement)),
            r.density,
            *(
                "" if count is None else f"{count / 1e6:.2f}"
                for count in (r.nonzero_macs, r.instructions, r.cycles)
            ),
        )
        for r in rows
    ]
    console.print_table("On held-out calibration pictures; non-zero MACs and work in millions", headings, shown)
    plotted = (out / "frontier.svg").exists()
    console.print_line(
        f"written to {out}" + ("" if plotted else ", without a plot: pip install 'dcgen[plot]' for one")
    )
    console.print_line(f"compile a point of this model with --point {out / rows[0].point}")
