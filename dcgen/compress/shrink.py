"""Removes channels that make no difference: what is left is the same function of real numbers, in fewer channels.

A filter without weights gives the same number everywhere, and so does what is computed of that number alone.
Where a convolution reads it, the number times the weight goes into the bias, unless padding would make a
difference. What no weight reads is then not needed, nor the filter that makes it, nor what only that filter reads.
Tensors that are joined element by element, as by an Add, lose a channel together or not at all. Inputs and outputs
keep their channels, and every tensor keeps one at least, so that all nodes stay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dcgen.compress.joined import routes, sources
from dcgen.compress.rewrite import with_replaced
from dcgen.errors import UnsupportedError
from dcgen.ir.graph import (
    F64,
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Conv,
    Crop,
    Flatten,
    Function,
    GlobalAvgPool,
    Graph,
    Levels,
    MaxPool,
    Node,
    Op,
    Pad,
    Pairwise,
    Select,
    Upsample,
    Weight,
    Where,
)
from dcgen.ir.verify import verify

Marks = dict[str, NDArray[np.bool_]]
"""By tensor, whether each of its channels has a property: bool [C]."""


def shrunk(graph: Graph) -> Graph:
    """The graph without channels that make no difference; ``graph`` itself where there are none.

    graph : canonical, with levels or without

    Raises UnsupportedError for an operator that no canonical graph has.
    """
    while (smaller := _shrunk_once(graph)) is not graph:
        graph = smaller
    return graph


def _shrunk_once(graph: Graph) -> Graph:
    """The graph without the channels that are seen to make no difference: without them, others may be, as where a
    tensor keeps a channel only because it must have one. ``graph`` itself where there are none."""
    found = _folded(graph)
    needed = _needed(found)
    kept = _filled(found, needed)
    nodes = [_sliced(node, kept, needed) for node in found.nodes]
    if found is graph and all(new is old for new, old in zip(nodes, graph.nodes, strict=True)):
        return graph
    return verify(found.with_nodes(nodes))


def removed_channels(before: Graph, after: Graph) -> dict[str, int]:
    """By Conv node, how many of its output channels ``after`` does not have any more."""
    left = {node.name: len(conv.bias) for node, conv in after.convs()}
    return {node.name: len(conv.bias) - left[node.name] for node, conv in before.convs()}


def _folded(graph: Graph) -> Graph:
    """The graph with what convolutions read of constant channels in their biases, where that is exact."""
    known: dict[str, F64] = {i.name: np.full(i.shape[0], np.nan) for i in graph.inputs}
    changed = []
    for node in graph.nodes:
        op, inputs = node.op, [known[i] for i in node.inputs]
        if isinstance(op, Conv) and (op := _without_constants(op, inputs[0])) is not node.op:
            changed.append(replace(node, op=op))
        known[node.name] = _constants(node.name, op, inputs)
    return with_replaced(graph, *changed) if changed else graph


def _without_constants(conv: Conv, known: F64) -> Conv:
    """The convolution with weights of zero for the channels that are constant, and what these give in its bias.

    known : float64 [I], the values of its input's channels, NaN where they are not constant
    """
    exact = (known == 0) | (np.isfinite(known) & (not any(conv.pads)))
    source = sources(conv)
    moved = exact[source] & conv.weight.values.any((2, 3))
    if not moved.any():
        return conv
    sums = conv.weight.values.sum((2, 3), dtype=np.float64)
    bias = conv.bias + (sums * np.where(moved, known[source], 0)).sum(1)
    return replace(conv, weight=_masked(conv.weight, ~moved), bias=bias.astype(np.float32))


def _constants(name: str, op: Op, inputs: list[F64]) -> F64:
    """The values of an output's channels, float64 [C], NaN where they are not constant.

    inputs : the same of the node's inputs; a convolution reads none of them that it could do without
    """
    first = inputs[0]
    match op:
        case Conv():
            return np.where(op.weight.values.any((1, 2, 3)), np.nan, op.bias)
        case Clip() | Function() | Add() | Pairwise() | Where():
            unknown = np.isnan(inputs).any(0)
            return np.where(unknown, np.nan, _alike(op, inputs))
        case Select() | Concat():
            return _alike(op, inputs)
        case Upsample():
            return _alike(replace(op, cut=(0, 0)), inputs)
        case MaxPool() | GlobalAvgPool() | Crop() | Pad(edge=True):
            return first
        case AvgPool():
            return np.where((first == 0) | (not op.count_include_pad) | (not any(op.pads)), first, np.nan)
        case Pad():
            return np.where(first == op.value, first, np.nan)
        case Affine() | Flatten():
            raise UnsupportedError(name, f"{op.title} cannot lose channels", "canonicalise the graph first")


def _alike(op: Op, inputs: list[F64]) -> F64:
    """What ``op`` makes of planes of one pixel, float64 [C], NaN where pixels differ or are not finite."""
    with np.errstate(all="ignore"):
        made = op.evaluate(*(x.reshape(1, -1, 1, 1) for x in inputs))[0]
    flat = made.reshape(len(made), -1)
    return np.where(np.isfinite(flat).all(1) & (flat == flat[:, :1]).all(1), flat[:, 0], np.nan)


def _needed(graph: Graph) -> Marks:
    """The channels that an output depends on, or that are joined to such a channel."""
    marks = {name: np.zeros(shape[0], bool) for name, shape in graph.shapes.items()}
    for name in (*(i.name for i in graph.inputs), *graph.outputs):
        marks[name][:] = True
    _spread(graph, marks)
    return marks


def _filled(graph: Graph, needed: Marks) -> Marks:
    """The channels that are kept: those that are needed, and the first of a tensor that has none."""
    kept = {name: marks.copy() for name, marks in needed.items()}
    for node in graph.nodes:
        if not kept[node.name].any():
            kept[node.name][0] = True
            _spread(graph, kept, reads=False)
    return kept


def _spread(graph: Graph, marks: Marks, reads: bool = True) -> None:
    """Mark the channels, too, that those which are marked are joined to, and where ``reads``, depend on."""
    joined = {node.name: routes(graph, node) for node in graph.nodes}
    dense = [(node.name, conv.weight.values) for node, conv in graph.convs() if conv.groups == 1 and reads]
    taps: Marks = {name: np.asarray(values.any((2, 3))) for name, values in dense}
    before = -1
    while before != (before := sum(int(m.sum()) for m in marks.values())):
        for node in reversed(graph.nodes):
            output = marks[node.name]
            if node.name in taps:
                marks[node.inputs[0]] |= np.any(taps[node.name][output], 0)
            for name, (inputs, outputs) in zip(node.inputs, joined[node.name], strict=False):
                marks[name][inputs[output[outputs]]] = True
                output[outputs[marks[name][inputs]]] = True


def _sliced(node: Node, kept: Marks, needed: Marks) -> Node:
    """The node for the channels that are kept of its inputs and its output."""
    op, inputs, outputs = node.op, kept[node.inputs[0]], kept[node.name]
    wasted = isinstance(op, Conv) and op.weight.values[~needed[node.name]].any()
    if inputs.all() and outputs.all() and not wasted:
        return node
    match op:
        case Conv():
            return replace(node, op=_sliced_conv(op, inputs, outputs, needed[node.name]))
        case Select():
            places = np.cumsum(inputs) - 1
            chosen = places[np.array(op.channels)[outputs]]
            return replace(node, op=Select(tuple(chosen.tolist())))
        case Upsample():
            return replace(node, op=replace(op, channels=int(outputs.sum())))
        case _:
            return node


def _sliced_conv(
    conv: Conv, inputs: NDArray[np.bool_], outputs: NDArray[np.bool_], needed: NDArray[np.bool_]
) -> Conv:
    """The convolution of some channels to some; filters that are not needed lose their weights."""
    weight = conv.weight if needed[outputs].all() else _masked(conv.weight, needed[:, None])
    columns = inputs if conv.groups == 1 else np.ones(weight.values.shape[1], bool)
    groups = 1 if conv.groups == 1 else int(inputs.sum()) * conv.groups // len(inputs)
    if (levels := weight.levels) is None:
        weight = Weight(np.ascontiguousarray(weight.values[outputs][:, columns]))
    else:
        scale = None if levels.channel_scale is None else levels.channel_scale[outputs]
        indices = levels.indices[outputs][:, columns]
        weight = Weight.of(_in_use(replace(levels, indices=indices, channel_scale=scale)))
    return replace(conv, weight=weight, bias=conv.bias[outputs], groups=groups)


def _masked(weight: Weight, mask: NDArray[np.bool_]) -> Weight:
    """The weight with zeros where ``mask``, bool [O or 1, I or 1], is false."""
    mask = mask[:, :, None, None]
    if weight.levels is None:
        return Weight(np.where(mask, weight.values, np.float32(0)))
    return Weight.of(_in_use(replace(weight.levels, indices=np.where(mask, weight.levels.indices, np.uint8(0)))))


def _in_use(levels: Levels) -> Levels:
    """The levels without those of the codebook that no weight has any more. Where a codebook has the negative of
    each of its levels, a level stays as long as its negative."""
    book = levels.codebook
    used = np.zeros(len(book), bool)
    used[levels.indices] = True
    used[0] = True
    if np.array_equal(np.sort(book), np.sort(-book)):
        used |= np.isin(-book, book[used])
    places = (np.cumsum(used) - 1).astype(np.uint8)
    return replace(levels, codebook=book[used], indices=places[levels.indices])
