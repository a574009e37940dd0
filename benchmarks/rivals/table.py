"""The rows of the comparison, as tables in Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from pathlib import Path
from typing import Any

from dcgen.fidelity import Agreement, Fidelity


@dataclass(frozen=True)
class Row:
    """One file: who made it, with which settings, its size in bytes, and the fidelity of its network."""

    rival: str
    settings: str
    bytes: int
    fidelity: Fidelity

    @property
    def classes(self) -> Agreement:
        """What files are compared by: figures of the scores of classes."""
        assert self.fidelity.classes is not None
        return self.fidelity.classes

    def to_json(self) -> dict[str, Any]:
        return {"rival": self.rival, "settings": self.settings, "bytes": self.bytes, **self.fidelity.to_json()}


@dataclass(frozen=True)
class Duel:
    """Two files of the same size.

    bytes : of dcgen's file
    ours, theirs : mean KL of dcgen's file, and of the rival's curve at that size
    """

    bytes: int
    ours: float
    theirs: float


def show(rows: Sequence[Row], duels: Sequence[Duel], title: str) -> None:
    """Print all rows, and the duels where there are any, as tables in Markdown."""
    lines = [("file", "settings", "bytes", "mean KL, nats", "agreement, %", "change of top-1, points")]
    for r in rows:
        f = r.classes
        change = "" if f.top1_change is None else _points(f.top1_change.value, f.top1_change.interval)
        kl = f"{f.mean_kl:.4f} [{f.mean_kl_interval[0]:.4f}, {f.mean_kl_interval[1]:.4f}]"
        agreement = f"{100 * f.agreement:.1f} [{', '.join(f'{100 * b:.1f}' for b in f.agreement_interval)}]"
        lines.append((r.rival, r.settings, f"{r.bytes:,}", kl, agreement, change))
    print(f"{title}\n\n{_markdown(lines)}")
    if duels:
        head = [("bytes", "mean KL, dcgen", "mean KL, best of NNCodec", "ratio")]
        body = [(f"{d.bytes:,}", f"{d.ours:.4f}", f"{d.theirs:.4f}", f"{d.theirs / d.ours:.2f}") for d in duels]
        print(f"\nAt the same bytes\n\n{_markdown([*head, *body])}")


def write(path: Path, rows: Sequence[Row], duels: Sequence[Duel], about: dict[str, Any]) -> None:
    """Write all rows and duels as JSON, with the keys of ``about``: versions and settings."""
    found = [{"bytes": d.bytes, "dcgen": d.ours, "nncodec": d.theirs} for d in duels]
    data = {**about, "rows": [r.to_json() for r in rows], "same_bytes": found}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def duels(ours: Sequence[Row], curves: Sequence[Sequence[Row]]) -> list[Duel]:
    """A duel for each of ``ours`` whose size lies on a rival's curve; of several curves the one with the lowest
    KL."""
    found = []
    for row in sorted(ours, key=lambda r: r.bytes):
        values = [v for curve in curves if (v := interpolated(curve, row.bytes)) is not None]
        if values:
            found.append(Duel(row.bytes, row.classes.mean_kl, min(values)))
    return found


def interpolated(curve: Sequence[Row], at: int) -> float | None:
    """Mean KL of a curve at ``at`` bytes; between two rows its logarithm is linear. None outside the curve."""
    points = sorted((r.bytes, r.classes.mean_kl) for r in curve)
    for (b0, k0), (b1, k1) in pairwise(points):
        if b0 <= at <= b1:
            share = (at - b0) / (b1 - b0) if b1 > b0 else 0.0
            return exp(log(k0) * (1 - share) + log(k1) * share)
    return None


def _points(value: float, interval: tuple[float, float]) -> str:
    return f"{100 * value:+.1f} [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]"


def _markdown(lines: Sequence[tuple[str, ...]]) -> str:
    ruled = [lines[0], ("---",) * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)
