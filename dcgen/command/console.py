"""What people see: progress, warnings and errors on stderr, results on stdout."""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dcgen.escape import plain
from dcgen.progress import Progress as Report

stderr = Console(stderr=True)
stdout = Console()


@contextmanager
def progress() -> Iterator[Report]:
    """Shows a bar for each stage on stderr while the block runs; yields the callback that stages report to.

    Nothing is shown where stderr is no terminal.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(plain(stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


MOST_CHARACTERS = 2000
"""Characters of an error or a warning that are printed: a file may hold names of megabytes."""


def print_error(message: str) -> None:
    """An error as one line on stderr."""
    _print_line(f"dcgen: error: {message}", stderr, "red")


def print_warning(message: str) -> None:
    """A warning as one line on stderr."""
    _print_line(f"dcgen: warning: {message}", stderr, "yellow")


def print_line(message: str) -> None:
    """A result as one line on stdout."""
    _print_line(message, stdout)


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json_text.dumps(data) + "\n")


def print_table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[object]], console: Console = stdout
) -> None:
    """A table on ``console``. A column is right aligned if all its values are numbers."""
    table = Table(title=Text(plain(title)), title_justify="left")
    for i, heading in enumerate(headings):
        numeric = all(isinstance(r[i], int | float) for r in rows)
        table.add_column(Text(plain(heading)), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(Text(plain(_text(v))) for v in row))
    console.print(table)


def print_records(title: str, columns: Mapping[str, str], rows: Sequence[Sequence[object]], json: bool) -> None:
    """Records as a table, or with ``json`` as one JSON object that lists them under the title in lower case.

    columns : each value's key in JSON, and its heading in the table
    """
    if json:
        print_json({title.lower(): [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        print_table(title, tuple(columns.values()), rows)


def interval(bounds: Sequence[float]) -> str:
    """An interval's two bounds with four decimals."""
    return f"{bounds[0]:.4f} .. {bounds[1]:.4f}"


def _print_line(message: str, console: Console, style: str | None = None) -> None:
    """One line, without markup, whatever the message holds."""
    if len(message) > MOST_CHARACTERS:
        message = f"{message[: MOST_CHARACTERS // 2]} ... {message[-MOST_CHARACTERS // 2 :]}"
    console.print(plain(message), style=style, markup=False, highlight=False, soft_wrap=True, emoji=False)


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
