"""From a study to the front of its space: one worker, which tries one network after the other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import sqlalchemy

from dcgen.errors import OutputError, ToolError
from dcgen.explore.dominance import Rival
from dcgen.explore.store import Store
from dcgen.explore.study import Study
from dcgen.explore.tables import Row, by_cost, csv_bytes, plots, rows_of
from dcgen.explore.trial import Trials, costs_of
from dcgen.files import write_file
from dcgen.progress import Progress, Warn
from dcgen.run_folder import CHECKPOINT

MARKER = "study.json"
"""The file by which a folder is recognized as one of a study; it holds the study's settings."""


def explore(study: Study, out: Path, url: str | None, progress: Progress, warn: Warn) -> list[Row]:
    """Try networks of ``study`` until it has as many as it asks for, together with other workers if there are any.

    out : folder of the tables, drawings and runs; one of the same study goes on
    url : of the database that workers share, None for a file in ``out``

    Returns a row for each network. Raises a DcgenError; what was found until then is kept.
    """
    _claim(study, out)
    with _database(), closing(Store(study, out, url)) as store:

        def rivals() -> Iterable[Rival]:
            for t in store.tried():
                if (found := t.outcome) is not None and found.status == "trained" and found.predicted is not None:
                    yield Rival(t.number, found.recipe, found.curve, costs_of(study, found.predicted))

        trials = Trials(study, out / "runs", rivals, progress, warn)
        while (task := store.next()) is not None:
            progress("networks", task.number, study.budget)
            with store.alive(task):
                outcome = trials.run(task.number, study.space.suggest(task.trial))
            store.tell(task, outcome)
            _write(study, out, rows_of(study, store.tried()))
        progress("networks", study.budget, study.budget)
        rows = rows_of(study, store.tried())
    _write(study, out, rows)
    for name, drawing in (plots(study, rows) or {}).items():
        write_file(out / name, drawing)
    lost = [row.run for row in rows if row.on_front and not (out / row.run).is_dir()]
    if lost:
        warn(f"{out}: {len(lost)} runs of the front lie in other workers' folders, the first is {lost[0]}")
    return rows


@contextmanager
def _database() -> Iterator[None]:
    """Turns what a database that is lost in the middle of the work raises into a ToolError."""
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as e:
        lines = str(e.__cause__ or e).strip().splitlines()
        problem = f"can be used no more: {lines[0] if lines else type(e).__name__}"
        raise ToolError("database", problem, "start the command again, which goes on") from None


def _claim(study: Study, out: Path) -> None:
    """Make the folder, or raise OutputError where it holds something else."""
    if out.exists() and not out.is_dir():
        raise OutputError(out, "exists and is not a folder", "name another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (out / MARKER).exists():
            if any(not path.name.startswith(".") for path in out.iterdir()):
                raise OutputError(out, "exists, is not empty and holds no study", "name another folder")
            write_file(out / MARKER, json.dumps(study.table, indent=1, default=str).encode())
    except OSError as e:
        raise OutputError(out, f"cannot be written: {e.strerror or e}", "name another folder") from None


def _write(study: Study, out: Path, rows: list[Row]) -> None:
    """Write the tables, and remove the runs of networks that have ended and are not to be kept."""
    write_file(out / "trials.csv", csv_bytes(study, rows))
    write_file(out / "pareto.csv", csv_bytes(study, by_cost(rows)))
    for row in rows:
        if row.status == "running":
            continue
        if row.run:
            (out / row.run / CHECKPOINT).unlink(missing_ok=True)
        else:
            shutil.rmtree(out / "runs" / f"{row.number:04d}", ignore_errors=True)
