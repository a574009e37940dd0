"""From labelled samples to a trained network: the stages of a training in order, and what its folder keeps.

The folder holds ``checkpoint.pt``, from which an interrupted training goes on to the same bytes, ``curves.csv``,
and, once the training has ended, what ``dcgen compile`` takes: ``float.onnx``, the network at the end of its dense
stages, ``trained.npz``, its weights and levels after all stages, and ``calibration.npz``, samples that gradients
were never computed on.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from dcgen import __version__
from dcgen.compress.fold import canonical
from dcgen.compress.point import Point, point_bytes
from dcgen.errors import OutputError
from dcgen.importers.onnx_import import load_onnx
from dcgen.importers.torch_import import import_module
from dcgen.inputs.samples import Samples, open_samples
from dcgen.integers import coded_size
from dcgen.ir.graph import Graph, Weight
from dcgen.ir.to_onnx import to_onnx
from dcgen.methods.method import Method, weight_levels
from dcgen.models.spec import SqueezeNetSpec
from dcgen.models.torch_squeezenet import SqueezeNet
from dcgen.models.trainable import find_trainable
from dcgen.pictures import Preprocess
from dcgen.progress import Progress, Warn
from dcgen.run_folder import CALIBRATION, CHECKPOINT, CURVES, FLOAT, RUN, TRAINED, Run
from dcgen.train.data import Dataset, read_dataset
from dcgen.train.loop import Epoch, StageTrainer, coded_bits, measured
from dcgen.train.network import GraphNetwork
from dcgen.train.stage import Schedule

CALIBRATION_SAMPLES = 1_000
"""Most held-out samples that a run keeps for calibration."""
RANGE_SAMPLES = 64
"""Held-out samples from which activation ranges are taken where the file's size is counted during training."""


@dataclass(frozen=True)
class Stage:
    """One stage: a method with its settings, and how its parameters are trained."""

    method: Method
    schedule: Schedule

    def to_json(self) -> dict[str, Any]:
        return {"method": self.method.name, **asdict(self.method), **asdict(self.schedule)}


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """What a user asks to be trained.

    model : name of an architecture, or what the network of ``spec`` is called
    data : folder of class folders, or file of arrays
    stages : in order; the first ones, of method ``dense``, make the float network that others are compared with
    size : height and width of the pictures; None for the architecture's
    form : preprocessing; None for the samples' own mean and deviation
    seed : of every random draw
    spec : the SqueezeNet that is trained, for pictures of its ``size``; channels and classes are the data's. None
        for the architecture called ``model``
    split : seed by which samples are held out, where several seeds are to be compared; None for ``seed``
    """

    model: str
    data: Path
    stages: tuple[Stage, ...]
    size: int | None = None
    form: Preprocess | None = None
    seed: int = 0
    spec: SqueezeNetSpec | None = None
    split: int | None = None

    def to_json(self) -> dict[str, Any]:
        form = None if self.form is None else self.form.to_json()
        own = {"model": self.model, "size": self.size, "form": form, "seed": self.seed}
        if self.spec is not None:
            own |= {"spec": asdict(self.spec)}
        if self.split is not None:
            own |= {"split": self.split}
        return {**own, "stages": [s.to_json() for s in self.stages]}

    def dataset(self, samples: Samples, warn: Warn) -> Dataset:
        """The job's ``samples``, split, at the size of its network."""
        size, seed = self.picture_size, self.seed if self.split is None else self.split
        return read_dataset(samples, self.form, (size, size), seed, warn)

    @property
    def picture_size(self) -> int:
        """Height and width of the pictures that the network takes."""
        return self.spec.size if self.spec is not None else self.size or find_trainable(self.model).size

    def network(self, channels: int, classes: int) -> nn.Module:
        """The network with random weights."""
        if self.spec is None:
            return find_trainable(self.model).build(channels, self.picture_size, classes)
        return SqueezeNet(replace(self.spec, channels=channels, classes=classes))


Watch = Callable[[Sequence[Epoch]], None]
"""Called after each epoch with all epochs so far. What it raises ends the training, which can go on from there."""


def unwatched(epochs: Sequence[Epoch]) -> None:
    """A ``Watch`` that lets every training go on."""


def train(job: TrainJob, out: Path, progress: Progress, warn: Warn, watch: Watch = unwatched) -> dict[str, Any]:
    """Train ``job``, or go on with it where ``out`` holds a part of it, and return what ``run.json`` says.

    Raises a DcgenError, or what ``watch`` raises; what was trained until then is kept in ``out``.
    """
    data = job.dataset(open_samples(job.data, warn, training=True), warn)
    folder = _Folder(out, _key(job, data))
    if (done := folder.finished()) is not None:
        return done
    torch.manual_seed(job.seed)
    module = job.network(data.form.channels, data.classes)
    return _Training(job, data, folder, progress, watch).run(module, job.picture_size)


def _key(job: TrainJob, data: Dataset) -> str:
    """Hash of all that a training's result depends on, but the machine."""
    text = json.dumps([__version__, torch.__version__, job.to_json(), data.to_json()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class _Folder:
    """The folder of a run, written file by file, each as a whole."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        if path.exists() and not path.is_dir():
            raise OutputError(path, "exists and is not a folder", "name another folder")
        if path.is_dir() and any(path.iterdir()) and not (path / CHECKPOINT).exists():
            raise OutputError(path, "exists, is not empty and holds no training", "name another folder")
        self._kept = self._read()

    def _read(self) -> dict[str, Any]:
        if not (self.path / CHECKPOINT).exists():
            return {}
        try:
            state: dict[str, Any] = torch.load(self.path / CHECKPOINT, map_location="cpu", weights_only=True)
            if state["key"] != self.key:
                problem = "holds a training of other data or settings"
                raise OutputError(self.path, problem, "name another folder")
        except OutputError:
            raise
        except Exception as e:  # torch documents none of the exceptions that a damaged file raises
            raise OutputError(self.path / CHECKPOINT, f"is damaged ({type(e).__name__})", "remove it") from None
        return state

    def finished(self) -> dict[str, Any] | None:
        """What ``run.json`` says of a training that has ended."""
        return Run.read(self.path).data if self._kept.get("finished") else None

    def state(self) -> dict[str, Any]:
        """What the last checkpoint kept; empty before the first."""
        return self._kept

    def write(self, name: str, data: bytes) -> None:
        """Replace a file."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            new = self.path / f"{name}.new"
            new.write_bytes(data)
            os.replace(new, self.path / name)
        except OSError as e:
            raise OutputError(self.path / name, f"cannot be written: {e.strerror or e}") from e

    def save(self, **state: Any) -> None:
        """Write the checkpoint."""
        self._kept = {"key": self.key, **state}
        buffer = io.BytesIO()
        torch.save(self._kept, buffer)
        self.write(CHECKPOINT, buffer.getvalue())


class _Training:
    """The stages of one job."""

    def __init__(self, job: TrainJob, data: Dataset, folder: _Folder, progress: Progress, watch: Watch) -> None:
        self._job, self._data, self._folder, self._progress, self._watch = job, data, folder, progress, watch
        self._curves: list[Epoch] = [Epoch(**row) for row in folder.state().get("curves", [])]

    def run(self, module: nn.Module, size: int) -> dict[str, Any]:
        stages = self._job.stages
        dense = next((i for i, s in enumerate(stages) if s.method.name != "dense"), len(stages))
        for number in range(dense):
            self._stage(number, module, self._data.form.normalise, None)
        shape = (self._data.form.channels, size, size)
        model = to_onnx(import_module(module, shape, self._job.model).graph).SerializeToString()
        self._folder.write(FLOAT, model)
        graph = canonical(load_onnx(self._folder.path / FLOAT, None, None).graph, self._data.form)
        teacher = GraphNetwork(graph)
        floats = measured(teacher, self._data.held_out, self._data.form.centred)
        network = GraphNetwork(graph)
        point, kept = _point(network), floats
        for number in range(dense, len(stages)):
            point, kept = self._compressed(number, network, teacher)
            network = GraphNetwork(point.applied(graph))
        return self._finish(graph, point, floats, kept)

    def _compressed(
        self, number: int, network: GraphNetwork, teacher: nn.Module
    ) -> tuple[Point, tuple[float, float]]:
        """Train a stage behind the dense ones; the network of its last epoch, its accuracy and loss, held out."""
        method = self._job.stages[number].method
        for _, layer in network.named():
            if (made := method.parametrization(layer.weight.detach())) is not None:
                parametrize.register_parametrization(layer, "weight", made)
        self._stage(number, network, self._data.form.centred, teacher)
        return _point(network), measured(network, self._data.held_out, self._data.form.centred)

    def _stage(
        self,
        number: int,
        network: nn.Module,
        inputs: Callable[[np.ndarray], np.ndarray],
        teacher: nn.Module | None,
    ) -> None:
        """Train ``network`` by stage ``number``, from where the checkpoint stands."""
        stage, state = self._job.stages[number], self._folder.state()
        trainer = StageTrainer(network, self._data, stage.schedule, number, self._job.seed, inputs, teacher)
        first = 0
        if state.get("stage", -1) > number:
            network.load_state_dict(state["networks"][number])
            return
        if state.get("stage") == number:
            network.load_state_dict(state["networks"][number])
            trainer.restore(state["trainer"])
            first = state["epoch"] + 1
        limit = stage.schedule.max_bytes
        for epoch in range(first, stage.schedule.epochs):
            if limit and isinstance(network, GraphNetwork):
                trainer.aim(limit - self._overhead(network))
            self._curves.append(trainer.epoch(epoch, partial(self._report, number, epoch * trainer.steps)))
            self._folder.write(CURVES, _csv(self._curves))
            self._folder.save(
                stage=number,
                epoch=epoch,
                networks={**state.get("networks", {}), number: network.state_dict()},
                trainer=trainer.state(),
                curves=[asdict(row) for row in self._curves],
            )
            self._watch(self._curves)

    def _report(self, number: int, before: int, step: int, steps: int) -> None:
        """Say how far stage ``number`` is: ``step`` of an epoch's ``steps``, and ``before`` in earlier ones."""
        stage = self._job.stages[number]
        name = f"stage {number + 1} of {len(self._job.stages)}, {stage.method.name}"
        self._progress(name, before + step, stage.schedule.epochs * steps)

    def _overhead(self, network: GraphNetwork) -> float:
        """Bytes of the file beside the weights' estimated ones."""
        with torch.no_grad():
            bits = coded_bits(network)
        point = _point(network)
        if bits is None or any(w.levels is None for w in point.weights.values()):
            return 0.0
        return self._bytes(point.applied(network.graph)) - float(bits) / 8

    def _bytes(self, graph: Graph) -> int:
        form, samples = self._data.form, self._data.held_out.data[:RANGE_SAMPLES]
        return coded_size(graph, form.centred(samples), form.camera_mean)

    def _finish(
        self, graph: Graph, point: Point, floats: tuple[float, float], kept: tuple[float, float]
    ) -> dict[str, Any]:
        held = self._data.held_out
        buffer = io.BytesIO()
        np.savez(buffer, x=held.data[:CALIBRATION_SAMPLES], y=held.labels[:CALIBRATION_SAMPLES])
        self._folder.write(CALIBRATION, buffer.getvalue())
        self._folder.write(TRAINED, point_bytes(point, graph))
        shared = all(w.levels is not None for w in point.weights.values())
        data = {
            "dcgen": __version__,
            "job": self._job.to_json(),
            "data": self._data.to_json(),
            "preprocess": self._data.form.to_json(),
            "shared": shared,
            "density": point.density,
            "blob_bytes": self._bytes(point.applied(graph)) if shared else None,
            "held_out": {
                "n": len(held),
                "float": {"top1": floats[0], "loss": floats[1]},
                "trained": {"top1": kept[0], "loss": kept[1]},
            },
        }
        self._folder.write(RUN, json.dumps(data, indent=1).encode())
        self._folder.save(**{**self._folder.state(), "finished": True})
        return data


def _point(network: GraphNetwork) -> Point:
    """The network's weights, with their levels where a method shares them, and biases."""
    weights, biases = {}, {}
    for name, layer in network.named():
        levels = weight_levels(layer)
        values = layer.weight.detach().numpy().copy()
        weights[name] = Weight(values) if levels is None else Weight.of(levels)
        biases[name] = layer.bias.detach().numpy().copy()
    return Point(weights, biases, 0.0)


def _csv(rows: Sequence[Epoch]) -> bytes:
    """The curves as a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()
