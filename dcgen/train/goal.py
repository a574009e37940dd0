"""What a trained network is to keep to, and which of two networks is better."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

ANY_DROP = 100.0
"""Percentage points of accuracy that every network keeps to."""
EPSILON = 1e-9
"""Accuracies are shares of samples, far further apart than this."""


@dataclass(frozen=True)
class Reached:
    """What a network has come to.

    top1 : accuracy on the held-out samples, 0 to 1
    loss : cross entropy on them, in nats
    density : share of the weights that are not zero
    bytes : size of the encoded file; None where the weights have no levels
    """

    top1: float
    loss: float
    density: float
    bytes: int | None


@dataclass(frozen=True)
class Goal:
    """Limits. Where the size is limited, ``Reached.bytes`` must be known.

    max_bytes : of the file; 0 for none
    max_density : share of weights that may be other than zero; 1 for any
    max_top1_drop : percentage points of held-out accuracy below the float network's; ``ANY_DROP`` for any
    """

    max_bytes: int = 0
    max_density: float = 1.0
    max_top1_drop: float = ANY_DROP

    def strains(self, found: Reached, float_top1: float) -> Iterator[tuple[str, float]]:
        """For each limit that ``found`` breaks, a sentence that says so and by how much: positive.

        float_top1 : held-out accuracy of the float network, 0 to 1
        """
        if self.max_bytes:
            assert found.bytes is not None
            if found.bytes > self.max_bytes:
                sentence = f"{found.bytes:,} bytes, at most {self.max_bytes:,} are wanted"
                yield sentence, math.log(found.bytes / self.max_bytes)
        if found.density > self.max_density:
            wanted = (
                f"{100 * found.density:.2f} % of the weights are not zero, at most {100 * self.max_density:g} %"
            )
            yield f"{wanted} are wanted", math.log(found.density / self.max_density)
        drop = 100 * (float_top1 - found.top1)
        if drop > self.max_top1_drop + EPSILON:
            wanted = f"at most {self.max_top1_drop:g} may be lost"
            yield f"{drop:.2f} points of held-out accuracy are lost, {wanted}", drop - self.max_top1_drop

    def order(self, found: Reached, float_top1: float) -> tuple[float, ...]:
        """Less for a better network: how far it is from keeping to the limits; where only the accuracy is limited,
        its size; its held-out error; its held-out loss."""
        strain = sum(s for _, s in self.strains(found, float_top1))
        smallest = not self.max_bytes and self.max_top1_drop < ANY_DROP and found.bytes is not None
        return strain, float(found.bytes or 0) if smallest else 0.0, 1 - found.top1, found.loss
