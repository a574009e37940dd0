"""The default recipe: the smallest file whose output stays within a goal, without labels.

Each layer gets a uniform grid. One layer at a time is quantized and the divergence of the whole
network's output measured; that price per squared error, with the entropy of the rounded weights,
lets one Lagrangian multiplier allocate bits to all layers (Shoham & Gersho 1988). The multiplier
is then bisected until the network with all layers quantized meets the goal on held-out pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dcgen.compress.evidence import Divergence, Evidence
from dcgen.compress.statistics import InputMoments, corrected_biases, importance, input_moments
from dcgen.compress.uniform import RateCurve, rate_curve, shared
from dcgen.errors import ConfigError
from dcgen.ir.graph import Conv, Graph, Weight

PROBE_ERROR = 0.01
"""Share of a layer's weighted energy that its probe loses: small enough to be linear."""
BISECTIONS = 9
SENSITIVITY_PICTURES = 64
"""Pictures for each of the one-layer measurements; the goal itself is measured on all held out."""


@dataclass(frozen=True, eq=False)
class _Layer:
    name: str
    conv: Conv
    curve: RateCurve
    price: float


def allocate(graph: Graph, evidence: Evidence, max_kl: float) -> Graph:
    """``graph`` with every convolution on a uniform grid and its bias corrected.

    max_kl : mean KL divergence in nats that the quantized weights may cause on the held-out pictures
    Raises ConfigError if even the finest grids miss it.
    """
    moments = input_moments(graph, evidence.measure)
    layers = _measure(graph, evidence, moments)
    divergence = Divergence(graph, evidence.held_out)
    best: Graph | None = None
    low, high = -8.0, 40.0  # log2 of bits per nat: the finest and the coarsest grids lie within
    for step in range(BISECTIONS + 1):
        evidence.progress("choosing grids", step, BISECTIONS + 1)
        exponent = high if step == 0 else (low + high) / 2
        candidate = _at_price(layers, 2.0**exponent)
        biases = corrected_biases(graph, candidate, moments)
        if divergence(candidate, biases) <= max_kl:
            best, high = graph.with_weights(candidate, biases), exponent
        elif step == 0:
            raise ConfigError(
                "max_kl", f"goal of {max_kl:g} nats cannot be met with 255 levels a layer", "raise it"
            )
        else:
            low = exponent
    evidence.progress("choosing grids", BISECTIONS + 1, BISECTIONS + 1)
    assert best is not None
    return best


def _measure(graph: Graph, evidence: Evidence, moments: dict[str, InputMoments]) -> list[_Layer]:
    divergence = Divergence(graph, evidence.measure[:SENSITIVITY_PICTURES])
    convs = list(graph.convs())
    layers = []
    for done, (node, conv) in enumerate(convs):
        evidence.progress("measuring layers", done, len(convs))
        weighed = importance(conv, moments[node.name])
        curve = rate_curve(conv.weight.values, weighed)
        energy = float((conv.weight.values.astype(np.float64) ** 2 * weighed.reshape(1, -1, 1, 1)).sum())
        probe = max(0, int(curve.errors.searchsorted(PROBE_ERROR * energy)) - 1)
        moved = divergence({node.name: shared(conv.weight.values, float(curve.steps[probe]))})
        error = float(curve.errors[probe])
        layers.append(_Layer(node.name, conv, curve, moved / error if error > 0 else 0.0))
    evidence.progress("measuring layers", len(convs), len(convs))
    return layers


def _at_price(layers: list[_Layer], bits_per_nat: float) -> dict[str, Weight]:
    return {
        a.name: shared(a.conv.weight.values, float(a.curve.steps[a.curve.cheapest(bits_per_nat * a.price)]))
        for a in layers
    }
