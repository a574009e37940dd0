"""What compression passes may look at: calibration pictures, and how far a network's answers are from the float
network's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.compress.sections import cut, section
from dcgen.errors import NumericError
from dcgen.fidelity import ranking
from dcgen.intervals import NORMAL_QUANTILE
from dcgen.ir.graph import F32, F64, Graph, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.metric import (
    Classes,
    Metric,
    OutputKind,
    Values,
    expected_changes,
    expected_losses,
    mean_kl,
    metric_of,
    relative_errors,
)
from dcgen.progress import Progress

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """Figures of one of several outputs, which is classes; ``loss`` is that of its own metric, the others are as
    ``Trial`` has them for the only output."""

    name: str
    classes: int
    loss: float
    mean_kl: float
    agreement: float
    expected_changes: float


@dataclass(frozen=True)
class Judged:
    """One of several outputs: what it is, and how many elements it has."""

    name: str
    kind: OutputKind
    size: int


@dataclass(frozen=True)
class Trial:
    """Figures of a network that was lowered, encoded and run as integers on the held-out pictures.

    blob_bytes : size of the blob
    pictures : number of held-out pictures
    classes : number of classes, 0 where outputs are values
    relative_error : the largest of the outputs' errors, as ``fidelity.OutputFigures`` has it
    loss : ``loss`` of the network's metric
    score_error : ``score_error`` of the network's metric
    mean_kl : mean divergence from the float network in nats; None where outputs are values
    agreement : share of the pictures with the same first class; None where outputs are values
    expected_changes : ``metric.expected_changes``; None where outputs are values
    top1_drop : percentage points of accuracy lost; None without labels
    expected_drop : percentage points of accuracy that are expected to be lost, and the upper end of their 95 %
        interval; None without labels
    answers : of those of several outputs that are classes
    has_values : whether one of several outputs is values
    """

    blob_bytes: int
    pictures: int
    classes: int
    relative_error: float
    loss: float
    score_error: float
    mean_kl: float | None = None
    agreement: float | None = None
    expected_changes: float | None = None
    top1_drop: float | None = None
    expected_drop: tuple[float, float] | None = None
    answers: tuple[Answers, ...] = ()
    has_values: bool = True


def trial_of(
    blob_bytes: int, metric: Metric, reference: F32, scores: I32, score_scale: float | F64, labels: I64 | None
) -> Trial:
    """The figures of a network on pictures for which the float network's outputs are ``reference``, float32 [N,
    S].

    scores : int32 [N, S], the network's scores
    score_scale : real value of one unit of a score, or of each score, float64 [S]
    labels : int64 [N], classes of the pictures, None where they are not known or outputs are values
    """
    given = (scores * score_scale).astype(np.float32)
    error = float(relative_errors(reference, given).max())
    figures = error, metric.loss(reference, given), metric.score_error(reference, given)
    if isinstance(metric, Values):
        return Trial(blob_bytes, len(reference), 0, *figures)
    ours, theirs = (ranking(x, 1)[:, 0] for x in (scores, reference))
    told = mean_kl(reference, given), float((ours == theirs).mean()), expected_changes(reference, given)
    drop = expected = None
    if labels is not None:
        drop = 100 * float((theirs == labels).mean() - (ours == labels).mean())
        losses = 100 * expected_losses(reference, given, labels)
        mean, sure = float(losses.mean()), NORMAL_QUANTILE * float(losses.std()) / sqrt(len(losses))
        expected = mean, mean + sure
    return Trial(blob_bytes, len(reference), reference.shape[1], *figures, *told, drop, expected)


def judged_by_output(trial: Trial, outputs: Sequence[Judged], reference: F32, given: F64) -> Trial:
    """The figures of a network of several outputs, each judged as what it is: the relative error is that of those
    that are values, where there are any.

    reference, given : float [N, S], the float network's outputs and its own, one behind the other
    """
    start, answers, errors = 0, [], []
    for output in outputs:
        own = slice(start, start + output.size)
        theirs, ours = reference[:, own], given[:, own].astype(np.float32)
        start = own.stop
        if output.kind == "values":
            errors.append(float(relative_errors(theirs, ours).max()))
            continue
        metric = metric_of(theirs, "classes")
        alike = float((theirs.argmax(1) == ours.argmax(1)).mean())
        figures = metric.loss(theirs, ours), mean_kl(theirs, ours), alike, expected_changes(theirs, ours)
        answers.append(Answers(output.name, output.size, *figures))
    error = max(errors, default=trial.relative_error)
    return replace(trial, relative_error=error, answers=tuple(answers), has_values=bool(errors))


@dataclass(frozen=True)
class Evidence:
    """What a recipe knows besides the network. Pictures are centred camera pictures, float32 [N, C, H, W].

    measure : pictures for statistics
    held_out : pictures for choosing between networks; none of them is in ``measure``, unless there is only one
        picture
    progress : told how far a pass is
    trial : lowers and encodes a network whose every convolution has levels, and runs it on ``held_out``
    metric : what differences of the outputs are worth
    classes : number of classes that the outputs are scores of, 0 where they are values
    work : by Conv node, the work that a weight that is not zero causes on the target, relative to the mean over
        all weights; empty where all weights cause the same
    weighed : whether this work counts beside the bytes of the file
    tell : takes a key of the manifest and what a pass reports under it
    checkpoint : folder in which a long pass keeps what it has done so far; None: it keeps nothing
    """

    measure: F32
    held_out: F32
    progress: Progress
    trial: Callable[[Graph], Trial]
    metric: Metric = field(default_factory=Classes)
    classes: int = 0
    work: Mapping[str, float] = field(default_factory=dict)
    weighed: bool = False
    tell: Callable[[str, Mapping[str, Any]], None] = lambda key, report: None
    checkpoint: Path | None = None


class Divergence:
    """Measures the loss of networks with other weights against the float network ``graph``, on fixed pictures.

    pictures : float32 [N, C, H, W]
    metric : whose loss it is

    Raises NumericError where the float network's scores are not finite.
    """

    def __init__(self, graph: Graph, pictures: F32, metric: Metric) -> None:
        self._graph, self._metric = graph, metric
        self._at = {graph.inputs[0].name: pictures}
        self._rest = graph
        self._reference = FloatRunner(graph).run(pictures)
        if not np.isfinite(self._reference).all():
            raise NumericError(graph.name, "gives scores that are not finite on calibration pictures")

    def advance(self, name: str) -> None:
        """From now on, start from the float network's tensors in front of a Conv node, and compute nothing
        before it again. Weights before it can no longer be replaced."""
        wanted = cut(self._graph, [name], self._graph.outputs)
        new = [tensor for tensor in wanted if tensor not in self._at]
        if new:
            batches = list(FloatRunner(section(self._graph, self._at, new)).batches(self._at))
            self._at |= {tensor: np.concatenate([b[tensor] for b in batches]) for tensor in new}
        self._at = {tensor: self._at[tensor] for tensor in wanted}
        self._rest = section(self._graph, wanted, self._graph.outputs)

    def outputs(self, weights: Mapping[str, Weight], biases: Mapping[str, F32] | None = None) -> tuple[F32, F32]:
        """The float network's outputs, and those with the given weights and biases: float32 [N, S]."""
        return self._reference, FloatRunner(self._rest.with_weights(weights, biases)).run(self._at)

    def __call__(self, weights: Mapping[str, Weight], biases: Mapping[str, F32] | None = None) -> float:
        """The metric's loss with the given weights and biases, by Conv node, in place of the graph's own."""
        return self._metric.loss(*self.outputs(weights, biases))
