"""What a study leaves beside its runs: tables of all networks and of the front, and drawings of both."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dcgen.escape import plain
from dcgen.explore.dominance import front
from dcgen.explore.store import Tried
from dcgen.explore.study import Study

MEASURED = (
    *("accuracy", "bytes", "instructions", "most_instructions", "flash_bytes", "arena_bytes", "density"),
    "seconds",
)
PREDICTED = ("bytes", "instructions", "flash_bytes", "arena_bytes", "density")
PLOTS = {"bytes": "model.dcb, kB", "instructions": "instructions for a picture, millions"}
"""Costs that accuracy is drawn over, and what the axis says."""


@dataclass(frozen=True)
class Row:
    """A network of the study.

    status : as ``trial.Status`` has it, or ``running``
    parameters : what the study varies, by name
    figures : what was measured, by name, see ``columns``
    on_front : whether it was trained, fits the target, and no other such network dominates it
    run : its folder below the study's; empty unless it was trained
    """

    number: int
    status: str
    parameters: Mapping[str, Any]
    figures: Mapping[str, Any]
    on_front: bool
    run: str
    reason: str


def rows_of(study: Study, tried: Sequence[Tried]) -> list[Row]:
    """A row for each network, by number."""
    trained = {t.number: t.outcome for t in tried if t.outcome is not None and t.outcome.status == "trained"}
    best = set(front({number: _costs(study, outcome.figures) for number, outcome in trained.items()}))
    rows = []
    for t in tried:
        outcome, figures = t.outcome, dict[str, Any]()
        if outcome is not None:
            figures = {**outcome.figures, "epochs": len(outcome.curve)}
            if outcome.predicted is not None:
                figures |= {f"predicted_{name}": getattr(outcome.predicted, name) for name in PREDICTED}
        kept = t.number in best or (t.number in trained and study.settings.keep == "all")
        rows.append(
            Row(
                t.number,
                "running" if outcome is None else outcome.status,
                t.parameters,
                figures,
                t.number in best,
                f"runs/{t.number:04d}" if kept else "",
                "" if outcome is None else outcome.reason,
            )
        )
    return rows


def _costs(study: Study, figures: Mapping[str, Any]) -> list[float]:
    return [-figures[o] if o == "accuracy" else figures[o] for o in study.objectives]


def csv_bytes(study: Study, rows: Sequence[Row]) -> bytes:
    """The rows as a CSV file with a header."""
    varied = list(dict.fromkeys(name for row in rows for name in row.parameters))
    figures = [*MEASURED, "epochs", *(f"predicted_{name}" for name in PREDICTED)]
    text = io.StringIO()
    columns = ["network", "status", *varied, *figures, "run", "reason"]
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        own = {"network": row.number, "status": row.status, "run": row.run, "reason": row.reason}
        writer.writerow({**row.parameters, **row.figures, **own})
    return text.getvalue().encode()


def by_cost(rows: Sequence[Row]) -> list[Row]:
    """The rows of the front, from the smallest file on."""
    return sorted((r for r in rows if r.on_front), key=lambda row: (row.figures["bytes"], row.number))


def plots(study: Study, rows: Sequence[Row]) -> dict[str, bytes] | None:
    """Drawings (PNG) of accuracy over each cost by file name, None if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    made = {}
    for cost, label in PLOTS.items():
        known = [r for r in rows if r.figures.get("accuracy") is not None and r.figures.get(cost) is not None]
        if not known:
            continue
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes, unit = figure.subplots(), 1000 if cost == "bytes" else 1_000_000
        for status, marker, color in (("trained", "o", "tab:gray"), ("over", "x", "tab:red")):
            shown = [r for r in known if r.status == status]
            name = "over a limit of the target" if status == "over" else "trained"
            _scatter(axes, shown, cost, unit, marker=marker, color=color, label=name)
        best = [r for r in known if r.on_front]
        _scatter(axes, best, cost, unit, marker="o", color="tab:blue", label="front")
        line = _staircase([(r.figures[cost] / unit, 100 * r.figures["accuracy"]) for r in best])
        axes.step(*zip(*line, strict=True), where="post", color="tab:blue", linewidth=1) if line else None
        axes.set_xlabel(label)
        axes.set_ylabel("accuracy on held-out samples, %")
        axes.grid(True, alpha=0.4)
        axes.legend()
        figure.suptitle(plain(f"{study.name} on {study.target.name}"), parse_math=False)
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=120, metadata={"Software": None})
        made[f"accuracy-{cost}.png"] = image.getvalue()
    return made


def _scatter(axes: Any, rows: Sequence[Row], cost: str, unit: int, **style: Any) -> None:
    if rows:
        x, y = [r.figures[cost] / unit for r in rows], [100 * r.figures["accuracy"] for r in rows]
        axes.scatter(x, y, s=24, zorder=3, **style)


def _staircase(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that are better than every cheaper one, from the cheapest on."""
    found: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points):
        if not found or accuracy > found[-1][1]:
            found.append((cost, accuracy))
    return found
