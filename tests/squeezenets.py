"""SqueezeNets as integer networks with random weights: real topologies for tests that need no trained files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcgen.models.spec import ConvLayer, FireLayer, PoolLayer, SqueezeNetSpec
from dcgen.quant.arithmetic import multiplier
from dcgen.quant.qgraph import (
    I16,
    U8,
    QAdd,
    QConcat,
    QConv,
    QGraph,
    QMaxPool,
    QNode,
    QOp,
    QScores,
    QTensor,
    Requant,
)
from dcgen.quant.verify import verify


def squeezenet(spec: SqueezeNetSpec, density: float = 0.3, seed: int = 0, mean: float | None = None) -> QGraph:
    """The network of ``spec`` with random weights, whose tensors use the whole range of their bytes.

    density : share of weights that are not zero
    mean : of the weights' magnitudes, which are distributed geometrically up to 127; None for 15 levels that are
        equally frequent
    """
    builder = _Builder(spec, density, seed, mean)
    last = "picture"
    for layer in spec.layers():
        match layer:
            case ConvLayer():
                last = builder.conv(layer, last)
            case PoolLayer(name, kernel, stride):
                pool = QMaxPool((kernel, kernel), (stride, stride), (0, 0, 0, 0), True)
                last = builder.push(name, pool, (last,), like=last)
            case FireLayer():
                last = builder.fire(layer, last)
    builder.nodes.append(QNode("scores", QScores(True), (last,)))
    return verify(QGraph(spec.name, builder.tensors["picture"], builder.tensors, tuple(builder.nodes), 1.0))


class _Builder:
    def __init__(self, spec: SqueezeNetSpec, density: float, seed: int, mean: float | None) -> None:
        self.rng = np.random.default_rng(seed)
        self.density, self.mean = density, mean
        shape = spec.channels, spec.size, spec.size
        pads = tuple(int(b) for b in self.rng.integers(90, 130, spec.channels))
        self.tensors = {"picture": QTensor("picture", shape, 1.0, 0, pads)}
        self.nodes: list[QNode] = []

    def push(self, name: str, op: QOp, inputs: tuple[str, ...], like: str | None = None) -> str:
        shape = op.shape([self.tensors[i].shape for i in inputs])
        zero = self.tensors[like].zero_point if like else int(self.rng.integers(0, 20))
        self.tensors[name] = QTensor(name, shape, 1.0, zero, (zero,) * shape[0])
        self.nodes.append(QNode(name, op, inputs))
        return name

    def conv(self, layer: ConvLayer, source: str, like: str | None = None) -> str:
        shape = layer.weight_shape
        kept = self.rng.random(shape) < self.density
        levels, indices = self.weights(kept)
        spread = np.sqrt(max(1, int(kept[0].sum()))) * 40 * 60
        m, s = multiplier(60 / spread)
        sums = levels[indices].astype(np.int64).reshape(shape[0], -1).sum(1)
        bias = self.rng.integers(0, 4000, shape[0]) - 100 * sums
        requant = Requant(np.array([m], np.uint16), np.array([s], np.uint8), 0, 255)
        stride, pad = (layer.stride, layer.stride), (layer.pad,) * 4
        conv = QConv(levels, indices, bias.astype(np.int32), 0, requant, stride, pad)
        return self.push(layer.name, conv, (source,), like)

    def weights(self, kept: NDArray[np.bool_]) -> tuple[I16, U8]:
        """Levels, and indices of which only those ``kept`` are not zero."""
        if self.mean is None:
            levels = np.append(0, np.arange(-7, 8)[np.arange(-7, 8) != 0] * 9).astype(np.int16)
            return levels, np.where(kept, self.rng.integers(1, len(levels), kept.shape), 0).astype(np.uint8)
        sizes = np.minimum(self.rng.geometric(1 / self.mean, kept.shape), 127)
        weights = np.where(kept, sizes * self.rng.choice([-1, 1], kept.shape), 0)
        levels = np.append(0, np.setdiff1d(weights, 0)).astype(np.int16)
        order = np.argsort(levels)
        return levels, order[np.searchsorted(levels[order], weights)].astype(np.uint8)

    def fire(self, layer: FireLayer, source: str) -> str:
        squeezed = self.conv(layer.squeeze, source)
        left = self.conv(layer.expand1x1, squeezed)
        right = self.conv(layer.expand3x3, squeezed, like=left)
        merged = self.push(f"{layer.name}.concat", QConcat(), (left, right), like=left)
        if layer.bypass == "none":
            return merged
        detour = self.conv(layer.bypass, source) if isinstance(layer.bypass, ConvLayer) else source
        m, s = multiplier(2.0**-11)
        add = QAdd((1000, 1000), Requant(np.array([m], np.uint16), np.array([s], np.uint8)))
        return self.push(f"{layer.name}.add", add, (detour, merged))
