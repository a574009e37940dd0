"""Which bytes of the arena hold which tensor, and when.

Tensors joined by a Concat are one buffer, so that their channels lie side by side and the Concat
costs nothing. Buffers that are never alive together may share bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dcgen.plan.firmware.constants import RUNTIME
from dcgen.plan.places import Block, first_fit
from dcgen.quant.qgraph import QConcat, QGraph

ALIGNMENT = RUNTIME.ARENA_ALIGNMENT
"""Every buffer and scratch area begins at a multiple of so many bytes."""


def align(size: int) -> int:
    """``size`` bytes rounded up to a multiple of ``ALIGNMENT``."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class Buffer:
    """Memory of one tensor, or of all the tensors of nested Concats: some rows of each channel.

    members : the tensors by name, with the channel of the buffer at which each begins
    row_bytes : bytes of one row of all channels
    rows : rows of each channel that are held; a ring where the tensors have more
    first, last : indices of the first node that writes the buffer and of the last node that writes or reads it
    """

    members: Mapping[str, int]
    row_bytes: int
    rows: int
    first: int
    last: int

    @property
    def size(self) -> int:
        """Bytes, not aligned."""
        return self.row_bytes * self.rows

    @property
    def block(self) -> Block:
        """What is to be placed: aligned bytes, and the nodes during which they are needed."""
        return Block(align(self.size), self.first, self.last)

    def meets_nodes(self, first: int, last: int) -> bool:
        """Whether it is alive during a node of ``first .. last - 1``."""
        return self.first < last and first <= self.last


def buffers(graph: QGraph) -> tuple[Buffer, ...]:
    """One Buffer for each tensor that a node of ``graph`` makes, or for all that Concats join, in order of making.

    Each holds all rows, from the node that makes its first tensor to the last node that reads one of them.
    """
    made: dict[str, int] = {}
    used: dict[str, int] = {}
    placed_in: dict[str, tuple[str, int]] = {}  # branch of a Concat: the Concat's tensor, first channel in it
    for index, node in enumerate(graph.nodes):
        if node.name in graph.tensors:
            made[node.name] = index
        used |= dict.fromkeys(node.inputs, index)
        if isinstance(node.op, QConcat):
            channel = 0
            for branch in node.inputs:
                placed_in[branch] = (node.name, channel)
                channel += graph.tensors[branch].shape[0]
    groups: dict[str, dict[str, int]] = {}
    for name in made:
        root, channel = name, 0
        while root in placed_in:
            root, inner = placed_in[root]
            channel += inner
        groups.setdefault(root, {})[name] = channel
    return tuple(
        Buffer(
            members,
            graph.tensors[root].shape[0] * graph.tensors[root].shape[2],
            graph.tensors[root].shape[1],
            min(made[m] for m in members),
            max(max(made[m], used.get(m, 0)) for m in members),
        )
        for root, members in groups.items()
    )


def live_bytes(all_buffers: tuple[Buffer, ...]) -> int:
    """The most bytes, aligned, of buffers alive during the same node: no assignment can do with less."""
    moments = {b.first for b in all_buffers}
    return max((sum(align(b.size) for b in all_buffers if b.first <= m <= b.last) for m in moments), default=0)


def assign(all_buffers: tuple[Buffer, ...]) -> tuple[int, ...]:
    """An offset for each buffer, such that buffers alive together do not overlap.

    Each takes the lowest gap that it fits, in three orders: by size, by size times life, and by time. The order
    whose buffers end lowest is taken. (By size is within a few per cent of the optimum: Pisarchyk & Lee,
    "Efficient memory management for deep neural net inference", 2020.)
    """
    orders: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
        lambda b: (-b.size, b.first),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
        lambda b: (b.first, -b.size),
    )
    blocks, indices = [b.block for b in all_buffers], range(len(all_buffers))
    candidates = [first_fit(blocks, sorted(indices, key=lambda i: key(all_buffers[i]))) for key in orders]
    return min(candidates, key=lambda offsets: extent(all_buffers, offsets))


def largest_gap(taken: Iterable[tuple[int, int]], limit: int) -> tuple[int, int]:
    """Where in ``limit`` bytes the longest free stretch begins, and how many bytes it has.

    taken : begin and end of each stretch that is not free
    """
    at, best = 0, (0, 0)
    for begin, end in (*sorted(taken), (limit, limit)):
        best = max(best, (at, begin - at), key=lambda gap: gap[1])
        at = max(at, end)
    return best


def extent(all_buffers: tuple[Buffer, ...], offsets: tuple[int, ...]) -> int:
    """Bytes from offset 0 to the end of the highest buffer, aligned."""
    return max((o + align(b.size) for b, o in zip(all_buffers, offsets, strict=True)), default=0)
