"""Goals that are met by pruning: one number says how far every layer is pruned.

The number is the loss that pruning one layer alone may cost. A scan of the network, made once, turns it into a
density for each layer (``prune.Scan``). It takes the place that the price of a bit has in ``goals.meet``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dcgen.compress.attempts import Try, emptied
from dcgen.compress.evidence import Evidence
from dcgen.compress.goals import Goal, sought, usual_loss
from dcgen.compress.point import Point
from dcgen.compress.prune import MOST_SCANNED, scan
from dcgen.compress.secondorder import Prices
from dcgen.ir.graph import Graph

LEAST_LOSS = 1e-9
"""Least loss of one layer that a search tries: it keeps nearly all weights."""


def meet_pruned(
    graph: Graph, evidence: Evidence, goal: Goal, compressed: Callable[[Mapping[str, float], str], Graph]
) -> Graph:
    """A network that keeps to the goal, pruned as far as that allows.

    compressed : makes the network of densities by convolution; what it does is reported as the text

    Raises ConfigError with what was reached where no try keeps to the goal, except for ``fidelity``, as
    ``goals.meet``.
    """
    found = scan(graph, evidence)
    weights = sum(conv.weight.values.size for _, conv in graph.convs())

    def at(limit: float, number: int) -> Try:
        made = compressed(found.densities(limit), f"sharing weights, try {number}")
        point = Point({n.name: c.weight for n, c in made.convs()}, {}, 0.0)
        return Try(point, made, evidence.trial(made), Prices(limit, {}), emptied(graph, made))

    first = usual_loss(goal, evidence.classes) / len(found.losses)
    return sought(at, goal, weights, (LEAST_LOSS, MOST_SCANNED), first).graph
