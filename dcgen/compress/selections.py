"""Moves selections of channels into convolutions, whose weights are rearranged for it: then they cost nothing.

A shuffle of channels or a split reads channels in another order. A convolution in front of it can have its filters
in that order; one behind it can read the channels where they are, with zeros for those that are left out, which
take neither bytes nor time. What remains is a copy of the channels that are selected.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dcgen.compress.rewrite import bypassed, with_replaced
from dcgen.ir.graph import (
    AvgPool,
    Clip,
    Conv,
    Function,
    GlobalAvgPool,
    Graph,
    MaxPool,
    Node,
    Op,
    Select,
    Weight,
)


def fold_selections(graph: Graph) -> Graph:
    """The graph without the selections that convolutions can take over; a permutation moves behind what treats all
    channels alike, to meet one."""
    for name in [n.name for n in graph.nodes if isinstance(n.op, Select)]:
        graph = _sunk(_in_filters(graph, name), name)
    return graph


def _in_filters(graph: Graph, name: str) -> Graph:
    """The graph with the filters of a convolution in the order in which selection ``name``, its only reader behind
    clips and functions, wants them; not where it wants one more than once, which would be computed as often."""
    selection = graph.by_name[name]
    assert isinstance(selection.op, Select)
    if len(set(selection.op.channels)) < len(selection.op.channels):
        return graph
    at = graph.by_name.get(selection.inputs[0])
    while (
        at is not None and graph.consumers[at.name] == (_reader(graph, at.name),) and at.name not in graph.outputs
    ):
        if isinstance(at.op, Conv) and at.op.groups == 1 and at.op.weight.levels is None:
            order = list(selection.op.channels)
            conv = replace(at.op, weight=Weight(at.op.weight.values[order]), bias=at.op.bias[order])
            return bypassed(with_replaced(graph, replace(at, op=conv)), selection)
        if not isinstance(at.op, Clip | Function):
            break
        at = graph.by_name.get(at.inputs[0])
    return graph


def _sunk(graph: Graph, name: str) -> Graph:
    """The graph with selection ``name`` in the convolutions that read it, or as near to them as it can be."""
    selection = graph.by_name.get(name)
    while selection is not None and isinstance(selection.op, Select):
        graph = _in_readers(graph, selection)
        if selection.name not in graph.by_name or selection.name in graph.outputs:
            break
        readers, channels = graph.consumers[selection.name], selection.op.channels
        if len(readers) != 1 or sorted(channels) != list(range(graph.shapes[selection.inputs[0]][0])):
            break
        if (op := _rearranged(readers[0].op, channels)) is None:
            break
        # The selection and its reader change places and names: behind both is the same tensor, called as before.
        first = replace(selection, op=op)
        selection = replace(readers[0], op=selection.op)
        graph = with_replaced(graph, first, selection)
    return graph


def _in_readers(graph: Graph, selection: Node) -> Graph:
    """The graph with ``selection`` in the weights of those of its readers that are ungrouped convolutions; without
    it, where nothing else reads it."""
    assert isinstance(selection.op, Select)
    source, channels = selection.inputs[0], list(selection.op.channels)
    for reader in graph.consumers[selection.name]:
        if isinstance(reader.op, Select):
            composed = Select(tuple(channels[c] for c in reader.op.channels))
            graph = with_replaced(graph, replace(reader, op=composed, inputs=(source,)))
        elif isinstance(reader.op, Conv) and reader.op.groups == 1 and reader.op.weight.levels is None:
            old = reader.op.weight.values
            new = np.zeros((len(old), graph.shapes[source][0], *old.shape[2:]), np.float32)
            for channel, weights in zip(channels, np.moveaxis(old, 1, 0), strict=True):
                new[:, channel] += weights
            conv = replace(reader.op, weight=Weight(new))
            graph = with_replaced(graph, replace(reader, op=conv, inputs=(source,)))
    unread = not graph.consumers[selection.name] and selection.name not in graph.outputs
    return graph.with_nodes(n for n in graph.nodes if n.name != selection.name) if unread else graph


def _rearranged(op: Op, channels: tuple[int, ...]) -> Op | None:
    """What computes in front of a permutation what ``op`` computes behind it; None where there is none."""
    if isinstance(op, Clip | Function | MaxPool | AvgPool | GlobalAvgPool):
        return op
    if isinstance(op, Conv) and op.groups == len(channels) == len(op.bias) and op.weight.levels is None:
        order = np.argsort(channels)
        return replace(op, weight=Weight(op.weight.values[order]), bias=op.bias[order])
    return None


def _reader(graph: Graph, name: str) -> Node | None:
    """The first node that reads a tensor, None where none does."""
    return next(iter(graph.consumers[name]), None)
