"""What distillation keeps in a folder, so that a run that was stopped ends as an uninterrupted one would: the
network that the search has found, and the training since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.compress.point import Point, point_arrays, read_point
from dcgen.compress.secondorder import Prices
from dcgen.compress.student import Layer, Layers
from dcgen.ir.graph import Graph
from dcgen.train import checkpoint

TRAINING = "distill.npz"
START = "start.npz"
"""The network that training starts from; the file is a point as well (``read_point``)."""


@dataclass(frozen=True, eq=False)
class Saved:
    """A training after some rounds.

    rounds : what is reported of each round, as plain data
    price : of a bit in the next round, in nats
    layers : as they are after the last round
    best : as they were after the best round, or at the start where none was better
    optimizer : its state
    """

    rounds: tuple[Mapping[str, Any], ...]
    price: float
    layers: Layers
    best: Layers
    optimizer: Mapping[str, np.ndarray]


def save(folder: Path, key: str, saved: Saved) -> None:
    """Write the training. Raises OutputError; for ``key`` see ``checkpoint``."""
    arrays: dict[str, np.ndarray] = {f"optimizer.{k}": a for k, a in saved.optimizer.items()}
    for kind, layers in (("layers", saved.layers), ("best", saved.best)):
        for name, layer in layers.items():
            arrays |= {f"{kind}.{name}.{f.name}": np.asarray(getattr(layer, f.name)) for f in fields(Layer)}
    checkpoint.save(folder / TRAINING, key, {"rounds": saved.rounds, "price": saved.price}, arrays)


def resume(folder: Path, key: str, names: tuple[str, ...]) -> Saved | None:
    """The training of the convolutions ``names``, None if none was saved. Raises ConfigError as ``checkpoint``
    does."""

    def read(facts: checkpoint.Facts, arrays: checkpoint.Arrays) -> Saved:
        def layer(prefix: str) -> Layer:
            target, integers, step, centre = (arrays[f"{prefix}.{f.name}"] for f in fields(Layer))
            return Layer(target, integers, float(step), centre)

        layers, best = ({n: layer(f"{kind}.{n}") for n in names} for kind in ("layers", "best"))
        optimizer = {k.removeprefix("optimizer."): a for k, a in arrays.items() if k.startswith("optimizer.")}
        return Saved(tuple(facts["rounds"]), float(facts["price"]), layers, best, optimizer)

    return checkpoint.resume(folder / TRAINING, key, read)


def save_start(folder: Path, key: str, point: Point, prices: Prices, graph: Graph) -> None:
    """Write the network that a search has found and the prices that gave it. Raises OutputError.

    graph : the float network that the point belongs to
    """
    facts = {"bit": prices.bit, "nonzero": dict(prices.nonzero)}
    checkpoint.save(folder / START, key, facts, point_arrays(point, graph))


def resume_start(folder: Path, key: str, graph: Graph) -> tuple[Point, Prices] | None:
    """What ``save_start`` wrote, None if it did not. Raises ConfigError as ``checkpoint`` does."""

    def read(facts: checkpoint.Facts, _: checkpoint.Arrays) -> tuple[Point, Prices]:
        nonzero = {str(name): float(bits) for name, bits in facts["nonzero"].items()}
        return read_point(folder / START, graph), Prices(float(facts["bit"]), nonzero)

    return checkpoint.resume(folder / START, key, read)
