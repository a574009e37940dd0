"""The whole curve of a model: from the largest to the smallest file, every point ready to be compiled.

Layers are observed and measured once; then one price of a bit after the other is tried, so that the files
lie about evenly between two sizes. Every point is a real file, run as integers on held-out pictures.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dcgen.ahead import one_blas_thread
from dcgen.compress.goals import SLOPES, Goal, Surcharge, Try, attempt, first_price
from dcgen.compress.point import point_bytes
from dcgen.compress.recipes import SecondOrder
from dcgen.errors import ConfigError, PlanError
from dcgen.files import check_writable, write_folder
from dcgen.pipeline import Bench
from dcgen.plan.engine.cycles import nonzero_macs
from dcgen.plan.engine.lanes import planned
from dcgen.plan.firmware.instructions import is_predicted, predict_instructions
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.progress import Progress
from dcgen.result import Job
from dcgen.targets import DEFAULT_TARGET, ULX3S_85F, EngineTarget, Target, find

MORE_TRIES = 0.5
"""For each point asked for, at most: where a first one has missed its size."""
CLOSE = 0.95
"""Share of a size that a file counts as being of it, however few points there are."""
NEIGHBOURS = 4
"""Tries closest in size that a price is read off."""
SLOPE_DOUBT = 0.015
"""Square of what sizes scatter by, over that of what their slope may differ by from the usual one."""
SAME_PRICE = 0.003
"""Logarithm of a price: another one as close would give the same file."""


@dataclass(frozen=True)
class Row:
    """A point of the curve, as it stands in ``frontier.csv``.

    point : file below the folder, for ``compile --point``
    density : share of weights that are not zero
    nonzero_macs : multiplications left
    instructions : the firmware's for a picture, predicted for ``microcontroller(job)``; None where it has no plan
    cycles : the engine's for a picture, exact; None where the network does not fit it
    price : nats that a bit was worth
    """

    point: str
    blob_bytes: int
    mean_kl: float
    agreement: float
    density: float
    nonzero_macs: int
    instructions: int | None
    cycles: int | None
    price: float


@one_blas_thread
def frontier(job: Job, out: Path, points: int, sizes: tuple[int, int], progress: Progress) -> tuple[Row, ...]:
    """Compute the curve of ``job`` and write the folder ``out``; rows from the largest file to the smallest.

    points : files wanted, at least 2; some more may come of tries that miss their size
    sizes : bytes of the smallest and of the largest

    Raises a DcgenError, and then writes nothing.
    """
    check_writable(out)
    recipe = job.recipe
    if not isinstance(recipe, SecondOrder):
        raise ConfigError(recipe.name, "has no frontier", f"only {SecondOrder.name} has one")
    if not 0 < sizes[0] < sizes[1]:
        raise ConfigError(
            "sizes", f"from {sizes[0]:,} to {sizes[1]:,} bytes is no range", "the first must be the smaller one"
        )
    bench = Bench(job, progress)
    quantizer = recipe.quantizer(bench.graph, bench.evidence)
    surcharge = Surcharge(quantizer, recipe.density)
    ratio = (sizes[0] / sizes[1]) ** (1 / (points - 1))
    targets = [sizes[1] * ratio**i for i in range(points)]
    found: list[tuple[float, Try]] = []

    def try_at(price: float) -> None:
        progress("points", min(len(found), points - 1), points)
        found.append((price, attempt(quantizer, surcharge, price, f"point {len(found) + 1}")))

    try_at(first_price(quantizer, Goal("max_bytes", sizes[1])))
    for size in targets[1:]:
        try_at(_price_of(size, found))
    for _ in range(round(MORE_TRIES * points)):
        prices = [_price_of(size, found) for size in _missed(targets, found)]
        new = [p for p in prices if all(abs(math.log(p / tried)) > SAME_PRICE for tried, _ in found)]
        if not new:
            break
        try_at(new[0])
    progress("points", points, points)
    files: dict[str, bytes] = {}
    rows = []
    for number, (price, tried) in enumerate(sorted(found, key=lambda f: f[0]), 1):
        name = f"points/{number:02d}.npz"
        files[name] = point_bytes(tried.point, bench.graph)
        rows.append(_row(name, price, tried, bench))
    files["frontier.csv"] = csv_bytes(rows)
    if (drawing := plot(rows, bench.graph.name, microcontroller(job))) is not None:
        files["frontier.svg"] = drawing
    write_folder(out, files)
    return tuple(rows)


def microcontroller(job: Job) -> Target:
    """The target if instructions can be told for it, else the default one."""
    target = job.target if is_predicted(job.target) else find(DEFAULT_TARGET)
    assert isinstance(target, Target)
    return target


def csv_bytes(rows: list[Row]) -> bytes:
    """The rows as a CSV file with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, rows))
    return text.getvalue().encode()


def plot(rows: list[Row], title: str, core: Target) -> bytes | None:
    """The curves over the file's size as SVG, or None without matplotlib."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        return None
    matplotlib.rcParams["svg.hashsalt"] = title  # the same curve gives the same file
    shown: Mapping[str, Any] = {
        "mean KL, nats": [r.mean_kl for r in rows],
        "density": [r.density for r in rows],
        "non-zero MACs": [r.nonzero_macs for r in rows],
        f"instructions on {core.name}": [r.instructions for r in rows],
        f"cycles on {ULX3S_85F.name}": [r.cycles for r in rows],
    }
    drawn = {label: values for label, values in shown.items() if None not in values}
    figure = Figure(figsize=(6, 2.2 * len(drawn)), layout="constrained")
    for axes, (label, values) in zip(figure.subplots(len(drawn), sharex=True), drawn.items(), strict=True):
        axes.plot([r.blob_bytes / 1000 for r in rows], values, marker="o")
        axes.set_ylabel(label)
        axes.grid(True)
    axes.set_xlabel("model.dcb, kB")
    figure.suptitle(title)
    image = io.BytesIO()
    figure.savefig(image, format="svg", metadata={"Date": None})
    return image.getvalue()


def _missed(targets: list[float], found: list[tuple[float, Try]]) -> list[float]:
    """Those of the sizes that no file is close to."""
    close = max(CLOSE, math.sqrt(targets[1] / targets[0]))
    sizes = [t.trial.blob_bytes for _, t in found]
    return [size for size in targets if not any(close < reached / size < 1 / close for reached in sizes)]


def _price_of(size: float, found: list[tuple[float, Try]]) -> float:
    """The price that gives a file of the size: a line, in logarithms, through the tries that are closest to it."""
    logs = [(math.log(t.trial.blob_bytes / size), math.log(price)) for price, t in found]
    near = sorted(logs, key=lambda at: abs(at[0]))[:NEIGHBOURS]
    byte, price = (sum(values) / len(near) for values in zip(*near, strict=True))
    spread = sum((p - price) ** 2 for _, p in near)
    both = sum((p - price) * (b - byte) for b, p in near)
    usual = SLOPES["max_bytes"]
    slope = (both + SLOPE_DOUBT * usual) / (spread + SLOPE_DOUBT)
    return math.exp(price - byte / min(max(slope, 3 * usual), usual / 3))


def _row(name: str, price: float, tried: Try, bench: Bench) -> Row:
    made = bench.integers(tried.graph)
    target = bench.job.target if isinstance(bench.job.target, EngineTarget) else ULX3S_85F
    try:
        cycles = planned(target.parameters, made.qgraph, made.blob)[1].total
    except PlanError:
        cycles = None
    try:
        plan = plan_firmware(made.qgraph, made.blob)
        core, active = microcontroller(bench.job), bench.active(made.qgraph)
        instructions = predict_instructions(plan, made.qgraph, made.blob, core, active).total
    except PlanError:
        instructions = None
    return Row(
        name,
        tried.trial.blob_bytes,
        tried.trial.mean_kl,
        tried.trial.agreement,
        tried.point.density,
        nonzero_macs(made.qgraph),
        instructions,
        cycles,
        price,
    )
