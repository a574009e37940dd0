"""What passes may look at: calibration pictures, and how far a network has moved from its float self."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dcgen.errors import NumericError
from dcgen.fidelity import mean_kl
from dcgen.ir.graph import F32, Graph, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.progress import Progress


@dataclass(frozen=True)
class Evidence:
    """Centred camera pictures, float32 [N, C, H, W], without labels.

    measure : for statistics and sensitivities
    held_out : for choosing between settings; no picture is in both unless there is only one
    """

    measure: F32
    held_out: F32
    progress: Progress


class Divergence:
    """Measures candidate weights against the float network on a fixed set of pictures."""

    def __init__(self, graph: Graph, pictures: F32) -> None:
        self._runner = FloatRunner(graph, swappable=True)
        self._pictures = pictures
        self._reference = self._runner.run(pictures)
        if not np.isfinite(self._reference).all():
            raise NumericError(graph.name, "gives scores that are not finite on calibration pictures")

    def __call__(self, weights: Mapping[str, Weight], biases: Mapping[str, F32] | None = None) -> float:
        """Mean KL in nats of the network with the given weights and biases in place of its own."""
        return mean_kl(self._reference, self._runner.run(self._pictures, weights, biases))
