"""What passes may look at: calibration pictures, and how far a network has moved from its float self."""

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
    """What a network came to as integers, in its file and on the held-out pictures.

    mean_kl : nats against the float model
    agreement : share of pictures with the same first class
    top1_drop : percentage points of accuracy lost, None without labels
    score_error : as ``fidelity`` has it, None where nothing was run
    """

    blob_bytes: int
    mean_kl: float
    agreement: float
    top1_drop: float | None = None
    score_error: float | None = None


@dataclass(frozen=True)
class Evidence:
    """Centred camera pictures, float32 [N, C, H, W], without labels.

    measure : for statistics and sensitivities
    held_out : for choosing between settings; no picture is in both unless there is only one
    trial : lowers and encodes a network whose every convolution has levels, and runs it on held_out
    work : by Conv node, what a weight that is not zero costs the target, 1 on average over all weights;
        empty where that is the same everywhere
    weighed : whether that work counts beside the bytes of the file
    tell : takes a key of the manifest and what a pass has to say under it
    checkpoint : folder in which a long pass keeps what it has done so far, None: nowhere
    """

    measure: F32
    held_out: F32
    progress: Progress
    trial: Callable[[Graph], Trial]
    work: Mapping[str, float] = field(default_factory=dict)
    weighed: bool = False
    tell: Callable[[str, Mapping[str, Any]], None] = lambda key, said: None
    checkpoint: Path | None = None


class Divergence:
    """Measures candidate weights against the float network on a fixed set of pictures.

    Candidates may have other weights than the graph behind the last ``advance`` only.
    """

    def __init__(self, graph: Graph, pictures: F32) -> None:
        self._graph = graph
        self._at = {graph.inputs[0].name: pictures}
        self._runner = FloatRunner(graph, swappable=True)
        self._reference = self._runner.run(pictures)
        if not np.isfinite(self._reference).all():
            raise NumericError(graph.name, "gives scores that are not finite on calibration pictures")

    def advance(self, name: str) -> None:
        """Keep what the float network has in front of a Conv node: what comes before is not computed again."""
        wanted = cut(self._graph, [name])
        new = [tensor for tensor in wanted if tensor not in self._at]
        if new:
            batches = list(FloatRunner(section(self._graph, self._at, new)).batches(self._at))
            self._at |= {tensor: np.concatenate([b[tensor] for b in batches]) for tensor in new}
        self._at = {tensor: self._at[tensor] for tensor in wanted}
        self._runner = FloatRunner(section(self._graph, wanted, self._graph.outputs), swappable=True)

    def __call__(self, weights: Mapping[str, Weight], biases: Mapping[str, F32] | None = None) -> float:
        """Mean KL in nats of the network with the given weights and biases in place of its own."""
        return mean_kl(self._reference, self._runner.run(self._at, weights, biases))
