"""Random pauses for AXI masters and sinks, as on a bus that others use, too."""

from __future__ import annotations

import random
from collections.abc import Iterator


def random_pauses(seed: int, share: float = 0.4) -> Iterator[int]:
    """For each cycle 1 to pause or 0, in bursts of 1 to 5 cycles; ``share`` is the share of 1 in the long run."""
    chance = random.Random(seed)
    while True:
        pause = chance.random() < share
        for _ in range(chance.choice((1, 1, 2, 5))):
            yield int(pause)
