"""Places for blocks of memory that are needed for a while: first fit, in an order that is mended where needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ATTEMPTS = 200
"""Orders that are tried before ``place`` gives up."""


@dataclass(frozen=True)
class Block:
    """Memory needed from moment ``first`` to moment ``last``, both included.

    size : in the caller's unit, bytes or words, as are limits and places
    """

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
        starts = first_fit(blocks, order)
        over = [i for i in order if starts[i] + blocks[i].size > limit]
        if not over:
            return starts
        order = [over[0], *(i for i in order if i != over[0])]
        if tuple(order) in seen:
            return None
        seen.add(tuple(order))
    return None


def first_fit(blocks: Sequence[Block], order: Iterable[int]) -> tuple[int, ...]:
    """The start of each block, if all take the lowest gap they fit, one after the other in ``order``."""
    starts: dict[int, int] = {}
    for i in order:
        taken = sorted((s, s + blocks[k].size) for k, s in starts.items() if blocks[k].meets(blocks[i]))
        at = 0
        for begin, end in taken:
            if at + blocks[i].size <= begin:
                break
            at = max(at, end)
        starts[i] = at
    return tuple(starts[i] for i in range(len(blocks)))
