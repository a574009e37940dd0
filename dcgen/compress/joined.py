"""Which channels are joined: they can only be removed together.

An Add joins the channels of its inputs, a clip or a pool those of its input and output, a convolution of groups
those of a group. An ungrouped convolution joins none: it can read fewer channels, and make fewer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcgen.ir.graph import Concat, Conv, Graph, Node, Select, Upsample

I64 = NDArray[np.int64]
Route = tuple[I64, I64]
"""Channels of an input, and of the output at the same places those that they are joined to."""
FIXED = -1
"""The number of all channels that have to stay."""


def sources(conv: Conv) -> I64:
    """The input channel that each weight reads: [O, I/groups]."""
    outputs, inputs = conv.weight.values.shape[:2]
    every = np.arange(inputs * conv.groups, dtype=np.int64).reshape(conv.groups, inputs)
    return np.repeat(every, outputs // conv.groups, 0)


def routes(graph: Graph, node: Node) -> list[Route]:
    """For each input of a node, how its channels are joined to those of the output; nothing for an ungrouped
    convolution."""
    op, counts = node.op, [graph.shapes[i][0] for i in node.inputs]
    match op:
        case Conv():
            source = sources(op)
            return [(source.ravel(), np.arange(len(source)).repeat(source.shape[1]))] if op.groups > 1 else []
        case Concat():
            ends = np.cumsum(counts)
            return [(np.arange(n), np.arange(n) + end - n) for n, end in zip(counts, ends, strict=True)]
        case Select():
            return [(np.array(op.channels), np.arange(len(op.channels)))]
        case Upsample():
            return [(np.arange(counts[0]), np.arange(counts[0]) // (counts[0] // op.channels))]
        case _:
            return [(np.arange(n), np.arange(n)) for n in counts]


def numbered(graph: Graph) -> dict[str, I64]:
    """By tensor, the number of the group of joined channels that each channel belongs to, int64 [C], from 0 on,
    and ``FIXED`` for channels of the network's inputs and outputs, and those joined to them."""
    sizes = [shape[0] for shape in graph.shapes.values()]
    ends = np.cumsum(sizes)
    found = {n: np.arange(end - c, end) for n, c, end in zip(graph.shapes, sizes, ends, strict=True)}
    joined = [(node, routes(graph, node)) for node in graph.nodes]
    before = -1
    while before != (before := sum(int(n.sum()) for n in found.values())):
        for node, ways in joined:
            for name, (inputs, outputs) in zip(node.inputs, ways, strict=False):
                np.minimum.at(found[node.name], outputs, found[name][inputs])
                np.minimum.at(found[name], inputs, found[node.name][outputs])
    fixed = np.concatenate([found[name] for name in (*(i.name for i in graph.inputs), *graph.outputs)])
    free = np.setdiff1d(np.concatenate(list(found.values())), fixed)
    number = np.full(ends[-1], FIXED)
    number[free] = np.arange(len(free))
    return {name: number[cells] for name, cells in found.items()}
