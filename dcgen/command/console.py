"""What people see while they wait and when it is done: everything but the result goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from dcgen.progress import Progress as Report

stderr = Console(stderr=True)
stdout = Console()


@contextmanager
def progress() -> Iterator[Report]:
    """A bar per stage on stderr, if that is a terminal; gives the callback that stages report to."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def print_error(message: str) -> None:
    """One line on stderr."""
    stderr.print(f"dcgen: error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)


def print_warning(message: str) -> None:
    """One line on stderr."""
    stderr.print(f"dcgen: warning: {message}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(data) + "\n")


def print_table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[object]], console: Console = stdout
) -> None:
    """A table, on stdout if nothing else is said; numbers are right aligned."""
    table = Table(title=title, title_justify="left")
    for i, heading in enumerate(headings):
        numeric = all(isinstance(r[i], int | float) for r in rows)
        table.add_column(heading, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_text(v) for v in row))
    console.print(table)


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
