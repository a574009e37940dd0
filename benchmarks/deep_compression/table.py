"""The table and the drawings of all cases."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
COLUMNS = ("network", "case", "group", "density", "bits", "start", "trained", "density_found", "test_samples")
COLUMNS += ("error", "integer_error", "float_bytes", "fixed_bytes", "huffman_bytes", "bytes")


def csv_text(rows: Sequence[Row]) -> str:
    """One line for each case; empty where a figure does not exist."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def drawing(rows: Sequence[Row]) -> bytes:
    """A PNG with two drawings for each network: error against bits by how centroids begin, trained or not; and
    error against the share of the float size, by method."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["savefig.dpi"] = 120
    networks = list(dict.fromkeys(row["network"] for row in rows))
    figure = Figure(figsize=(11, 4.5 * len(networks)), layout="constrained")
    grid = figure.subplots(len(networks), 2, squeeze=False)
    for (left, right), network in zip(grid, networks, strict=True):
        own = [row for row in rows if row["network"] == network]
        both = [row for row in own if row["group"] == "both"]
        for number, start in enumerate(dict.fromkeys(row["start"] for row in both)):
            for trained, style in ((False, "--"), (True, "-")):
                line = [r for r in both if r["start"] == start and r["trained"] == trained]
                label = f"{start}, {'trained' if trained else 'untrained'}"
                points = [r["bits"] for r in line], [100 * r["error"] for r in line]
                left.plot(*points, style, marker="o", color=f"C{number}", label=label)
        _finish(left, f"{network}: pruned, then shared", "bits of a weight")
        methods = {
            "pruning": [r for r in own if r["group"] == "pruned"],
            "sharing": [r for r in own if r["group"] == "shared"],
            "both": [r for r in both if r["trained"] and r["start"] == "linear"],
        }
        for label, line in methods.items():
            sizes = [100 * r["fixed_bytes"] / r["float_bytes"] for r in line]
            right.plot(sizes, [100 * r["error"] for r in line], marker="o", label=label)
        sizes = [100 * r["huffman_bytes"] / r["float_bytes"] for r in methods["both"]]
        right.plot(sizes, [100 * r["error"] for r in methods["both"]], marker="o", label="both, Huffman")
        (dense,) = (r for r in own if r["group"] == "dense")
        right.axhline(100 * dense["error"], color="grey", linestyle=":", label="dense")
        right.set_xscale("log")
        _finish(right, f"{network}: size", "% of the float size")
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    return image.getvalue()


def _finish(axes: Any, title: str, across: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(across)
    axes.set_ylabel("test error, %")
    axes.grid(True)
    axes.legend(fontsize="small")
