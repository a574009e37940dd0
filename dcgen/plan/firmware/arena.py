"""Memory by liveness: which bytes of the arena hold which tensor, and when.

Tensors joined by a Concat are one buffer, so that their channels lie side by side and the Concat
costs nothing. Buffers that are never alive together may share bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dcgen.quant.qgraph import QConcat, QGraph

ALIGNMENT = 16
"""Of every buffer and scratch area, in bytes."""


def align(size: int) -> int:
    """``size`` rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class Buffer:
    """Memory of one tensor, or of all the tensors of nested Concats: so many rows of each channel.

    members : first channel of each tensor
    row_bytes : of a row of every channel
    rows : that are held, a ring where the tensors have more
    first, last : indices of the first node that writes and of the last node that touches it
    """

    members: Mapping[str, int]
    row_bytes: int
    rows: int
    first: int
    last: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.row_bytes * self.rows

    def meets(self, other: Buffer) -> bool:
        """Whether both are alive during some node."""
        return self.meets_nodes(other.first, other.last + 1)

    def meets_nodes(self, first: int, last: int) -> bool:
        """Whether it is alive during a node of ``first .. last - 1``."""
        return self.first < last and first <= self.last


def buffers(graph: QGraph) -> tuple[Buffer, ...]:
    """One Buffer for every independent uint8 tensor that a node of ``graph`` makes, in order of its making.

    They hold all rows, from the node that makes the tensor to the last one that reads it.
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
    """The most bytes alive during one node: no assignment can do with less."""
    moments = {b.first for b in all_buffers}
    return max((sum(align(b.size) for b in all_buffers if b.first <= m <= b.last) for m in moments), default=0)


def assign(all_buffers: tuple[Buffer, ...]) -> tuple[int, ...]:
    """An offset for each buffer, such that buffers alive together do not overlap.

    Greedy: in some order, each takes the lowest gap it fits. Three orders are tried and the
    smallest total wins (largest first is within a few per cent of optimal in the literature:
    Pisarchyk & Lee, "Efficient memory management for deep neural net inference", 2020).
    """
    orders: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
        lambda b: (-b.size, b.first),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
        lambda b: (b.first, -b.size),
    )
    candidates = [_greedy(all_buffers, key) for key in orders]
    return min(candidates, key=lambda offsets: extent(all_buffers, offsets))


def largest_gap(taken: Iterable[tuple[int, int]], limit: int) -> tuple[int, int]:
    """Where the most bytes of ``limit`` are free, and how many.

    taken : begin and end of what is not
    """
    at, best = 0, (0, 0)
    for begin, end in (*sorted(taken), (limit, limit)):
        best = max(best, (at, begin - at), key=lambda gap: gap[1])
        at = max(at, end)
    return best


def extent(all_buffers: tuple[Buffer, ...], offsets: tuple[int, ...]) -> int:
    """Bytes from offset 0 to the end of the highest buffer, aligned."""
    return max((o + align(b.size) for b, o in zip(all_buffers, offsets, strict=True)), default=0)


def _greedy(all_buffers: tuple[Buffer, ...], key: Callable[[Buffer], tuple[int, ...]]) -> tuple[int, ...]:
    offsets: dict[int, int] = {}
    for i in sorted(range(len(all_buffers)), key=lambda i: key(all_buffers[i])):
        buffer = all_buffers[i]
        taken = sorted(
            (o, o + align(all_buffers[k].size)) for k, o in offsets.items() if all_buffers[k].meets(buffer)
        )
        at = 0
        for begin, end in taken:
            if at + align(buffer.size) <= begin:
                break
            at = max(at, end)
        offsets[i] = at
    return tuple(offsets[i] for i in range(len(all_buffers)))
