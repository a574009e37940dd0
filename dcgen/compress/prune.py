"""Magnitude pruning (Han et al. 2015; 2016, section 2), and a scan of how far each layer can be pruned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dcgen.compress.evidence import Divergence, Evidence
from dcgen.ir.graph import F32, Graph, Weight

SCAN = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25, 0.2, 0.15, 0.1)
"""Densities that a scan tries, from dense to sparse."""
SCAN_PICTURES = 32
"""Held-out pictures that a scan measures the divergence on."""


def magnitude(values: F32, density: float) -> F32:
    """The weights with only the share ``density`` of largest magnitude kept, and all others zero.

    Of weights of equal magnitude the first are kept, so that the count is exact.
    """
    keep = round(density * values.size)
    order = np.argsort(-np.abs(values.ravel()), kind="stable")
    pruned = values.ravel().copy()
    pruned[order[keep:]] = 0
    return pruned.reshape(values.shape)


def prune(graph: Graph, densities: Mapping[str, float]) -> Graph:
    """The graph with the convolutions that ``densities`` names pruned to these."""
    return graph.with_weights(
        {
            n.name: Weight(magnitude(c.weight.values, densities[n.name]))
            for n, c in graph.convs()
            if n.name in densities
        }
    )


def scan(graph: Graph, evidence: Evidence, max_kl: float) -> dict[str, float]:
    """By convolution, the lowest density to which it can be pruned, no other being pruned, before the divergence
    is above ``max_kl`` nats."""
    divergence = Divergence(graph, evidence.held_out[:SCAN_PICTURES], evidence.metric)
    convs = list(graph.convs())
    found = {}
    for done, (node, conv) in enumerate(convs):
        evidence.progress("scanning sensitivity", done, len(convs))
        found[node.name] = 1.0
        for density in SCAN[1:]:
            if divergence({node.name: Weight(magnitude(conv.weight.values, density))}) > max_kl:
                break
            found[node.name] = density
    evidence.progress("scanning sensitivity", len(convs), len(convs))
    return found
