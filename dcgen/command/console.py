"""What people see: progress, warnings and errors on stderr, results on stdout."""

from __future__ import annotations

import json as json_text
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from dcgen.escape import plain
from dcgen.progress import Progress as Report

_WIDEST = 10_000
"""Characters of a table's width that no table reaches."""

stderr = Console(stderr=True)
stdout = Console()


PLAIN_SECONDS = 5.0
"""Where stderr is no terminal, a line says how far the work is at most this often."""


@contextmanager
def progress() -> Iterator[Report]:
    """Shows on stderr how far the work is while the block runs; yields the callback that stages report to.

    On a terminal each stage has a bar; elsewhere a plain line now and then names the stage.
    """
    if not stderr.is_terminal:
        yield _plain_lines(time.monotonic)
        return
    description = TextColumn("{task.description}", markup=False)
    times = TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
    with Progress(description, BarColumn(), MofNCompleteColumn(), *times, console=stderr) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(plain(stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def _plain_lines(clock: Callable[[], float]) -> Report:
    """A callback that prints a stage, how far it is, the seconds so far, and those that the stage still takes if
    it goes on as fast.

    clock : seconds
    """
    begun = last = clock()
    firsts: dict[str, tuple[float, int]] = {}

    def report(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = clock()
        since, before = firsts.setdefault(stage, (now, done))
        if now - last >= PLAIN_SECONDS:
            last = now
            left = (now - since) / (done - before) * (total - done) if done > before else None
            text = plain(f"dcgen: {now - begun:.0f} s, {stage}, {done} of {total}")
            more = "" if left is None else f", {left:.0f} s left"
            stderr.print(text + more, markup=False, highlight=False, soft_wrap=True)

    return report


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
    """A table on ``console``. A column is right aligned if all its values are numbers.

    The table is as wide as its texts, whatever the width of the console, so that none is cut.
    """
    table = Table(title=Text(plain(title)), title_justify="left")
    for i, heading in enumerate(headings):
        numeric = all(isinstance(r[i], int | float) for r in rows)
        table.add_column(Text(plain(heading)), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(Text(plain(_text(v))) for v in row))
    table.width = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
    console.print(table, crop=False)


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
