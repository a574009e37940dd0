"""Byte tensors of a network: which float tensors become one, and the scale of each.

A Clip fuses into the operator before it. The inputs and the output of an operator that only selects values get one
scale (union-find); all other operators end in a requantization, which brings any scale to any other. A Concat is
done by placing its inputs side by side in memory; where a tensor would have to lie in two places, a copy of it
takes the second one. Of a tensor that only functions read, bytes cover what makes a difference to these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dcgen.ir.graph import F64, Clip, Concat, Conv, Function, Graph, Node, Pairwise
from dcgen.quant.arithmetic import MAX_RATIO
from dcgen.quant.levels import channel_scale, integer_levels, least_source_scale, room
from dcgen.quant.qgraph import AVERAGE_UNIT_BITS, QTensor
from dcgen.quant.ranges import LEAST_RANGE, Range
from dcgen.quant.tables import kept

PRODUCT_BITS = 15
"""A product of two tensors can be given a factor of 2**PRODUCT_BITS: 255 * 255 * 2**15 is below 2**31."""


def with_copies(graph: Graph) -> Graph:
    """The graph with a copy of a tensor (an identity Clip) wherever it would have to lie in two places.

    That is where it enters two Concats, or one twice, or enters one and is also an input or output of the network.
    """
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
    """The node that each Clip fuses into, by the Clip's name.

    A Clip fuses if it is the only reader of an operator that ends in a requantization, which clips anyway, and if
    that operator's own output is none of the network's.
    """
    owners = {}
    for node in graph.nodes:
        if not isinstance(node.op, Clip):
            continue
        before = graph.by_name.get(node.inputs[0])
        if (
            before is not None
            and not isinstance(before.op, Clip)
            and not before.op.selects
            and graph.consumers[before.name] == (node,)
            and before.name not in graph.outputs
        ):
            owners[node.name] = before.name
    return owners


def byte_tensors(
    graph: Graph, ranges: Mapping[str, Range], owners: Mapping[str, str], mean: F64
) -> dict[str, QTensor]:
    """Every byte tensor by name; tensors that share a scale share the widest range among them.

    ranges : real interval of every float tensor
    owners : as ``clip_owners`` gives it
    mean : camera byte per input channel that means 0.0; it is what padding reads
    """
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for node in graph.nodes:
        if node.op.selects:
            for i in node.inputs:
                parent[find(owners.get(i, i))] = find(node.name)
    first = graph.inputs[0]
    final = {owner: clip for clip, owner in owners.items()}
    names = [n.name for n in graph.nodes if n.name not in owners]
    groups: dict[str, tuple[float, float]] = {}
    for name in names:
        last = final.get(name, name)
        least, most = ranges[last].low, ranges[last].high
        readers = [(n.op, ranges[final.get(n.name, n.name)]) for n in graph.consumers[last]]
        functions = [(op, values) for op, values in readers if isinstance(op, Function)]
        if functions and len(functions) == len(readers) and last not in graph.outputs:
            least, most = kept(ranges[last], functions)
        low, high = groups.get(find(name), (0.0, 0.0))
        groups[find(name)] = min(low, least), max(high, most)

    def scale(name: str) -> float:
        low, high = groups[find(name)] if name != first.name else (0.0, 255.0)
        return float(np.float32(max(high - low, LEAST_RANGE) / 255))

    def widened(name: str, least: float) -> bool:
        """Whether the tensor's scale was below ``least``; it is not any more."""
        if name == first.name or scale(name) >= least:
            return False
        low, high = groups[find(name)]
        grow = 1.01 * least / scale(name)
        groups[find(name)] = low * grow, max(high, LEAST_RANGE) * grow
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
                finest = _finest_step(node, [scale(i) for i in sources])
                if widened(node.name, finest / MAX_RATIO):
                    settled = False
    pad = tuple(int(v) for v in np.clip(np.rint(mean), 0, 255))
    tensors = {first.name: QTensor(first.name, first.shape, 1.0, 0, pad)}
    for name in names:
        zp = int(np.clip(np.rint(-groups[find(name)][0] / scale(name)), 0, 255))
        shape = graph.shapes[name]
        tensors[name] = QTensor(name, shape, scale(name), zp, (zp,) * shape[0])
    return tensors


def _finest_step(node: Node, scales: Sequence[float]) -> float:
    """Real value of the smallest unit that the node's accumulator can be given, 0.0 if it has none.

    scales : of its inputs
    """
    if node.op.selects or isinstance(node.op, Function):
        return 0.0
    if isinstance(node.op, Conv):
        levels, step = integer_levels(node.op, scales[0], node.name)
        finest = step / (1 << room(node.op, levels, step * scales[0]))
        return scales[0] * finest * float(channel_scale(node.op).max())
    if isinstance(node.op, Pairwise) and node.op.kind == "Mul":
        return scales[0] * scales[1] / (1 << PRODUCT_BITS)
    return max(scales) / (1 << AVERAGE_UNIT_BITS)  # an addition's unit is finer still
