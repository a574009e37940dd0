"""A training on disk: everything that a later run needs to end as an uninterrupted one would.

A folder holds the network that a search has found, and the training since. Each file is replaced as a whole,
so that a run that is ended at any time leaves whole ones.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.compress.point import Point, read_point
from dcgen.compress.secondorder import Prices
from dcgen.compress.student import Layer
from dcgen.errors import ConfigError, OutputError
from dcgen.ir.graph import Graph

FILE = "distill.npz"
START, PAID = "start.npz", "start.json"
"""The network that training starts from, as a point, and the prices that gave it, written last."""
LAYER = tuple(f.name for f in fields(Layer))


@dataclass(frozen=True, eq=False)
class Saved:
    """A training after some rounds.

    rounds : what each round came to, as plain data
    price : of a bit, for the next round, in nats
    layers, best : as they are, and where they were best
    memory : of the optimizer
    """

    rounds: tuple[dict[str, Any], ...]
    price: float
    layers: Mapping[str, Layer]
    best: Mapping[str, Layer]
    memory: Mapping[str, np.ndarray]


def save(folder: Path, key: str, saved: Saved) -> None:
    """Write the training into the folder; ``key`` says what it is a training of. Raises OutputError."""
    arrays: dict[str, np.ndarray] = {f"memory.{k}": a for k, a in saved.memory.items()}
    for kind, layers in (("layers", saved.layers), ("best", saved.best)):
        for name, layer in layers.items():
            arrays.update({f"{kind}.{name}.{field}": np.asarray(getattr(layer, field)) for field in LAYER})
    about = {"key": key, "rounds": saved.rounds, "price": saved.price}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)
    _write(folder, FILE, buffer.getvalue())


def save_start(folder: Path, key: str, point: bytes, prices: Prices) -> None:
    """Write what a search has found, ``point`` being the bytes of a point; ``key`` says what it searched for."""
    _write(folder, START, point)
    about = {"key": key, "bit": prices.bit, "nonzero": dict(prices.nonzero)}
    _write(folder, PAID, json.dumps(about).encode())


def resume_start(folder: Path, key: str, graph: Graph) -> tuple[Point, Prices] | None:
    """What a search of this key had found, None if it had not yet. Raises ConfigError as ``resume`` does."""
    path = folder / PAID
    if not path.exists():
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        _check(path, key, about["key"])
        prices = Prices(float(about["bit"]), {str(k): float(v) for k, v in about["nonzero"].items()})
    except OSError as e:
        raise ConfigError(path, f"cannot be read: {e.strerror or e}") from e
    except (KeyError, ValueError, TypeError, AttributeError) as e:
        raise ConfigError(path, f"is no checkpoint: {e}", "remove it") from e
    return read_point(folder / START, graph), prices


def _write(folder: Path, name: str, data: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{name}.new"
        new.write_bytes(data)
        os.replace(new, folder / name)
    except OSError as e:
        raise OutputError(folder, f"a checkpoint cannot be written: {e.strerror or e}") from e


def _check(path: Path, key: str, found: str) -> None:
    if found != key:
        raise ConfigError(
            path, "is a training of another network, other pictures or settings", "name another folder"
        )


def resume(folder: Path, key: str, names: tuple[str, ...]) -> Saved | None:
    """The training in the folder, None if there is none yet.

    Raises ConfigError for one that cannot be read, or of another network, other pictures or settings.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        about = json.loads(str(arrays["about"]))
        _check(path, key, about["key"])
        kinds = [{name: _layer(arrays, f"{kind}.{name}") for name in names} for kind in ("layers", "best")]
        memory = {k.removeprefix("memory."): a for k, a in arrays.items() if k.startswith("memory.")}
        return Saved(tuple(about["rounds"]), float(about["price"]), kinds[0], kinds[1], memory)
    except OSError as e:
        raise ConfigError(path, f"cannot be read: {e.strerror or e}") from e
    except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as e:
        raise ConfigError(path, f"is no checkpoint: {e}", "remove it") from e


def _layer(arrays: Mapping[str, np.ndarray], prefix: str) -> Layer:
    target, integers, step, centre = (arrays[f"{prefix}.{field}"] for field in LAYER)
    return Layer(target, integers, float(step), centre)
