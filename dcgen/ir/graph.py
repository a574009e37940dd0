"""The float network: an immutable list of nodes over (channels, height, width) tensors.

Every node has one output, named like the node. The batch is implicit: an operator sees one picture. Gemm is a
Conv on a flattened tensor, BatchNormalization an Affine, ReLU a Clip, so that passes know few operators. The
operators are those of ``ops``; a weight carries its compressed form beside its values (``weights``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from dcgen.ir.functions import Constant, Step
from dcgen.ir.ops import (
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
    MaxPool,
    Op,
    Pad,
    Pads,
    Pair,
    Pairwise,
    Select,
    Shape,
    Upsample,
    Where,
    infer,
)
from dcgen.ir.weights import F32, F64, Levels, Weight

__all__ = ["F32", "F64", "Graph", "Input", "Levels", "Node", "Op", "Pads", "Pair", "Shape", "Weight"]
__all__ += ["Add", "Affine", "AvgPool", "Clip", "Concat", "Constant", "Conv", "Crop", "Flatten"]
__all__ += ["Function", "GlobalAvgPool", "MaxPool", "Pad", "Pairwise", "Select", "Step", "Upsample", "Where"]
__all__ += ["density", "macs"]


@dataclass(frozen=True, eq=False)
class Input:
    """A graph input: name and (C, H, W)."""

    name: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class Node:
    """One operator; ``name`` is also the name of its output tensor."""

    name: str
    op: Op
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    nodes : in execution order
    outputs : names of inputs or nodes
    """

    name: str
    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """(C, H, W) of every tensor by name, inputs included."""
        found: dict[str, Shape] = {i.name: i.shape for i in self.inputs}
        for node in self.nodes:
            found[node.name] = infer(node.name, node.op, [found[i] for i in node.inputs])
        return found

    @property
    def n_scores(self) -> int:
        """Elements of all outputs for one picture."""
        return sum(prod(self.shapes[o]) for o in self.outputs)

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        """The nodes by name."""
        return {n.name: n for n in self.nodes}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """By tensor name the nodes that read it, in order. Being an output of the graph does not count."""
        found: dict[str, list[Node]] = {i.name: [] for i in self.inputs}
        for node in self.nodes:
            found[node.name] = []
            for i in dict.fromkeys(node.inputs):
                found[i].append(node)
        return {k: tuple(v) for k, v in found.items()}

    def convs(self) -> Iterator[tuple[Node, Conv]]:
        """The nodes that are convolutions, in order, each with its operator."""
        for node in self.nodes:
            if isinstance(node.op, Conv):
                yield node, node.op

    def with_nodes(self, nodes: Iterable[Node], **changes: Any) -> Graph:
        """This graph with other nodes, and with the fields in ``changes`` replaced."""
        return replace(self, nodes=tuple(nodes), **changes)

    def with_weights(self, weights: Mapping[str, Weight], biases: Mapping[str, F32] | None = None) -> Graph:
        """This graph with the weights and biases of the Conv nodes named in the two mappings replaced."""

        def changed(node: Node) -> Node:
            if not isinstance(node.op, Conv):
                return node
            weight = weights.get(node.name, node.op.weight)
            bias = (biases or {}).get(node.name, node.op.bias)
            return replace(node, op=replace(node.op, weight=weight, bias=bias))

        return self.with_nodes(map(changed, self.nodes))


def density(graph: Graph, whole: Graph | None = None) -> float:
    """Weights of ``graph`` that are not zero, as a share of all those of ``whole``, by default of its own."""
    left = sum(int(np.count_nonzero(conv.weight.values)) for _, conv in graph.convs())
    return left / sum(conv.weight.values.size for _, conv in (whole or graph).convs())


def macs(graph: Graph) -> dict[str, int]:
    """Multiply-accumulates of each Conv node if no weight is skipped, by name; taps in the padding count, too."""
    out = {}
    for node, conv in graph.convs():
        _, h, w = graph.shapes[node.name]
        out[node.name] = h * w * int(np.prod(conv.weight.values.shape))
    return out
