"""Byte tensors of a network: which float tensors become one, and the scale of each.

Clips fuse into the operator before them. Tensors that Concat, MaxPool and Pad join get one scale
(union-find); a copy stands in where placement could not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dcgen.ir.graph import F64, Add, AvgPool, Clip, Concat, Conv, GlobalAvgPool, Graph, MaxPool, Node, Pad
from dcgen.quant.arithmetic import MAX_RATIO
from dcgen.quant.levels import channel_scale, integer_levels, least_source_scale, room
from dcgen.quant.qgraph import AVERAGE_UNIT_BITS, QTensor
from dcgen.quant.ranges import Range


def with_copies(graph: Graph) -> Graph:
    """An identity clip wherever a tensor would have to lie in two places: entering two Concats, or
    one twice, or being a network input or output at the same time."""
    placed: set[str] = {graph.inputs[0].name, *graph.outputs}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node.op, Concat):
            inputs = []
            for position, name in enumerate(node.inputs):
                if name in placed:
                    copy = Node(f"{node.name}.copy{position}", Clip(-np.inf, np.inf), (name,))
                    nodes.append(copy)
                    name = copy.name
                placed.add(name)
                inputs.append(name)
            node = replace(node, inputs=tuple(inputs))
        nodes.append(node)
    return graph.with_nodes(nodes)


def clip_owners(graph: Graph) -> dict[str, str]:
    """Clip node name -> the node it fuses into: the only reader of a convolution, addition or
    average whose own output nobody else needs."""
    owners = {}
    for node in graph.nodes:
        if not isinstance(node.op, Clip):
            continue
        before = graph.by_name.get(node.inputs[0])
        if (
            before is not None
            and isinstance(before.op, Conv | Add | AvgPool | GlobalAvgPool)
            and graph.consumers[before.name] == (node,)
            and before.name not in graph.outputs
        ):
            owners[node.name] = before.name
    return owners


def byte_tensors(
    graph: Graph, ranges: Mapping[str, Range], owners: Mapping[str, str], mean: F64
) -> dict[str, QTensor]:
    """Every byte tensor with its scale; joined tensors share the widest range among them."""
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for node in graph.nodes:
        if isinstance(node.op, Concat | MaxPool | Pad):
            for i in node.inputs:
                parent[find(owners.get(i, i))] = find(node.name)
    first = graph.inputs[0]
    final = {owner: clip for clip, owner in owners.items()}
    names = [n.name for n in graph.nodes if n.name not in owners]
    groups: dict[str, tuple[float, float]] = {}
    for name in names:
        r = ranges[final.get(name, name)]
        low, high = groups.get(find(name), (0.0, 0.0))
        groups[find(name)] = min(low, r.low), max(high, r.high)

    def scale(name: str) -> float:
        low, high = groups[find(name)] if name != first.name else (0.0, 255.0)
        return float(np.float32(max(high - low, 1e-6) / 255))

    def widened(name: str, least: float) -> bool:
        """Whether the tensor's scale was below ``least``; it is not any more."""
        if name == first.name or scale(name) >= least:
            return False
        low, high = groups[find(name)]
        grow = 1.01 * least / scale(name)
        groups[find(name)] = low * grow, max(high, 1e-6) * grow
        return True

    # A tensor that calibration saw (almost) only at zero is widened until one accumulator unit of
    # its operator is at most half of its step, and the biases of those that read it fit their
    # accumulators. That can widen other tensors in turn.
    settled = False
    while not settled:
        settled = True
        for node in graph.nodes:
            sources = [owners.get(i, i) for i in node.inputs]
            if isinstance(node.op, Conv) and widened(sources[0], least_source_scale(node.op, node.name)):
                settled = False
            if node.name not in owners:
                finest = _finest_step(node, max(scale(i) for i in sources))
                if widened(node.name, finest / MAX_RATIO):
                    settled = False
    pad = tuple(int(v) for v in np.clip(np.rint(mean), 0, 255))
    tensors = {first.name: QTensor(first.name, first.shape, 1.0, 0, pad)}
    for name in names:
        zp = int(np.clip(np.rint(-groups[find(name)][0] / scale(name)), 0, 255))
        shape = graph.shapes[name]
        tensors[name] = QTensor(name, shape, scale(name), zp, (zp,) * shape[0])
    return tensors


def _finest_step(node: Node, source_scale: float) -> float:
    """Real value of the smallest unit that the node's accumulator can be given."""
    match node.op:
        case Conv():
            levels, step = integer_levels(node.op, source_scale, node.name)
            finest = step / (1 << room(node.op, levels, step * source_scale))
            return source_scale * finest * float(channel_scale(node.op).max())
        case Add() | Clip() | AvgPool() | GlobalAvgPool():  # an addition has more bits than an average
            return source_scale / (1 << AVERAGE_UNIT_BITS)
        case _:
            return 0.0
