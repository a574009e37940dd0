"""The float network: an immutable list of nodes over (channels, height, width) tensors.

Every node has one output, named like the node. The batch is implicit: an operator sees one
picture. Gemm is a Conv on a flattened tensor, BatchNormalization an Affine, ReLU a Clip, so
that passes know few operators. Weights carry their compressed form beside their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
"""Channels, height, width."""
Pair = tuple[int, int]
"""Vertical, horizontal."""
Pads = tuple[int, int, int, int]
"""Top, left, bottom, right (ONNX's order)."""
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Levels:
    """The shared values of one weight tensor.

    codebook : float64 [K], 1 <= K <= 256, ``codebook[0] == 0``: index 0 is the zero that is skipped
    indices : uint8, shape of the weight (OIHW)
    step : if given, every codebook entry is an integer multiple of it (a uniform grid), so that
        lowering is exact; |entry / step| <= 32767
    channel_scale : float64 [O], optional factor per output channel
    """

    codebook: F64
    indices: NDArray[np.uint8]
    step: float | None = None
    channel_scale: F64 | None = None

    @property
    def multiples(self) -> NDArray[np.int16]:
        """The codebook in steps, int16 [K], of a uniform grid."""
        assert self.step is not None
        return np.rint(self.codebook / self.step).astype(np.int16)

    def values(self) -> F32:
        """The float32 weights (OIHW) these levels stand for."""
        w = self.codebook[self.indices]
        if self.channel_scale is not None:
            w = w * self.channel_scale.reshape(-1, *([1] * (w.ndim - 1)))
        return w.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Weight:
    """A convolution's weights: float32 OIHW values and, once shared, the levels behind them."""

    values: F32
    levels: Levels | None = None

    @classmethod
    def of(cls, levels: Levels) -> Weight:
        """The weight whose values are exactly those of ``levels``."""
        return cls(levels.values(), levels)


@dataclass(frozen=True, eq=False)
class Conv:
    """2-D cross-correlation, dilation 1, zero padding. Weight [O, I/groups, KH, KW], bias [O]."""

    weight: Weight
    bias: F32
    stride: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    groups: int = 1

    @property
    def kernel(self) -> Pair:
        h, w = self.weight.values.shape[2:]
        return int(h), int(w)


@dataclass(frozen=True, eq=False)
class Affine:
    """y = x * scale + shift per channel (batch normalisation at inference). Both float32 [C]."""

    scale: F32
    shift: F32


@dataclass(frozen=True)
class Clip:
    """y = min(max(x, lo), hi). ReLU is (0, inf), ReLU6 is (0, 6)."""

    lo: float = 0.0
    hi: float = float("inf")


@dataclass(frozen=True)
class MaxPool:
    """Maximum over windows, padding never wins. ``ceil``: ONNX ceil_mode, and windows that would
    start in the end padding are dropped."""

    kernel: Pair
    stride: Pair
    pads: Pads = (0, 0, 0, 0)
    ceil: bool = False


@dataclass(frozen=True)
class AvgPool:
    """Average over windows; the divisor counts the taps inside the input, or with
    ``count_include_pad`` those inside the padded input."""

    kernel: Pair
    stride: Pair
    pads: Pads = (0, 0, 0, 0)
    ceil: bool = False
    count_include_pad: bool = False


@dataclass(frozen=True)
class GlobalAvgPool:
    """Average over each whole plane: (C, H, W) to (C, 1, 1)."""


@dataclass(frozen=True)
class Concat:
    """Concatenation of any number of inputs along channels."""


@dataclass(frozen=True)
class Add:
    """Element-wise sum of two tensors of equal shape."""


@dataclass(frozen=True)
class Pad:
    """Constant padding of height and width; negative pads are not allowed."""

    pads: Pads
    value: float = 0.0


@dataclass(frozen=True)
class Flatten:
    """(C, H, W) to (C*H*W, 1, 1), in C, H, W order."""


Op = Conv | Affine | Clip | MaxPool | AvgPool | GlobalAvgPool | Concat | Add | Pad | Flatten


@dataclass(frozen=True, eq=False)
class Input:
    """A graph input."""

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
    """A network. ``nodes`` are in execution order; ``outputs`` name inputs or nodes."""

    name: str
    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every tensor, inputs included."""
        from dcgen.ir.shapes import infer  # shapes.py needs the operators above

        found: dict[str, Shape] = {i.name: i.shape for i in self.inputs}
        for node in self.nodes:
            found[node.name] = infer(node, [found[i] for i in node.inputs])
        return found

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        return {n.name: n for n in self.nodes}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each tensor, in order (graph outputs are not counted)."""
        found: dict[str, list[Node]] = {i.name: [] for i in self.inputs}
        for node in self.nodes:
            found[node.name] = []
            for i in dict.fromkeys(node.inputs):
                found[i].append(node)
        return {k: tuple(v) for k, v in found.items()}

    def convs(self) -> Iterator[tuple[Node, Conv]]:
        """The weighted nodes with their operator, in order."""
        for node in self.nodes:
            if isinstance(node.op, Conv):
                yield node, node.op

    def with_nodes(self, nodes: Iterable[Node], **changes: Any) -> Graph:
        """This graph with other nodes (and other fields, by name)."""
        return replace(self, nodes=tuple(nodes), **changes)

    def with_weights(self, weights: Mapping[str, Weight], biases: Mapping[str, F32] | None = None) -> Graph:
        """This graph with the weights, and biases, of the named Conv nodes replaced."""

        def changed(node: Node) -> Node:
            if not isinstance(node.op, Conv):
                return node
            weight = weights.get(node.name, node.op.weight)
            bias = (biases or {}).get(node.name, node.op.bias)
            return replace(node, op=replace(node.op, weight=weight, bias=bias))

        return self.with_nodes(map(changed, self.nodes))


def macs(graph: Graph) -> dict[str, int]:
    """Dense multiply-accumulates per Conv node: every kernel tap of every output, padding included."""
    out = {}
    for node, conv in graph.convs():
        _, h, w = graph.shapes[node.name]
        out[node.name] = h * w * int(np.prod(conv.weight.values.shape))
    return out
