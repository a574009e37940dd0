"""Statistics of convolution inputs over pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dcgen.ir.graph import F32, F64, Conv, Graph, Weight
from dcgen.ir.runner import FloatRunner


@dataclass(frozen=True, eq=False)
class InputMoments:
    """First and second moment of each input channel of a convolution, float64 [I]."""

    mean: F64
    square: F64


def input_moments(graph: Graph, pictures: F32) -> dict[str, InputMoments]:
    """The moments by Conv node, over all pixels of all pictures (padding left out)."""
    network_input = graph.inputs[0].name
    sources = {n.name: n.inputs[0] for n, _ in graph.convs()}
    observed = sorted(set(sources.values()) - {network_input})
    sums: dict[str, list[F64]] = {
        network_input: [
            pictures.mean((0, 2, 3), np.float64),
            (pictures.astype(np.float64) ** 2).mean((0, 2, 3)),
        ]
    }
    if observed:
        for batch in FloatRunner(graph, observed).batches(pictures):
            for name, x in batch.items():
                y = x.astype(np.float64)
                found = [y.mean((2, 3)).sum(0) / len(pictures), (y**2).mean((2, 3)).sum(0) / len(pictures)]
                sums[name] = [a + b for a, b in zip(sums[name], found, strict=True)] if name in sums else found
    return {conv: InputMoments(*sums[source]) for conv, source in sources.items()}


def importance(conv: Conv, moments: InputMoments) -> F64:
    """Mean square per input channel as a weight [I/groups] sees it, averaged over the groups."""
    return np.asarray(moments.square.reshape(conv.groups, -1).mean(0))


def corrected_bias(conv: Conv, weight: Weight, moments: InputMoments) -> F32:
    """The bias that keeps the mean output with other weights (Nagel et al. 2019, section 4.2)."""
    lost = (conv.weight.values.astype(np.float64) - weight.values).sum((2, 3))
    o, i = lost.shape
    mean = np.repeat(moments.mean.reshape(conv.groups, i), o // conv.groups, axis=0)
    return np.asarray(conv.bias + (lost * mean).sum(1), np.float32)


def corrected_biases(
    graph: Graph, weights: Mapping[str, Weight], moments: Mapping[str, InputMoments]
) -> dict[str, F32]:
    """``corrected_bias`` of every convolution named in ``weights``."""
    return {
        n.name: corrected_bias(c, weights[n.name], moments[n.name]) for n, c in graph.convs() if n.name in weights
    }
