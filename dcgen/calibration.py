"""What a compilation reads before it computes: the float model, and the samples that it is calibrated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dcgen import pictures as host
from dcgen.compress.fold import canonical, scaled_input
from dcgen.compress.recipes import Recipe
from dcgen.errors import ConfigError
from dcgen.importers import ImportedModel, load
from dcgen.inputs.forms import check_classes, choose_form, warn_of_training
from dcgen.inputs.samples import ArrayFile, InputForm, Samples
from dcgen.inputs.tensor import TensorInput, calibrated
from dcgen.ir.graph import Graph
from dcgen.ir.verify import of_one_input
from dcgen.progress import Warn, unheard
from dcgen.result import Calibration, Job, Source

LEAST_HELD_OUT = 64
"""Samples that are held out of few, though at most half of all: figures of fewer tell too little."""
SAME_BYTE = 0.01
"""Up to this difference, in steps, what a byte stands for is what the network's source rounds it to."""


def import_model(source: Source, samples: Samples) -> tuple[ImportedModel, InputForm | None]:
    """The float model, and how samples become its input; None for real values, whose range is to be calibrated.

    Raises UnsupportedError for a model of several inputs; ConfigError where samples are pictures, and
    neither the user nor the model says how these are preprocessed; ConfigError or PictureError where samples do
    not suit the model.
    """
    chosen = source.preprocess
    default = chosen.size if isinstance(chosen, host.Preprocess) else None
    model = load(
        source.model, weights=source.weights, input_size=source.size, default_size=default, trust=source.trust
    )
    of_one_input(model.graph)
    if source.name is not None:
        model = replace(model, graph=replace(model.graph, name=source.name))
    hint = None if model.preprocess_hint is None else host.preset(model.preprocess_hint)
    kind = samples.kind(model.own_input)
    form = choose_form(samples.path, kind, chosen, hint, model.own_input)
    if form is None and kind == "pictures":
        hint_text = "give `preprocess`, or `mean`, `std` and `order`"
        raise ConfigError(source.model, "does not say how its input is made", hint_text)
    if isinstance(form, host.Preprocess):
        form = host.with_size(form, max(model.graph.inputs[0].shape[1:]))
    return model, form


def held_out_of(count: int, share: float) -> int:
    """How many of ``count`` samples are held out: ``share``, more of few (``LEAST_HELD_OUT``), none of one."""
    return min(max(1, round(share * count), min(LEAST_HELD_OUT, count // 2)), count - 1)


def kept_input(model: ImportedModel, recipe: Recipe) -> TensorInput | None:
    """What the model's input is rounded to in its source, if the recipe keeps that, else None."""
    first = model.graph.inputs[0]
    if not recipe.own_ranges or first.name not in model.ranges:
        return None
    low, high = model.ranges[first.name]
    scale = float(np.float32((high - low) / 255))
    return TensorInput("float32", scale, float(round(-low / scale)), first.shape)


def canonical_model(
    model: ImportedModel, form: InputForm, recipe: Recipe
) -> tuple[Graph, Mapping[str, tuple[float, float]]]:
    """The model's graph in canonical form for bytes of ``form``, and the intervals of real values that its tensors
    have in the source, as ``ImportedModel.ranges``.

    Where the recipe keeps what the input is rounded to, and bytes stand for other values, a convolution makes
    these of them: it rounds as the source does.
    """
    own = kept_input(model, recipe)
    if own is None:
        return canonical(model.graph, form), model.ranges
    every = np.arange(256, dtype=np.uint8).reshape(1, 1, -1, 1)
    steps = form.normalise(every.repeat(form.channels, 3)) / own.scale + own.zero_point
    same = bool(np.abs(steps - np.arange(256)).max() <= SAME_BYTE)
    graph = canonical(model.graph, form, apart=not same)
    return graph, {**model.ranges, scaled_input(model.graph): model.ranges[model.graph.inputs[0].name]}


def draw(
    samples: Samples, job: Job, form: InputForm | None, model: ImportedModel, warn: Warn
) -> tuple[Calibration, InputForm]:
    """Calibration samples for the input of ``model``, drawn with the recipe's seed, and their form.

    The recipe's share of them is held out for choices, the others are measured; a single sample is both. Where
    ``form`` is None, the recipe's ``kept_input`` or else the measured ones' range decides what bytes stand for.
    Raises PictureError where the job has labels, but none for a sample that is held out.
    """
    graph, shape = model.graph, model.graph.inputs[0].shape
    form = form or kept_input(model, job.recipe)
    order = np.random.default_rng(job.recipe.seed).permutation(len(samples.names))[: job.recipe.pictures].tolist()
    n = held_out_of(len(order), job.recipe.held_out)
    if form is None:
        assert isinstance(samples, ArrayFile)  # what pictures are made into is known from the start
        padded = any(any(getattr(u.op, "pads", ())) for u in graph.consumers[graph.inputs[0].name])
        form = calibrated(samples.values(order[n:], shape, unheard), shape, holds_zero=padded)
    loaded = samples.load(order, form, shape[1:], warn)
    held_out = slice(n) if n else slice(None)
    asked = job.pictures.labels
    labels = samples.with_labels(asked, order[held_out])
    labels = check_classes(asked or samples.path, labels, graph.n_scores, asked=asked is not None)
    if labels is not None:
        warn_of_training(samples.path, warn)
    real = None if loaded.real is None else loaded.real[held_out]
    return Calibration(loaded.data[n:], loaded.data[held_out], labels, real), form
