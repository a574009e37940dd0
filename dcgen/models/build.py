"""Builds the ``ir.Graph`` of a SqueezeNet from its specification and its parameters."""

from __future__ import annotations

from collections.abc import Mapping

from dcgen.errors import ConfigError, GraphError
from dcgen.ir.graph import (
    F32,
    Add,
    Clip,
    Concat,
    Conv,
    GlobalAvgPool,
    Graph,
    Input,
    MaxPool,
    Node,
    Op,
    Weight,
)
from dcgen.ir.verify import verify
from dcgen.models.spec import ConvLayer, FireLayer, PoolLayer, SqueezeNetSpec

INPUT = "input"
"""Name of the graph's input tensor, [channels, size, size]."""


def build_graph(
    spec: SqueezeNetSpec, params: Mapping[str, F32], weights: Mapping[str, Weight] | None = None
) -> Graph:
    """The network that ``spec`` describes. The last layers are conv10, ReLU and a global average pool.

    params : float32 arrays by torchvision name, as ``spec.parameters()`` lists them
    weights : shared weights by name of the convolution (``fire2.squeeze``); those given are taken instead of
        the arrays in ``params``

    Raises ConfigError where pictures of ``spec.size`` are too small for the layers.
    """
    builder = _Builder(params, weights or {})
    for layer in spec.layers():
        match layer:
            case ConvLayer():
                builder.conv_relu(layer)
            case PoolLayer(name, kernel, stride):
                builder.push(name, MaxPool((kernel, kernel), (stride, stride), ceil=True))
            case FireLayer():
                builder.fire(layer)
    scores = builder.push(f"pool{spec.fires + 2}", GlobalAvgPool())
    picture = Input(INPUT, (spec.channels, spec.size, spec.size))
    graph = Graph(spec.name, (picture,), tuple(builder.nodes), (scores,))
    try:
        _ = graph.shapes
    except GraphError as e:
        raise ConfigError(spec.name, f"pictures of {spec.size}x{spec.size} are too small for it, at {e}") from None
    return verify(graph)


class _Builder:
    """Appends nodes in order.

    params, weights : as in ``build_graph``
    last : name of the tensor that the next layer reads
    """

    def __init__(self, params: Mapping[str, F32], weights: Mapping[str, Weight]) -> None:
        self.params = params
        self.weights = weights
        self.nodes: list[Node] = []
        self.last = INPUT

    def push(self, name: str, op: Op, *inputs: str) -> str:
        """Append a node, which reads ``last`` if no inputs are given, and return its name."""
        self.nodes.append(Node(name, op, inputs or (self.last,)))
        self.last = name
        return name

    def conv(self, layer: ConvLayer, source: str) -> str:
        """Append a convolution of ``source``."""
        weight = self.weights.get(layer.name) or Weight(self.params[f"{layer.prefix}.weight"])
        bias = self.params[f"{layer.prefix}.bias"]
        stride, pad = layer.stride, layer.pad
        return self.push(layer.name, Conv(weight, bias, (stride, stride), (pad, pad, pad, pad)), source)

    def conv_relu(self, layer: ConvLayer, source: str | None = None) -> str:
        """Append a convolution of ``source``, by default of ``last``, and a ReLU."""
        return self.push(f"{layer.name}.relu", Clip(), self.conv(layer, source or self.last))

    def fire(self, layer: FireLayer) -> None:
        """Append a fire module with its bypass."""
        entry = self.last
        squeezed = self.conv_relu(layer.squeeze)
        sides = [self.conv_relu(expand, squeezed) for expand in (layer.expand1x1, layer.expand3x3)]
        merged = self.push(f"{layer.name}.concat", Concat(), *sides)
        if layer.bypass == "none":
            return
        detour = self.conv(layer.bypass, entry) if isinstance(layer.bypass, ConvLayer) else entry
        self.push(f"{layer.name}.add", Add(), detour, merged)
