"""Corrects the scores of a quantized network: one factor for all, and a shift for each.

The scores of levels of least squared error are a few percent too small, as a regression on a noisy input gives,
and their means are moved by what rectifiers make of errors. The factor and shifts are chosen for the least
loss against the float network. They cost no byte: the factor goes into the step of the last convolution, the
shifts go into its bias (temperature scaling: Guo et al. 2017, section 4.2; bias correction: Nagel et al. 2019,
section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dcgen.ahead import ahead
from dcgen.compress.sections import section
from dcgen.ir.graph import F32, F64, AvgPool, Clip, Conv, Flatten, GlobalAvgPool, Graph, MaxPool, Weight
from dcgen.ir.runner import FloatRunner, batch_size
from dcgen.metric import Metric

ROUNDS = 8
"""Steps of Newton's method for the factor, which converges in three or four."""
FACTORS = (0.8, 1.25)
"""Least and largest factor. One outside would hide a fault of the network, not correct its scores."""
NUDGE = 0.05
"""Amount, in standard deviations of the scores, that is added to the biases to measure what it adds to the scores,
behind rectifiers and pools."""
LEAST_EFFECT = 0.2
"""Least share of a shift of a bias that is taken to reach its score: a score that a rectifier mostly cuts off
would ask for a very large shift."""
NUDGE_PICTURES = 160
"""Pictures on which the effect of a shift is measured; the mean over these hardly scatters."""


@dataclass(frozen=True, eq=False)
class Readout:
    """The last convolution with its factor and shifts.

    bias : float32 [S]
    loss_of_error : the metric's loss over its ``score_error``, both of the corrected scores; None where there is
        no error
    """

    weight: Weight
    bias: F32
    loss_of_error: float | None


def readout(graph: Graph) -> str | None:
    """The last convolution, if a factor on its outputs is one on the scores: only pools, Flatten and rectifiers
    are behind it. None otherwise."""
    convs = [n.name for n, _ in graph.convs()]
    if not convs or len(graph.outputs) != 1:
        return None
    at = convs[-1]
    for node in graph.nodes[[n.name for n in graph.nodes].index(at) + 1 :]:
        scaled = isinstance(node.op, MaxPool | AvgPool | GlobalAvgPool | Flatten) or node.op == Clip()
        if node.inputs != (at,) or not scaled:
            return None
        at = node.name
    return convs[-1] if graph.outputs == (at,) else None


def in_units(graph: Graph, units: F64) -> tuple[Graph, F64 | None]:
    """The graph with outputs divided by ``units``, float64 [S], and the units that they have now.

    Where outputs of different deviations are divided by them, one grid of levels serves the rows of the last
    convolution, and their errors weigh the same. The division goes into its weights and biases; where that is not
    possible, the graph stays as it is and the units are None, for 1.
    """
    last = readout(graph)
    conv = graph.by_name[last].op if last is not None else None
    if last is None or not isinstance(conv, Conv) or graph.shapes[graph.outputs[0]] != (len(units), 1, 1):
        return graph, None
    if len(conv.bias) != len(units):
        return graph, None
    weight = (conv.weight.values / units[:, None, None, None]).astype(np.float32)
    return graph.with_weights({last: Weight(weight)}, {last: (conv.bias / units).astype(np.float32)}), units


def fitted(
    graph: Graph,
    name: str,
    batches: Iterable[Mapping[str, tuple[F32, F32]]],
    weight: Weight,
    bias: F32,
    metric: Metric,
) -> Readout:
    """The last convolution with the factor and shifts of least loss.

    name : ``readout`` of the graph
    batches : by tensor name, the (float, quantized) values of what the convolution reads, float32 [B, C, H, W]
    weight, bias : of the quantized convolution; its levels stay, its step changes
    metric : whose loss is to be small
    """
    source = graph.by_name[name].inputs[0]
    head = section(graph, [source], graph.outputs)
    size = batch_size(graph)
    runner, quantized = FloatRunner(head, batch=size), head.with_weights({name: weight}, {name: bias})
    other, nudged, nudge = FloatRunner(quantized, batch=size), None, np.float32(0)
    found: list[tuple[F32, F32]] = []  # scores of the float and of the quantized network
    moved: list[F32] = []  # what a nudge of all biases adds to the latter
    for batch in ahead(batches):
        one, two = ({source: x} for x in batch[source])
        reference, scores = runner.run(one), other.run(two)
        if nudged is None:
            nudge = np.float32(NUDGE * (reference.std() or 1.0))
            nudged = FloatRunner(head.with_weights({name: weight}, {name: bias + nudge}), batch=size)
        if len(moved) * len(scores) < NUDGE_PICTURES:
            moved.append(nudged.run(two) - scores)
        found.append((reference, scores))
    wanted, given = (np.concatenate(f) for f in zip(*found, strict=True))
    if len(given) < 2 or given.shape[1] != len(bias):
        return Readout(weight, bias, _loss_of_error(metric, wanted, given))
    factor, shift = fit(wanted.astype(np.float64), given.astype(np.float64), metric)
    effect = np.maximum(np.concatenate(moved).mean(0, np.float64) / nudge, LEAST_EFFECT)
    left = _loss_of_error(metric, wanted, np.asarray(factor * given + shift, np.float32))
    return Readout(scaled(weight, factor), np.asarray(factor * bias + shift / effect, np.float32), left)


def fit(reference: F64, scores: F64, metric: Metric) -> tuple[float, F64]:
    """The factor, and shifts float64 [S], with which ``factor * scores + shifts`` has the least loss against
    ``reference``.

    reference, scores : float64 [N, S], N > 1

    The shifts are the mean differences of the scores, shrunk by what chance adds to them on N pictures.
    """
    factor = 1.0
    for _ in range(ROUNDS):
        shift = _shrunk_means(reference - factor * scores)
        factor = float(np.clip(metric.factor(reference, scores, shift, factor), *FACTORS))
    return factor, shift


def scaled(weight: Weight, factor: float) -> Weight:
    """The weight with the same levels and a step that is ``factor`` times as large."""
    levels = weight.levels
    assert levels is not None and levels.step is not None
    step = levels.step * factor
    return Weight.of(replace(levels, codebook=levels.multiples.astype(np.float64) * step, step=step))


def _loss_of_error(metric: Metric, wanted: F32, given: F32) -> float | None:
    """``Readout.loss_of_error`` of scores ``given`` against ``wanted``, both float32 [N, S]."""
    error = metric.score_error(wanted, given)
    return metric.loss(wanted, given) / error if error > 0 else None


def _shrunk_means(differences: F64) -> F64:
    """Means over the pictures of differences float64 [N, S], shrunk by the share of their squares that chance
    explains (James & Stein 1961): float64 [S]."""
    mean = differences.mean(0)
    chance = float((differences.var(0, ddof=1) / len(differences)).sum())
    total = float((mean**2).sum())
    return np.asarray(mean * max(0.0, 1 - chance / total) if total > 0 else mean)
