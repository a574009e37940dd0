"""Which networks no other beats, and which trainings cannot lead to one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether costs are nowhere higher than others, and somewhere lower."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def front(costs: Mapping[int, Sequence[float]]) -> list[int]:
    """The numbers of the networks that no other dominates; the lower number of two with equal costs.

    costs : of each network by its number; all of one length, less is better
    """
    first = {tuple(c): number for number, c in sorted(costs.items(), reverse=True)}
    return sorted(n for c, n in first.items() if not any(dominates(other, c) for other in first))


@dataclass(frozen=True)
class Rival:
    """A training that has ended, of a network that fits its target.

    curve : accuracy on held-out samples after each epoch, 0 to 1
    costs : what was predicted of the network before it was trained, less is better
    """

    number: int
    recipe: str
    curve: Sequence[float]
    costs: Sequence[float]


@dataclass(frozen=True)
class Rule:
    """When a training is hopeless: after a share ``after`` of its epochs, where a rival of the same recipe, whose
    costs are nowhere higher, was ahead by ``margin`` in accuracy at the same epoch.

    Costs are those predicted before training, of both, so that the same errors are in both.
    """

    after: float
    margin: float

    def winner(self, mine: Rival, epochs: int, rivals: Iterable[Rival]) -> Rival | None:
        """The rival for which a training of ``epochs`` epochs, ``mine`` so far, is to be stopped, if any."""
        done = len(mine.curve)
        if done < math.ceil(self.after * epochs) or done == epochs:
            return None
        for rival in rivals:
            ahead = rival.recipe == mine.recipe and len(rival.curve) >= done
            cheaper = all(a <= b for a, b in zip(rival.costs, mine.costs, strict=True))
            if ahead and cheaper and rival.curve[done - 1] >= mine.curve[-1] + self.margin:
                return rival
        return None
