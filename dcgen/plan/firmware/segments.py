"""Makes segments of a network and says which rows of each tensor are held meanwhile.

``recurrence`` says what segments and strips are; their operations are here the nodes, their units rows. Tensors
that live inside a segment in several strips are rings of rows, others are held whole. A plan by whole layers
consists of segments of one node in one strip. In each strip a node's filters are decoded anew; ``budget`` chooses
the segments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dcgen.plan.firmware.arena import Buffer, buffers
from dcgen.plan.firmware.kernels import ConvPlan, choose_kernel
from dcgen.plan.firmware.rows import holds, reads, rows_of
from dcgen.plan.recurrence import Recurrence, Segment, ring_size
from dcgen.quant.qgraph import QConcat, QConv, QGraph

Cut = tuple[int, int, int]
"""A segment's first node, the node behind its last, and its number of strips."""


@dataclass(frozen=True)
class Step:
    """Rows ``first_row .. first_row + rows - 1`` of a node, computed once ``picture_rows`` rows of the picture are
    there."""

    node: int
    first_row: int
    rows: int
    picture_rows: int


@dataclass(frozen=True, eq=False)
class Schedule:
    """The order of all work, and the memory of tensors.

    streamed : whether the picture's rows come one by one and are held in the arena
    buffers : rings and whole tensors, with the nodes during which they are alive; what is alive in a segment of
        several strips is so during all its nodes. If the picture is streamed it is the first buffer
    """

    graph: QGraph
    segments: tuple[Segment, ...]
    streamed: bool
    buffers: tuple[Buffer, ...]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps in execution order.

        Each waits for the rows of the picture that it reads, and the first one for at least one row. The last
        strip of the segment that reads the picture last waits for all, as its memory is not kept longer.
        """
        graph, height = self.graph, self.graph.input.shape[1]
        last_reader = max(i for i, n in enumerate(graph.nodes) if graph.input.name in n.inputs)
        found: list[Step] = []
        arrived = 1
        for segment in self.segments:
            for strip, i, begin, end in segment.shares():
                node = graph.nodes[i]
                if strip == len(segment.ends) - 1 and last_reader < segment.last:
                    arrived = height
                if graph.input.name in node.inputs:
                    arrived = max(arrived, reads(node.op, end, height))
                if not isinstance(node.op, QConcat):
                    found.append(Step(i, begin, end - begin, arrived))
        return tuple(found)

    @cached_property
    def convs(self) -> Mapping[int, Counter[int]]:
        """Of each convolution by node index: output rows of a step -> how many steps compute so many."""
        return conv_steps(self.graph, self.segments)

    def kernel(self, node: int, room: int, frugal: bool) -> ConvPlan:
        """The kernel of convolution ``node`` whose packed input may take ``room`` bytes; see ``choose_kernel``."""
        return choose_kernel(self.graph, self.graph.nodes[node], self.convs[node], room, frugal)


def conv_steps(graph: QGraph, segments: Iterable[Segment]) -> dict[int, Counter[int]]:
    """Of each convolution of ``segments`` by node index: output rows of a step -> how many steps compute so
    many."""
    found: dict[int, Counter[int]] = {}
    for segment in segments:
        for _, i, begin, end in segment.shares():
            if isinstance(graph.nodes[i].op, QConv):
                found.setdefault(i, Counter())[end - begin] += 1
    return found


def whole_layers(graph: QGraph) -> Schedule:
    """The schedule that computes node after node, each whole, from a picture that the caller holds."""
    return Cutter(graph, streamed=False).schedule([(i, i + 1, 1) for i in range(len(graph.nodes))])


class Cutter:
    """Makes segments of ``graph``, and says which buffers they need.

    streamed : whether the picture's rows come one by one and are held in the arena
    """

    def __init__(self, graph: QGraph, streamed: bool) -> None:
        self.graph, self.streamed = graph, streamed
        self.heights = [rows_of(graph, node) for node in graph.nodes]
        self.readers: dict[str, list[int]] = {}
        for i, node in enumerate(graph.nodes):
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(i)
        self.whole = buffers(graph)
        if streamed:
            c, h, w = graph.input.shape
            last = max(self.readers[graph.input.name])
            self.whole = (Buffer({graph.input.name: 0}, w * c, h, 0, last), *self.whole)
        self.makers = {node.name: i for i, node in enumerate(graph.nodes)}
        self.recurrence = Recurrence(
            self.heights, [self.readers.get(n.name, []) for n in graph.nodes], self._needed
        )

    def schedule(self, cuts: Sequence[Cut]) -> Schedule:
        """The schedule of segments that together are all nodes, in order."""
        segments = tuple(self.segment(*cut) for cut in cuts)
        return Schedule(self.graph, segments, self.streamed, self.held(segments))

    def segment(self, first: int, last: int, strips: int) -> Segment:
        """Nodes ``first .. last - 1`` in ``strips`` strips."""
        return Segment(first, last, self.recurrence.ends(first, last, strips))

    def _needed(self, maker: int, reader: int, rows: int) -> int:
        """Rows of node ``maker`` that must exist for the first ``rows`` rows of node ``reader``."""
        return reads(self.graph.nodes[reader].op, rows, self.heights[maker])

    def held(self, segments: Sequence[Segment]) -> tuple[Buffer, ...]:
        """Every buffer with the rows that it holds and the nodes during which it is alive, in these segments."""
        found = []
        for buffer in self.whole:
            for segment in segments:
                if len(segment.ends) > 1 and buffer.meets_nodes(segment.first, segment.last):
                    buffer = self.within(buffer, segment)
            found.append(buffer)
        return tuple(found)

    def within(self, buffer: Buffer, segment: Segment) -> Buffer:
        """``buffer`` as a segment of several strips needs it: alive during all its nodes, a ring if it is not
        alive outside."""
        inside = segment.first <= buffer.first and buffer.last < segment.last
        return replace(
            buffer,
            rows=ring_size(self._spans(buffer, segment)) if inside else buffer.rows,
            first=min(buffer.first, segment.first),
            last=max(buffer.last, segment.last - 1),
        )

    def _spans(self, buffer: Buffer, segment: Segment) -> Iterator[tuple[int, int]]:
        """After each strip, the end of the rows made of a buffer, and the first row still to be read or made."""
        nodes, first, height = self.graph.nodes, segment.first, buffer.rows
        makers = [self.makers[m] for m in buffer.members if m in self.makers]
        readers = [r for m in buffer.members for r in self.readers.get(m, [])]
        for number, ends in enumerate(segment.ends, 1):
            if makers:
                made = [ends[i - first] for i in makers]
            elif number == len(segment.ends):  # the picture, all of which comes
                made = [height]
            else:
                made = [max(reads(nodes[r].op, ends[r - first], height) for r in readers)]
            yield max(made), min([*made, *(holds(nodes[r].op, ends[r - first], height) for r in readers)])
