"""Cuts a network into segments, each computed whole or strip by strip, and says which rows are held meanwhile.

A *segment* is a run of nodes. In more than one strip, each node computes its next rows as soon as its inputs
have what those are made of, and tensors that live inside the segment are rings of the rows still needed:
nothing is computed twice. Other tensors are held whole. A segment of one node in one strip is what a plan by
whole layers consists of. Strips cost the decoding of their filters again; segments are chosen by dynamic
programming over the cuts, for the fewest instructions within the memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dcgen.plan.firmware.arena import Buffer, buffers
from dcgen.plan.firmware.kernels import ConvPlan, choose_kernel
from dcgen.plan.firmware.rows import holds, reads, rows_of
from dcgen.plan.recurrence import Recurrence, Segment, ring_size
from dcgen.quant.qgraph import QConcat, QConv, QGraph

Cut = tuple[int, int, int]
"""A segment's first node, the one behind its last, and its strips."""


@dataclass(frozen=True)
class Step:
    """Rows ``first_row .. first_row + rows - 1`` of a node, once ``picture_rows`` rows have arrived."""

    node: int
    first_row: int
    rows: int
    picture_rows: int


@dataclass(frozen=True, eq=False)
class Schedule:
    """The order of all work, and the memory of tensors.

    streamed : whether the picture's rows come one by one, and are held in the arena
    buffers : rings and whole tensors, with the nodes during which they are alive; a segment in strips is
        alive as a whole. The picture is the first one if it is streamed
    """

    graph: QGraph
    segments: tuple[Segment, ...]
    streamed: bool
    buffers: tuple[Buffer, ...]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """In execution order. The whole picture arrives while its memory is alive, a row of it before any step."""
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
        """Of each convolution, by node index, how many steps compute so many rows."""
        found: dict[int, Counter[int]] = {}
        for step in self.steps:
            if isinstance(self.graph.nodes[step.node].op, QConv):
                found.setdefault(step.node, Counter())[step.rows] += 1
        return found

    def kernel(self, node: int, room: int, frugal: bool) -> ConvPlan:
        """The kernel of a convolution whose packed input may take ``room`` bytes; see ``choose_kernel``."""
        return choose_kernel(self.graph, self.graph.nodes[node], self.convs[node], room, frugal)


def whole_layers(graph: QGraph) -> Schedule:
    """Node after node, from a picture that lies elsewhere."""
    return Cutter(graph, streamed=False).schedule([(i, i + 1, 1) for i in range(len(graph.nodes))])


class Cutter:
    """Makes segments of a network, and knows what they need.

    streamed : whether the picture is held in the arena
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
        """The schedule of these segments."""
        segments = tuple(self.segment(*cut) for cut in cuts)
        return Schedule(self.graph, segments, self.streamed, self.held(segments))

    def segment(self, first: int, last: int, strips: int) -> Segment:
        """Nodes ``first .. last - 1`` in ``strips`` strips, rows shared evenly where later segments read them."""
        return Segment(first, last, self.recurrence.ends(first, last, strips))

    def _needed(self, maker: int, reader: int, rows: int) -> int:
        return reads(self.graph.nodes[reader].op, rows, self.heights[maker])

    def held(self, segments: Sequence[Segment]) -> tuple[Buffer, ...]:
        """Every buffer with the rows that it holds and the nodes that it lives through."""
        found = []
        for buffer in self.whole:
            for segment in segments:
                if len(segment.ends) > 1 and buffer.meets_nodes(segment.first, segment.last):
                    buffer = self.within(buffer, segment)
            found.append(buffer)
        return tuple(found)

    def within(self, buffer: Buffer, segment: Segment) -> Buffer:
        """What is alive in a segment in strips lives through all of it, and what is alive there only is a ring."""
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
