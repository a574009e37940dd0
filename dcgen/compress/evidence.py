"""What compression passes may look at: calibration pictures, and how far a network's answers are from the float
network's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.compress.sections import cut, section
from dcgen.errors import NumericError
from dcgen.fidelity import mean_kl
from dcgen.ir.graph import F32, Graph, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.progress import Progress


@dataclass(frozen=True)
class Trial:
    """Figures of a network that was lowered, encoded and run as integers on the held-out pictures.

    blob_bytes : size of the blob
    mean_kl : mean divergence from the float network in nats
    agreement : share of the pictures with the same first class
    top1_drop : percentage points of accuracy lost; None without labels
    score_error : ``fidelity.score_error``; None where it is not known
    """

    blob_bytes: int
    mean_kl: float
    agreement: float
    top1_drop: float | None = None
    score_error: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What a recipe knows besides the network. Pictures are centred camera pictures, float32 [N, C, H, W].

    measure : pictures for statistics
    held_out : pictures for choosing between networks; none of them is in ``measure``, unless there is only one
        picture
    progress : told how far a pass is
    trial : lowers and encodes a network whose every convolution has levels, and runs it on ``held_out``
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
    work: Mapping[str, float] = field(default_factory=dict)
    weighed: bool = False
    tell: Callable[[str, Mapping[str, Any]], None] = lambda key, report: None
    checkpoint: Path | None = None


class Divergence:
    """Measures the divergence of networks with other weights from the float network ``graph``, on fixed pictures.

    pictures : float32 [N, C, H, W]

    Raises NumericError where the float network's scores are not finite.
    """

    def __init__(self, graph: Graph, pictures: F32) -> None:
        self._graph = graph
        self._at = {graph.inputs[0].name: pictures}
        self._runner = FloatRunner(graph, swappable=True)
        self._reference = self._runner.run(pictures)
        if not np.isfinite(self._reference).all():
            raise NumericError(graph.name, "gives scores that are not finite on calibration pictures")

    def advance(self, name: str) -> None:
        """From now on, start from the float network's tensors in front of a Conv node, and compute nothing
        before it again. Weights before it can no longer be replaced."""
        wanted = cut(self._graph, [name])
        new = [tensor for tensor in wanted if tensor not in self._at]
        if new:
            batches = list(FloatRunner(section(self._graph, self._at, new)).batches(self._at))
            self._at |= {tensor: np.concatenate([b[tensor] for b in batches]) for tensor in new}
        self._at = {tensor: self._at[tensor] for tensor in wanted}
        self._runner = FloatRunner(section(self._graph, wanted, self._graph.outputs), swappable=True)

    def __call__(self, weights: Mapping[str, Weight], biases: Mapping[str, F32] | None = None) -> float:
        """Mean divergence in nats with the given weights and biases, by Conv node, in place of the graph's own."""
        return mean_kl(self._reference, self._runner.run(self._at, weights, biases))
