"""The curve of a model: files from the largest to the smallest, and what each costs in fidelity and work.

A file's size follows from the price of a bit, in nats of divergence: a higher price gives a smaller file. Layers
are observed and measured once. Then one price after the other is tried, each predicted from the sizes so far,
until the files lie about evenly between two sizes. Every point is a real network, run as integers on held-out
pictures, and can be compiled.
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
from dcgen.compress.attempts import Surcharge, Try, attempt, first_price
from dcgen.compress.goals import SLOPES
from dcgen.compress.point import point_bytes
from dcgen.compress.recipes import SecondOrder
from dcgen.errors import ConfigError, PlanError
from dcgen.escape import plain
from dcgen.files import check_writable, write_folder
from dcgen.limits import LIMITS
from dcgen.pipeline import Bench
from dcgen.plan.engine.cycles import nonzero_macs
from dcgen.plan.engine.lanes import planned
from dcgen.plan.firmware.instructions import is_predicted, predict_instructions
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.progress import Progress, Warn, unheard
from dcgen.result import Job
from dcgen.targets import DEFAULT_TARGET, ULX3S_85F, EngineTarget, Target, find

MORE_TRIES = 0.5
"""Most further tries for each point asked for. They are made for sizes that the first tries have missed."""
CLOSE = 0.95
"""A file is of a wanted size only if the smaller one is above this share of the larger one. Where points lie
closer together than that allows, half the distance of two points in logarithms is the bound."""
NEIGHBOURS = 4
"""Number of tries, those closest in size, from which the price for a size is estimated."""
SLOPE_DOUBT = 0.015
"""Weight of the usual slope against the tries' own: the variance by which logarithms of sizes scatter, over the
variance by which a network's slope differs from the usual one."""
SAME_PRICE = 0.003
"""Prices whose logarithms differ by no more than this give the same file."""


@dataclass(frozen=True)
class Row:
    """A point of the curve, as it stands in ``frontier.csv``.

    point : path of the point's file in the output folder, for ``compile --point``
    blob_bytes : size of model.dcb
    mean_kl : mean divergence from the float model on held-out pictures, in nats; None where outputs are values
    agreement : share of held-out pictures with the float model's first class; None where outputs are values
    relative_error : largest relative error of an output on held-out pictures
    density : share of weights that are not zero
    nonzero_macs : multiply-accumulates for a picture, those with a weight of zero left out
    instructions : predicted instructions of the firmware for a picture, on ``microcontroller(job)``; None where no
        firmware can be planned
    cycles : exact cycles of the engine for a picture; None where the network does not fit the engine
    price : price of a bit that gave the point, in nats
    """

    point: str
    blob_bytes: int
    mean_kl: float | None
    agreement: float | None
    relative_error: float
    density: float
    nonzero_macs: int
    instructions: int | None
    cycles: int | None
    price: float


@one_blas_thread
def frontier(
    job: Job, out: Path, points: int, sizes: tuple[int, int], progress: Progress, warn: Warn = unheard
) -> tuple[Row, ...]:
    """Compute the curve of ``job`` and write the folder ``out``.

    points : number of files wanted, at least 2; tries that miss their size make it more
    sizes : bytes of the smallest and of the largest file

    Returns the rows from the largest file to the smallest. Raises a DcgenError, and then writes nothing.
    """
    check_writable(out)
    recipe = job.recipe
    if not isinstance(recipe, SecondOrder):
        raise ConfigError(recipe.name, "has no frontier", f"only {SecondOrder.name} has one")
    if not 0 < sizes[0] < sizes[1] <= LIMITS.file_bytes:
        problem = f"from {sizes[0]:,} to {sizes[1]:,} bytes is no range"
        raise ConfigError(
            "sizes", problem, f"the first must be the smaller one, both at most {LIMITS.file_bytes:,}"
        )
    bench = Bench(job, progress, warn)
    quantizer = recipe.quantizer(bench.graph, bench.evidence)
    surcharge = Surcharge(quantizer, recipe.density)
    ratio = (sizes[0] / sizes[1]) ** (1 / (points - 1))
    targets = [sizes[1] * ratio**i for i in range(points)]
    found: list[tuple[float, Try]] = []

    def try_at(price: float) -> None:
        progress("points", min(len(found), points - 1), points)
        found.append((price, attempt(quantizer, surcharge, price, f"point {len(found) + 1}")))

    try_at(first_price(quantizer, lambda sketch: sketch.bits / 8 < sizes[1]))
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
    """The job's target if instructions can be predicted for it, else the default target."""
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
    """A drawing (SVG) of each column over the size of the file, or None if matplotlib is not installed.

    core : the microcontroller that instructions are predicted for
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        return None
    matplotlib.rcParams["svg.hashsalt"] = title  # the same curve gives the same file
    shown: Mapping[str, Any] = {
        "mean KL, nats": [r.mean_kl for r in rows],
        "relative error": [r.relative_error for r in rows],
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
    figure.suptitle(plain(title), parse_math=False)
    image = io.BytesIO()
    figure.savefig(image, format="svg", metadata={"Date": None})
    return image.getvalue()


def _missed(targets: list[float], found: list[tuple[float, Try]]) -> list[float]:
    """The wanted sizes (the points' own, in bytes) that no try is close to."""
    close = max(CLOSE, math.sqrt(targets[1] / targets[0]))
    sizes = [t.trial.blob_bytes for _, t in found]
    return [size for size in targets if not any(close < reached / size < 1 / close for reached in sizes)]


def _price_of(size: float, found: list[tuple[float, Try]]) -> float:
    """The price that is expected to give a file of ``size`` bytes.

    It is read off a line, size over price in logarithms, through the mean of the tries closest in size. The slope
    of the line is theirs by least squares, drawn towards the usual slope by ``SLOPE_DOUBT``.
    """
    logs = [(math.log(t.trial.blob_bytes / size), math.log(price)) for price, t in found]
    near = sorted(logs, key=lambda at: abs(at[0]))[:NEIGHBOURS]
    byte, price = (sum(values) / len(near) for values in zip(*near, strict=True))
    spread = sum((p - price) ** 2 for _, p in near)
    both = sum((p - price) * (b - byte) for b, p in near)
    usual = -SLOPES["max_bytes"]
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
    trial = tried.trial
    figures = trial.blob_bytes, trial.mean_kl, trial.agreement, trial.relative_error, tried.point.density
    return Row(name, *figures, nonzero_macs(made.qgraph), instructions, cycles, price)
