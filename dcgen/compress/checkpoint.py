"""A training on disk: everything that a later run needs to end as an uninterrupted one would.

One .npz file, replaced as a whole after each round, so that a run that is ended at any time leaves a whole one.
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

from dcgen.compress.student import Layer
from dcgen.errors import ConfigError, OutputError

FILE = "distill.npz"
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{FILE}.new"
        new.write_bytes(buffer.getvalue())
        os.replace(new, folder / FILE)
    except OSError as e:
        raise OutputError(folder, f"a checkpoint cannot be written: {e.strerror or e}") from e


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
        if about["key"] != key:
            raise ConfigError(
                path, "is a training of another network, other pictures or settings", "name another folder"
            )
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
