"""What a training begins with: its samples, and a network of random weights, of given ones, or of a model file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from dcgen.calibration import import_model
from dcgen.compress.fold import canonical
from dcgen.errors import ConfigError, ModelError, PictureError
from dcgen.importers import LOADERS
from dcgen.importers.torch_import import import_module
from dcgen.inputs.samples import Samples, open_samples
from dcgen.ir.graph import Graph
from dcgen.models import python_file
from dcgen.models.starting import started
from dcgen.models.trainable import NAMES, Trainable, find_trainable
from dcgen.pictures import Preprocess
from dcgen.progress import Warn
from dcgen.reading import read_bytes
from dcgen.result import Source
from dcgen.train.data import Dataset, read_dataset
from dcgen.train.stage import Schedule


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What a user asks a training to begin with.

    model : name of an architecture, a Python file that defines one, or a model file
    data : samples with classes; see ``inputs.samples``
    settings : of an architecture, by name
    weights : state dict of a named architecture, whose classifier may be for another number of classes
    size : height and width of the pictures; None for the architecture's
    form : preprocessing; None for the samples' own mean and deviation, or the model file's
    trust : whether a model file may run code while it is loaded
    seed : of every random draw
    split : seed by which samples are held out, where several seeds are to be compared; None for ``seed``
    """

    model: str
    data: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    weights: Path | None = None
    size: int | None = None
    form: Preprocess | None = None
    trust: bool = False
    seed: int = 0
    split: int | None = None

    @property
    def split_seed(self) -> int:
        """The seed by which samples are held out."""
        return self.seed if self.split is None else self.split

    def to_json(self) -> dict[str, Any]:
        form = None if self.form is None else self.form.to_json()
        model = {"model": self.model, "settings": dict(self.settings), "size": self.size, "form": form}
        seeds = {"seed": self.seed, "split": self.split_seed}
        return {**model, "weights": self.weights and str(self.weights), **seeds}


@dataclass(frozen=True, eq=False)
class Start:
    """What a training begins with.

    name : of the network
    network : a module that dense stages train, or the float network of a model file
    files : SHA-256, in hexadecimal, of the files that say what the network is
    """

    name: str
    network: nn.Module | Graph
    data: Dataset
    files: Mapping[str, str]


def schedule_of(asked: Beginning) -> Schedule | None:
    """How the network is trained unless a stage says otherwise; None for a model file, which is trained."""
    if _is_model_file(asked.model):
        return None
    return python_file.SCHEDULE if _is_python_file(asked.model) else _architecture(asked).schedule


def begin(asked: Beginning, warn: Warn) -> Start:
    """Read the samples and make the network. Raises a DcgenError for what is wrong with either, also where a
    user's network has operators that dcgen does not compile."""
    samples = open_samples(asked.data, warn, training=True)
    files = {str(f): _digest(f) for f in (Path(asked.model), asked.weights) if f is not None and f.is_file()}
    if _is_model_file(asked.model):
        return _from_file(asked, samples, files, warn)
    network = _architecture(asked)
    size = (asked.size, asked.size) if asked.size else network.size
    data = read_dataset(samples, asked.form, size, asked.split_seed, warn)
    if asked.size and not isinstance(data.form, Preprocess):
        raise ConfigError("`input_size`", f"is for pictures, {asked.data} holds {data.form.name}", "leave it out")
    _check_classes(samples, data.classes)
    module = started(network, data.form.channels, data.size, data.classes, asked.weights)
    if network.name not in NAMES:  # whether it can be compiled is to be known before it is trained
        canonical(import_module(module, (data.form.channels, *data.size), network.name).graph, data.form)
    return Start(network.name, module, data, files)


def _is_model_file(model: str) -> bool:
    return Path(model).suffix.lower() in LOADERS


def _is_python_file(model: str) -> bool:
    return Path(model).suffix.lower() == python_file.SUFFIX


def _architecture(asked: Beginning) -> Trainable:
    """Raises ConfigError for an unknown name, ModelError for a Python file that cannot be run."""
    if not _is_python_file(asked.model):
        return find_trainable(asked.model, asked.settings)
    if asked.settings:
        raise ConfigError(asked.model, "has no settings", "leave out `settings`")
    return python_file.read_network(Path(asked.model))


def _from_file(asked: Beginning, samples: Samples, files: Mapping[str, str], warn: Warn) -> Start:
    """Begin with the network of a model file."""
    if asked.settings:
        raise ConfigError(asked.model, "is a network already, which has no settings", "leave out `settings`")
    source = Source(
        model=asked.model, weights=asked.weights, preprocess=asked.form, size=asked.size, trust=asked.trust
    )
    model, form = import_model(source, samples)
    graph = model.graph
    if len(graph.outputs) > 1 or graph.n_scores < 2:
        raise ModelError(asked.model, "is trained by classes only, expected one output of two scores or more")
    shape = graph.inputs[0].shape
    data = read_dataset(samples, form, shape[1:], asked.split_seed, warn, shape)
    if data.classes > graph.n_scores:
        problem = f"names class {data.classes - 1}, the network has {graph.n_scores}"
        raise PictureError(samples.path, problem)
    return Start(Path(asked.model).stem, graph, data, files)


def _check_classes(samples: Samples, classes: int) -> None:
    """Raise PictureError where a class that is numbered has no sample."""
    assert samples.labels is not None
    lost = np.flatnonzero(np.bincount(samples.labels, minlength=max(classes, len(samples.classes))) == 0)
    if len(lost):
        number = int(lost[0])
        name = samples.classes[number] if samples.classes else number
        problem = f"has no sample of class {name}, the first of {len(lost)} without any"
        raise PictureError(samples.path, problem, "number classes from 0 without a gap, remove empty folders")


def _digest(file: Path) -> str:
    return hashlib.sha256(read_bytes(file, ModelError)).hexdigest()
