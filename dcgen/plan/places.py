"""Places for blocks of memory that live for a while: first fit, mended where it overflows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ATTEMPTS = 200
"""Orders tried before giving up."""


@dataclass(frozen=True)
class Block:
    """``size`` words, needed from moment ``first`` to moment ``last``."""

    size: int
    first: int
    last: int

    def meets(self, other: Block) -> bool:
        """Whether both are needed at some moment."""
        return self.first <= other.last and other.first <= self.last


def place(blocks: Sequence[Block], limit: int) -> tuple[int, ...] | None:
    """A start for each block so that those needed together do not overlap and all end by ``limit``.

    Largest first, each into the lowest gap it fits. Where that overflows, the first block beyond the limit
    is placed before all others the next time; None if no such order is found.
    """
    order = sorted(range(len(blocks)), key=lambda i: (-blocks[i].size, blocks[i].first))
    seen = set()
    for _ in range(ATTEMPTS):
        starts = _first_fit(blocks, order)
        over = [i for i in order if starts[i] + blocks[i].size > limit]
        if not over:
            return tuple(starts[i] for i in range(len(blocks)))
        order = [over[0], *(i for i in order if i != over[0])]
        if tuple(order) in seen:
            return None
        seen.add(tuple(order))
    return None


def _first_fit(blocks: Sequence[Block], order: Sequence[int]) -> dict[int, int]:
    starts: dict[int, int] = {}
    for i in order:
        taken = sorted((s, s + blocks[k].size) for k, s in starts.items() if blocks[k].meets(blocks[i]))
        at = 0
        for begin, end in taken:
            if at + blocks[i].size <= begin:
                break
            at = max(at, end)
        starts[i] = at
    return starts
