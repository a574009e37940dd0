"""``dcgen explore``: a space of networks is searched for those that are best for what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from dcgen.command import console, options
from dcgen.extras import import_optuna, import_torch

if TYPE_CHECKING:
    from dcgen.explore.tables import Row

StudyFile = Annotated[
    Path, Argument(help="TOML file: data, target, budget, space; see docs/explore.md.", metavar="STUDY")
]
StudyFolder = Annotated[
    Path,
    Option("--out", "-o", help="Folder of the study; one that was interrupted goes on, as do several at once."),
]
Data = Annotated[
    Path | None, Option(help="Labelled pictures as 'dcgen train' takes them, in place of the study's.")
]
Storage = Annotated[
    str | None,
    Option(
        help="Database that workers on several machines share, e.g. postgresql://user@host/name. Default: a file "
        "in the folder."
    ),
]


def explore_(
    study: StudyFile,
    out: StudyFolder,
    data: Data = None,
    storage: Storage = None,
    json: options.Json = False,
) -> None:
    """Search a space of SqueezeNets for the best accuracy at each size and at each amount of work.

    Networks that cannot fit the target are not trained. Each network of the front is a folder for 'dcgen compile'.
    """
    import_torch("to train networks")
    import_optuna("to search a space of networks")
    from dcgen.explore.explore import explore
    from dcgen.explore.study import read_study

    found = read_study(study, data)
    with console.progress() as progress:
        rows = explore(found, out, storage, progress, console.print_warning)
    if json:
        console.print_json({"networks": [asdict(row) for row in rows]})
    else:
        show(rows, out)


def show(rows: Sequence[Row], out: Path) -> None:
    """A table of the front, and how one of its networks is compiled."""
    from dcgen.explore.tables import by_cost

    best = by_cost(rows)
    headings = ("network", "accuracy", "bytes", "instr.", "what is varied")
    shown = [
        (
            row.number,
            row.figures["accuracy"],
            row.figures["bytes"],
            "" if (count := row.figures.get("instructions")) is None else f"{count / 1e6:.2f}",
            ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.parameters.items()),
        )
        for row in best
    ]
    counts = Counter(row.status for row in rows)
    console.print_table("The front, on held-out samples; instructions in millions", headings, shown)
    console.print_line(f"{len(rows)} networks: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    plotted = any(out.glob("accuracy-*.png")) or not best
    console.print_line(
        f"written to {out}" + ("" if plotted else ", without plots: pip install 'dcgen[plot]' for them")
    )
    if best:
        console.print_line(f"compile one of the front with: dcgen compile {out / best[0].run} -o OUT")
