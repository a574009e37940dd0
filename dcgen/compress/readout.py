"""The scores' scale and means, fitted to the divergence once everything before them is quantized.

Levels that come closest in squared error give scores that are a few percent too small, as every regression
on a noisy input does, and a mean that rectifiers have moved. One factor for all scores and a shift for each
mend both, and are free: the factor goes into the step of the last convolution, the shift into its bias
(temperature scaling: Guo et al. 2017, section 4.2; bias correction: Nagel et al. 2019, section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dcgen.ahead import ahead
from dcgen.compress.sections import section
from dcgen.fidelity import log_softmax, mean_kl, score_error
from dcgen.ir.graph import F32, F64, AvgPool, Clip, Flatten, GlobalAvgPool, Graph, MaxPool, Weight
from dcgen.ir.runner import FloatRunner

ROUNDS = 8
"""Newton's, which converge in three or four."""
FACTORS = (0.8, 1.25)
"""A network that would need more has other troubles."""
NUDGE = 0.05
"""Shift of a bias, in deviations of the scores, by which its effect behind rectifiers and pools is measured."""
LEAST_EFFECT = 0.2
NUDGED = 160
"""Pictures that are enough to measure it on."""


@dataclass(frozen=True, eq=False)
class Readout:
    """The last convolution as fitted.

    bias : float32 [S]
    kl_of_error : mean KL that is left, in nats, over ``score_error``; None without any error
    """

    weight: Weight
    bias: F32
    kl_of_error: float | None


def readout(graph: Graph) -> str | None:
    """The convolution that scores are a multiple of, as what comes behind it keeps a factor; None without one."""
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


def fitted(
    graph: Graph, name: str, batches: Iterable[Mapping[str, tuple[F32, F32]]], weight: Weight, bias: F32
) -> Readout:
    """The weight and bias of ``readout`` with which the scores diverge least.

    name : ``readout`` of the graph
    batches : what the float and the quantized network put before it
    weight, bias : its quantized ones; levels stay, the step changes
    """
    source = graph.by_name[name].inputs[0]
    runner = FloatRunner(section(graph, [source], graph.outputs), swappable=True)
    found: list[tuple[F32, F32]] = []
    moved: list[F32] = []
    nudge = np.float32(0)
    for batch in ahead(batches):
        one, two = ({source: x} for x in batch[source])
        reference = runner.run(one)
        nudge = nudge or np.float32(NUDGE * reference.std() + 1e-6)
        scores = runner.run(two, {name: weight}, {name: bias})
        if len(moved) * len(scores) < NUDGED:
            moved.append(runner.run(two, {name: weight}, {name: bias + nudge}) - scores)
        found.append((reference, scores))
    wanted, given = (np.concatenate(f) for f in zip(*found, strict=True))
    if len(given) < 2 or given.shape[1] != len(bias):
        return Readout(weight, bias, _kl_of_error(wanted, given))
    factor, shift = fit(wanted.astype(np.float64), given.astype(np.float64))
    effect = np.maximum(np.concatenate(moved).mean(0, np.float64) / nudge, LEAST_EFFECT)
    left = _kl_of_error(wanted, np.asarray(factor * given + shift, np.float32))
    return Readout(scaled(weight, factor), np.asarray(factor * bias + shift / effect, np.float32), left)


def fit(reference: F64, scores: F64) -> tuple[float, F64]:
    """Factor, and shifts float64 [S], with which ``scores`` diverge least from ``reference``.

    reference, scores : float64 [N, S], N > 1

    The mean differences are taken for as much as they exceed what so few pictures leave to chance.
    """
    wanted = np.exp(log_softmax(reference))
    factor = 1.0
    for _ in range(ROUNDS):
        shift = _certain(reference - factor * scores)
        given = np.exp(log_softmax(factor * scores + shift))
        slope = ((given - wanted) * scores).sum(1).mean()
        curvature = ((given * scores**2).sum(1) - (given * scores).sum(1) ** 2).mean()
        factor = float(np.clip(factor - slope / max(curvature, 1e-12), *FACTORS))
    return factor, shift


def scaled(weight: Weight, factor: float) -> Weight:
    """The same levels, a step ``factor`` times as large."""
    levels = weight.levels
    assert levels is not None and levels.step is not None
    step = levels.step * factor
    return Weight.of(replace(levels, codebook=levels.multiples.astype(np.float64) * step, step=step))


def _kl_of_error(wanted: F32, given: F32) -> float | None:
    error = score_error(wanted, given)
    return mean_kl(wanted, given) / error if error > 0 else None


def _certain(differences: F64) -> F64:
    """Their means, shrunk by the share of these that chance explains (James & Stein 1961)."""
    mean = differences.mean(0)
    chance = float((differences.var(0, ddof=1) / len(differences)).sum())
    total = float((mean**2).sum())
    return np.asarray(mean * max(0.0, 1 - chance / total) if total > 0 else mean)
