"""Pauses for AXI masters and sinks: what a bus does that is busy with others."""

from __future__ import annotations

import random
from collections.abc import Iterator


def random_pauses(seed: int, share: float = 0.4) -> Iterator[int]:
    """For every cycle whether to pause, in bursts; ``share`` of the cycles in the long run."""
    chance = random.Random(seed)
    while True:
        pause = chance.random() < share
        for _ in range(chance.choice((1, 1, 2, 5))):
            yield int(pause)
