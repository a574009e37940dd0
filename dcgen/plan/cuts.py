"""The cheapest way to cut a sequence into runs, by dynamic programming over the positions of the cuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Run = TypeVar("Run")


def cheapest_cuts(
    n: int, run: Callable[[int, int], tuple[float, Run] | None]
) -> tuple[tuple[Run, ...], float, int]:
    """The runs of the lowest total cost that cover a sequence of ``n`` things.

    run : ``run(first, last)`` is the cost of the run ``first .. last - 1`` and an object that stands for it, or
        None where that run is impossible

    Returns the runs in order, their total cost, and how many things they cover: ``n``, or where no runs cover all,
    as many of the first ones as any runs cover.
    """
    cost: list[float] = [0.0] + [float("inf")] * n
    chosen: list[tuple[int, Run] | None] = [None] * (n + 1)
    for last in range(1, n + 1):
        for first in range(last - 1, -1, -1):
            if cost[first] == float("inf") or (found := run(first, last)) is None:
                continue
            if cost[first] + found[0] < cost[last]:
                cost[last], chosen[last] = cost[first] + found[0], (first, found[1])
    reached = at = max(k for k in range(n + 1) if cost[k] < float("inf"))
    runs: list[Run] = []
    while (step := chosen[at]) is not None:
        at = step[0]
        runs.append(step[1])
    return tuple(reversed(runs)), cost[reached], reached
