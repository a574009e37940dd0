"""Networks quantized at a price of a bit and tried as integers, and the surcharge by which a density is met.

A density is met by a surcharge, in bits, on every weight that is not zero. About half of it is in proportion to
the weight's work, because who asks for a density wants less to be computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dcgen.compress.evidence import Trial
from dcgen.compress.point import Point
from dcgen.compress.secondorder import Prices, Quantizer, Sketch
from dcgen.errors import ConfigError
from dcgen.ir.graph import Graph

RANGE = (1e-16, 1e2)
"""Lowest and highest price of a bit in units of the metric's loss: beyond them no network gets better or
smaller."""
HALVINGS = 7
"""Of ``RANGE`` in logarithms until the first price is known well enough: to a third."""
WORK_SHARE = 0.53
"""Share of a surcharge that is in proportion to a weight's work; the rest is the same for every weight. How it was
chosen stands in docs/decisions/0006."""
MOST_SURCHARGE = 64.0
"""Largest surcharge in bits on the average weight: it leaves no weight that is not zero."""
MARGINS = (0.005, 0.005, 0.02, 0.05)
"""For each attempt at a density that misses it, the share of the density by which the next one aims lower. Later
ones aim lower still, as the density of a small network changes in coarse steps."""
DENSE_ENOUGH = 0.99
"""Least share of a density that must be used: weights that are pruned beyond it cost fidelity for nothing."""


@dataclass(frozen=True, eq=False)
class Try:
    """A quantized network, as a point and as a graph, what its trial measured, and the prices that gave it.

    emptied : the Conv nodes that have lost all their weights
    """

    point: Point
    graph: Graph
    trial: Trial
    prices: Prices
    emptied: tuple[str, ...] = ()


class Surcharge:
    """Finds the surcharge that gives a density: bits on the average weight that is not zero.

    It is found with sketches of the network. Whole networks differ from these, so the density to aim for in
    sketches is corrected by each whole network that is made.
    """

    def __init__(self, quantizer: Quantizer, density: float) -> None:
        self._quantizer, self.density = quantizer, density
        self._aim = density

    def at(self, bit: float) -> float:
        """The surcharge in bits at a price of a bit; 0 where the network is sparse enough without."""
        if self.density >= 1 or self._sketched(bit, 0.0) <= self._aim:
            return 0.0
        low, high = 0.0, MOST_SURCHARGE
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if self._sketched(bit, middle) > self._aim else (low, middle)
        return high

    def missed(self, density: float, margin: float) -> None:
        """Correct the aim: a whole network came out at ``density``, and the next one is to lie ``margin``, a
        share, below the limit."""
        self._aim *= (1 - margin) * self.density / density

    def _sketched(self, bit: float, surcharge: float) -> float:
        return self._quantizer.sketch(prices(self._quantizer, bit, surcharge)).density


def prices(quantizer: Quantizer, bit: float, surcharge: float) -> Prices:
    """The prices of a network, with what the target's work is worth and a surcharge.

    bit : price of a bit
    surcharge : bits on the average weight that is not zero
    """
    by_work = quantizer.work_bits + WORK_SHARE * surcharge
    work = quantizer.evidence.work
    return Prices(
        bit, {name: by_work * work.get(name, 1.0) + (1 - WORK_SHARE) * surcharge for name in quantizer.names}
    )


def attempt(quantizer: Quantizer, surcharge: Surcharge, bit: float, stage: str) -> Try:
    """Quantize the network at a price of a bit, with the surcharge that gives the density, and run its trial.

    stage : what progress is reported as

    Raises ConfigError with what was reached where no surcharge gives the density.
    """
    tried: list[tuple[Point, Prices]] = []
    for margin in MARGINS:
        extra = surcharge.at(bit)
        paid = prices(quantizer, bit, extra)
        tried.append((quantizer.at(paid, stage), paid))
        found = tried[-1][0].density
        if found <= surcharge.density and (not extra or found >= DENSE_ENOUGH * surcharge.density):
            break
        surcharge.missed(found, margin)
    within = [(point, paid) for point, paid in tried if point.density <= surcharge.density]
    if not within:
        raise ConfigError(
            "density",
            f"{surcharge.density:g} cannot be met, {min(p.density for p, _ in tried):.4f} was reached",
            "loosen it or the goal",
        )
    point, paid = max(within, key=lambda t: t[0].density)
    graph = point.applied(quantizer.graph)
    return Try(point, graph, quantizer.evidence.trial(graph), paid, emptied(quantizer.graph, graph))


def emptied(before: Graph, after: Graph) -> tuple[str, ...]:
    """The names of the Conv nodes that have weights in the graph ``before`` and none in ``after``."""
    left = {node.name: conv.weight.values.any() for node, conv in after.convs()}
    return tuple(node.name for node, conv in before.convs() if conv.weight.values.any() and not left[node.name])


def first_price(quantizer: Quantizer, too_high: Callable[[Sketch], bool]) -> float:
    """The highest price of a bit whose sketch, without surcharges, is not ``too_high``."""
    low, high = map(math.log, RANGE)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        sketch = quantizer.sketch(prices(quantizer, math.exp(middle), 0.0))
        low, high = (low, middle) if too_high(sketch) else (middle, high)
    return math.exp(low)
