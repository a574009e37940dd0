"""What passes may look at: calibration pictures, and how far a network has moved from its float self."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dcgen.ir.graph import F32, F64, Graph, Weight
from dcgen.ir.runner import FloatRunner

Progress = Callable[[str, int, int], None]
"""Called with what is being done, steps done, steps in all."""


def counted(progress: Progress, stage: str, total: int) -> Callable[[int], None]:
    """A callback that takes steps newly done and reports the sum of them."""
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, done, total)

    return step


@dataclass(frozen=True)
class Evidence:
    """Centred camera pictures, float32 [N, C, H, W], without labels.

    measure : for statistics and sensitivities
    held_out : for choosing between settings; no picture is in both unless there is only one
    """

    measure: F32
    held_out: F32
    progress: Progress


def log_softmax(logits: F32) -> F64:
    """float64 [N, S] in nats."""
    z = logits.astype(np.float64)
    z = z - z.max(1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(1, keepdims=True)))


def mean_kl(reference: F32, logits: F32) -> float:
    """Mean over pictures of KL(softmax(reference) || softmax(logits)) in nats; both [N, S]."""
    p, q = log_softmax(reference), log_softmax(logits)
    return float((np.exp(p) * (p - q)).sum(1).mean())


class Divergence:
    """Measures candidate weights against the float network on a fixed set of pictures."""

    def __init__(self, graph: Graph, pictures: F32) -> None:
        self._runner = FloatRunner(graph, swappable=True)
        self._pictures = pictures
        self._reference = self._runner.run(pictures)

    def __call__(self, weights: Mapping[str, Weight], biases: Mapping[str, F32] | None = None) -> float:
        """Mean KL in nats of the network with the given weights and biases in place of its own."""
        return mean_kl(self._reference, self._runner.run(self._pictures, weights, biases))
