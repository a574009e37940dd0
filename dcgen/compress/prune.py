"""Magnitude pruning (Han et al. 2015; 2016, section 2), and a scan of how far each layer can be pruned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dcgen.compress.evidence import Divergence, Evidence
from dcgen.ir.graph import F32, Graph, Weight

SCAN = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03)
"""Densities that a scan tries, from dense to sparse."""
SCAN_PICTURES = 32
"""Held-out pictures that a scan measures losses on."""
MOST_SCANNED = 1.0
"""Loss above which lower densities of a layer are not scanned: nothing is left of the network there."""


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


@dataclass(frozen=True, eq=False)
class Scan:
    """What pruning one layer alone costs.

    losses : by convolution, the metric's loss at each density of ``SCAN`` from the first one on, as far as it was
        measured
    """

    losses: Mapping[str, tuple[float, ...]]

    def densities(self, limit: float) -> dict[str, float]:
        """By convolution, the lowest density that costs no more than ``limit``, no other layer being pruned.
        Between two densities of the scan, the loss is taken to be linear."""
        return {name: _density(losses, limit) for name, losses in self.losses.items()}


def _density(losses: Sequence[float], limit: float) -> float:
    """``Scan.densities`` of one layer. Losses scatter: one is passed over if a lower density costs no more."""
    kept: list[tuple[float, float]] = []
    for density, loss in reversed([*zip(SCAN, losses, strict=False)]):
        if not kept or loss < kept[-1][0]:
            kept.append((loss, density))
    costs, densities = zip(*reversed(kept), strict=True)
    return float(np.interp(limit, costs, densities))


def scan(graph: Graph, evidence: Evidence, most: float = MOST_SCANNED) -> Scan:
    """The scan of a network, as far as losses are not above ``most``."""
    divergence = Divergence(graph, evidence.held_out[:SCAN_PICTURES], evidence.metric)
    convs = list(graph.convs())
    found = {}
    for done, (node, conv) in enumerate(convs):
        evidence.progress("scanning sensitivity", done, len(convs))
        divergence.advance(node.name)
        losses = [0.0]
        for density in SCAN[1:]:
            losses.append(divergence({node.name: Weight(magnitude(conv.weight.values, density))}))
            if losses[-1] > most:
                break
        found[node.name] = tuple(losses)
    evidence.progress("scanning sensitivity", len(convs), len(convs))
    return Scan(found)
