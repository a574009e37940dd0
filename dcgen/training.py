"""From labelled samples to a trained network: the stages of a training in order, and what its folder keeps.

The folder holds ``checkpoint.pt``, from which an interrupted training goes on to the same bytes, ``curves.csv``
and ``curves.png``, a drawing of it, and, once the training has ended, what ``dcgen compile`` takes:
``float.onnx``, the network at the end of its dense stages, ``trained.npz``, its weights and levels after all
stages, and ``calibration.npz``, samples that gradients were never computed on.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dcgen import __version__
from dcgen.compress.fold import canonical
from dcgen.compress.point import Point, fingerprint, point_bytes
from dcgen.curves import curves_png
from dcgen.extras import Device
from dcgen.importers.onnx_import import load_onnx
from dcgen.importers.torch_import import import_module
from dcgen.inputs.samples import InputForm
from dcgen.integers import coded_size
from dcgen.ir.graph import Graph, Weight
from dcgen.ir.to_onnx import to_onnx
from dcgen.methods.method import Method, weight_levels
from dcgen.pictures import Preprocess
from dcgen.progress import Progress, Warn
from dcgen.run_folder import CALIBRATION, CURVES, DRAWING, FLOAT, RUN, TRAINED, Run
from dcgen.start import Beginning, Start, begin
from dcgen.train.augmenting import suited
from dcgen.train.goal import ANY_DROP, EPSILON, Goal, Reached
from dcgen.train.loop import Epoch, StageTrainer, coded_bits, measured
from dcgen.train.network import GraphNetwork
from dcgen.train.price import AccuracyPrice, Price, SizePrice
from dcgen.train.stage import Schedule
from dcgen.training_folder import TrainingFolder

CALIBRATION_SAMPLES = 1_000
"""Most held-out samples that a run keeps for calibration."""
METHOD_SAMPLES = 256
"""Samples, of those that are trained on, on which methods look at activations."""
DRAWN_EVERY = 60.0
"""Seconds after which the curves are drawn anew while the training goes on: drawing takes a second."""
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
class TrainJob(Beginning):
    """What a user asks to be trained, beside what it begins with.

    stages : in order. The first ones, of method ``dense``, make the float network that others are compared with,
        unless a model file holds it.
    device : where it is trained; results differ in their last bits from those of another one
    """

    stages: tuple[Stage, ...]
    device: Device = "cpu"

    @property
    def goal(self) -> Goal:
        """The limits of the last stage, by which the best of its epochs is chosen."""
        return self.stages[-1].schedule.goal

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "stages": [s.to_json() for s in self.stages], "device": self.device}


Watch = Callable[[Sequence[Epoch]], None]
"""Called after each epoch with all epochs so far. What it raises ends the training, which can go on from there."""


def unwatched(epochs: Sequence[Epoch]) -> None:
    """A ``Watch`` that lets every training go on."""


def train(
    job: TrainJob,
    out: Path,
    progress: Progress,
    warn: Warn,
    begun: Path | None = None,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Train ``job``, or go on with it where ``out`` holds a part of it, and return what ``run.json`` says.

    begun : folder of a training that has ended and differs from ``job`` only in that it ends some stages earlier:
        where nothing is in ``out``, these stages are taken from there

    Raises a DcgenError, or what ``watch`` raises; what was trained until then is kept in ``out``.
    """
    torch.manual_seed(job.seed)
    progress("reading samples", 0, 1)
    start = begin(job, warn)
    progress("reading samples", 1, 1)
    stages = tuple(replace(s, schedule=suited(s.schedule, start.data.form)) for s in job.stages)
    job = replace(job, stages=stages)
    folder = TrainingFolder(out, _key(job, start))
    if (done := folder.finished()) is not None:
        return done
    if begun is not None and not folder.state():
        earlier = replace(job, stages=job.stages[: len(Run.read(begun).data["job"]["stages"])])
        state = TrainingFolder(begun, _key(earlier, start)).state()
        folder.save(**{**state, "best": None, "finished": False})
    return _Training(job, start, folder, progress, watch).run()


def _key(job: TrainJob, start: Start) -> str:
    """Hash of all that a training's result depends on, but the machine."""
    facts = [__version__, torch.__version__, job.to_json(), start.data.to_json(), dict(start.files)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class _Training:
    """The stages of one job."""

    def __init__(
        self, job: TrainJob, start: Start, folder: TrainingFolder, progress: Progress, watch: Watch
    ) -> None:
        self._job, self._start, self._folder, self._progress, self._watch = job, start, folder, progress, watch
        self._data = start.data
        self._curves: list[Epoch] = [Epoch(**row) for row in folder.state().get("curves", [])]
        self._float_top1, self._drawn = 0.0, time.monotonic()
        self._encoded = "", 0

    def run(self) -> dict[str, Any]:
        stages, form, device, dense = self._job.stages, self._data.form, self._job.device, 0
        model = self._start.network
        if isinstance(model, nn.Module):
            dense = next((i for i, s in enumerate(stages) if s.method.name != "dense"), len(stages))
            model.to(device)
            for number in range(dense):
                self._stage(number, model, form.normalise, None)
            model = import_module(model.cpu(), (form.channels, *self._data.size), self._start.name).graph
        self._folder.write(FLOAT, to_onnx(model).SerializeToString())
        graph = canonical(load_onnx(self._folder.path / FLOAT, None, None).graph, form)
        network = teacher = GraphNetwork(graph).to(device)
        floats = measured(teacher, self._data.held_out, form.centred)
        self._float_top1 = floats[0]
        samples = form.centred(self._data.train.data[:METHOD_SAMPLES])
        for number in range(dense, len(stages)):
            network = GraphNetwork(_point(network).applied(graph))
            network.parametrize(stages[number].method, samples)
            network.to(device)
            self._stage(number, network, form.centred, teacher)
        return self._finish(graph, network, floats)

    def _stage(
        self,
        number: int,
        network: nn.Module,
        inputs: Callable[[np.ndarray], np.ndarray],
        teacher: nn.Module | None,
    ) -> None:
        """Train ``network`` by stage ``number``, from where the checkpoint stands. After the last stage it is that
        of the best epoch, after others that of the last."""
        stage, state = self._job.stages[number], self._folder.state()
        schedule, price = stage.schedule, self._price(stage.schedule)
        trainer = StageTrainer(network, self._data, schedule, number, self._job.seed, inputs, teacher, price)
        if state.get("stage", -1) >= number:
            network.load_state_dict(state["networks"][number])
        if state.get("stage", -1) > number:
            return
        first, best = 0, None
        if state.get("stage") == number:
            trainer.restore(state["trainer"])
            first, best = state["epoch"] + 1, state["best"]
        for epoch in range(first, schedule.epochs):
            if schedule.max_bytes and isinstance(network, GraphNetwork):
                trainer.aim(schedule.max_bytes - self._overhead(network))
            row = trainer.epoch(epoch, partial(self._report, number, epoch * trainer.steps))
            self._curves.append(row)
            last = number == len(self._job.stages) - 1
            if last and stage.method.arrived((epoch + 1) / schedule.epochs):
                best = self._better(best, network, row)
            self._save(trainer, epoch, best)
            self._watch(self._curves)
        if not schedule.epochs:
            trainer.advance(1.0)
            self._save(trainer, -1, None)
        if best is not None:
            network.load_state_dict(best["network"])

    def _price(self, schedule: Schedule) -> Price | None:
        """What leads to the limits of a schedule."""
        if schedule.max_bytes:
            return SizePrice(goal=schedule.max_bytes, squeeze=schedule.squeeze)
        if schedule.max_top1_drop < ANY_DROP:
            return AccuracyPrice(least=self._float_top1 - schedule.max_top1_drop / 100 - EPSILON)
        return None

    def _better(self, best: dict[str, Any] | None, network: nn.Module, row: Epoch) -> dict[str, Any]:
        """The better one of the network of ``row``'s epoch and of the ``best`` before."""
        goal = self._job.goal
        encoded = bool(goal.max_bytes) or goal.max_top1_drop < ANY_DROP
        order = goal.order(self._reached(network, (row.accuracy, row.held_out_loss), encoded), self._float_top1)
        if best is not None and tuple(best["order"]) <= order:
            return best
        state = {name: value.clone() for name, value in network.state_dict().items()}
        return {"epoch": row.epoch, "order": order, "network": state}

    def _reached(self, network: nn.Module, found: tuple[float, float], encoded: bool) -> Reached:
        """What a network has come to, whose accuracy and loss are ``found``; its file's size where it is to be
        ``encoded`` and its weights have levels."""
        if not isinstance(network, GraphNetwork):
            return Reached(*found, density=1.0, bytes=None)
        point = _point(network)
        size = self._bytes(point.applied(network.graph)) if encoded and _shared(point) else None
        return Reached(*found, density=point.density, bytes=size)

    def _save(self, trainer: StageTrainer, epoch: int, best: dict[str, Any] | None) -> None:
        """Write the checkpoint of an epoch."""
        networks = {**self._folder.state().get("networks", {}), trainer.number: trainer.network.state_dict()}
        self._folder.save(
            stage=trainer.number,
            epoch=epoch,
            best=best,
            networks=networks,
            trainer=trainer.state(),
            curves=[asdict(row) for row in self._curves],
        )
        self._folder.write(CURVES, _csv(self._curves))
        if time.monotonic() - self._drawn > DRAWN_EVERY:
            self._draw()

    def _draw(self) -> None:
        """Draw the curves so far."""
        self._drawn = time.monotonic()
        if (drawing := curves_png(self._curves)) is not None:
            self._folder.write(DRAWING, drawing)

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
        if bits is None or not _shared(point):
            return 0.0
        return self._bytes(point.applied(network.graph)) - float(bits) / 8

    def _bytes(self, graph: Graph) -> int:
        """Bytes of the file of ``graph``. A network that ends an epoch begins the next: it is encoded once."""
        made = fingerprint(graph)
        if self._encoded[0] != made:
            form, samples = self._data.form, self._data.held_out.data[:RANGE_SAMPLES]
            self._encoded = made, coded_size(graph, form.centred(samples), form.camera_mean)
        return self._encoded[1]

    def _finish(self, graph: Graph, network: GraphNetwork, floats: tuple[float, float]) -> dict[str, Any]:
        """Write what is kept of ``network``, made from the float network of ``graph``, whose accuracy and loss,
        held out, are ``floats``."""
        held, goal = self._data.held_out, self._job.goal
        buffer = io.BytesIO()
        x, form = held.data[:CALIBRATION_SAMPLES], self._data.form
        x = x if isinstance(form, Preprocess) else form.values_of(x)
        np.savez(buffer, x=x, y=held.labels[:CALIBRATION_SAMPLES])
        self._folder.write(CALIBRATION, buffer.getvalue())
        self._folder.write(CURVES, _csv(self._curves))
        self._draw()
        point = _point(network)
        self._folder.write(TRAINED, point_bytes(point, graph))
        found = self._reached(network, measured(network, held, form.centred), encoded=True)
        data = {
            "dcgen": __version__,
            "name": self._start.name,
            "job": self._job.to_json(),
            "data": self._data.to_json(),
            "preprocess": _form_json(form),
            "shared": _shared(point),
            "density": found.density,
            "blob_bytes": found.bytes,
            "held_out": {
                "n": len(held),
                "float": {"top1": floats[0], "loss": floats[1]},
                "trained": {"top1": found.top1, "loss": found.loss},
            },
            "missed": [sentence for sentence, _ in goal.strains(found, floats[0])],
        }
        self._folder.write(RUN, json.dumps(data, indent=1).encode())
        self._folder.save(**{**self._folder.state(), "finished": True})
        return data


def _shared(point: Point) -> bool:
    """Whether every weight has levels."""
    return all(w.levels is not None for w in point.weights.values())


def _point(network: GraphNetwork) -> Point:
    """The network's weights, with their levels where a method shares them, and biases."""
    device = next(network.parameters()).device
    network.cpu()
    weights, biases = {}, {}
    for name, layer in network.named():
        levels = weight_levels(layer)
        values = layer.weight.detach().numpy().copy()
        weights[name] = Weight(values) if levels is None else Weight.of(levels)
        biases[name] = layer.bias.detach().numpy().copy()
    network.to(device)
    return Point(weights, biases, 0.0)


def _form_json(form: InputForm) -> dict[str, Any]:
    """How samples become the network's input, with the shape of those that are no pictures."""
    return form.to_json() if isinstance(form, Preprocess) else {**form.to_json(), "shape": form.shape}


def _csv(rows: Sequence[Epoch]) -> bytes:
    """The curves as a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()
