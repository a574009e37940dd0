"""Random networks for tests of the C runtime, at shapes and strides that reach its corners; and their pictures."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from dcgen.quant.arithmetic import constants
from dcgen.quant.qgraph import (
    TABLE_BYTES,
    QAdd,
    QAvgPool,
    QConcat,
    QConv,
    QGraph,
    QMaxPool,
    QMul,
    QNode,
    QOp,
    QPad,
    QScores,
    QTable,
    QTensor,
    QUpsample,
    Requant,
)
from dcgen.quant.verify import verify


class _Builder:
    """A network under construction, node by node, with random constants."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors: dict[str, QTensor] = {}
        self.nodes: list[QNode] = []

    def pick(self, low: int, high: int) -> int:
        """A random integer from ``low`` to ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def tensor(
        self, name: str, shape: tuple[int, int, int], zero_point: int | None, pad: tuple[int, ...] = ()
    ) -> None:
        zp = self.pick(0, 255) if zero_point is None else zero_point
        self.tensors[name] = QTensor(name, shape, 1.0, zp, pad or (zp,) * shape[0])

    def node(self, op: QOp, *inputs: str, zero_point: int | None = None) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(QNode(name, op, inputs))
        self.tensor(name, op.shape([self.tensors[i].shape for i in inputs]), zero_point)
        return name

    def keeping(self, op: QOp, *inputs: str) -> str:
        """Add a node whose output has its input's zero point. Returns the node's name."""
        return self.node(op, *inputs, zero_point=self.tensors[inputs[0]].zero_point)

    def requant(self, n: int = 1) -> Requant:
        mult = self.rng.integers(500, 3000, n).astype(np.uint16)
        shift = self.rng.integers(18, 22, n).astype(np.uint8)
        return Requant(mult, shift, self.pick(0, 20), self.pick(200, 255))

    def conv(
        self,
        source: str,
        outputs: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
        scores: bool = False,
    ) -> QConv:
        n_levels = self.pick(1, 256)
        levels = self.rng.integers(-40, 41, n_levels).astype(np.int16) * self.pick(1, 8)
        levels[0] = 0
        shape = (outputs, self.tensors[source].shape[0] // groups, *kernel)
        dense = self.rng.random(shape) < self.rng.random()
        indices = (self.rng.integers(0, n_levels, shape) * dense).astype(np.uint8)
        bias_shift = self.pick(0, 6)
        bias = (self.rng.integers(-3000, 3000, outputs) << bias_shift).astype(np.int32)
        requant = None if scores else self.requant(outputs if self.pick(0, 1) else 1)
        return QConv(levels.astype(np.int16), indices, bias, bias_shift, requant, stride, pads, groups)


def every_operator(seed: int) -> QGraph:
    """A small verified network with every operator. The seed chooses shapes, constants, densities and the last
    node."""
    b = _Builder(seed)
    c, h, w = b.pick(1, 4), b.pick(8, 20), b.pick(8, 20)
    b.tensor("input", (c, h, w), None, tuple(b.rng.integers(0, 256, c).tolist()))
    x = b.node(b.conv("input", 6, (3, 3), (2, 1), (1, 2, 0, 1)), "input")
    x = b.keeping(QMaxPool((3, 2), (2, 2), (1, 1, 0, 1), bool(b.pick(0, 1))), x)
    x = b.node(b.conv(x, 4, (1, 1)), x)
    e1 = b.node(b.conv(x, 5, (1, 1)), x, zero_point=77)
    e3 = b.node(b.conv(x, 7, (3, 3), pads=(1, 1, 1, 1)), x, zero_point=77)
    joined = b.keeping(QConcat(), e1, e3)
    y = b.node(b.conv(joined, 12, (3, 3), pads=(1, 1, 1, 1), groups=(1, 2, 12)[b.pick(0, 2)]), joined)
    x = b.node(QAdd((b.pick(-250, 250), b.pick(-250, 250)), b.requant()), joined, y)
    x = b.keeping(QPad((1, 0, 2, 1), b.pick(0, 255)), x)
    pool = QAvgPool(
        (3, 3), (2, 2), (1, 1, 1, 1), bool(b.pick(0, 1)), bool(b.pick(0, 1)), 9 << b.pick(3, 6), b.requant()
    )
    x = b.node(pool, x)
    x = b.node(QAdd((b.pick(-250, 250),), b.requant()), x)
    x = b.node(QTable(b.rng.integers(0, 256, TABLE_BYTES).astype(np.uint8)), x)
    gate = b.keeping(QMaxPool(b.tensors[x].shape[1:], (1, 1), (0, 0, 0, 0), False), x)
    gate = b.node(b.conv(gate, b.tensors[x].shape[0], (1, 1)), gate)
    gated = b.node(QMul(1 << b.pick(0, 3), b.requant()), x, gate)
    x = b.node(QMul(b.pick(1, 9), b.requant()), gated, x)
    blocks = (QUpsample((2, 3), 2, (1, 2)), QUpsample((1, 2), 12, (0, 0)))[seed % 2]
    x = b.keeping(blocks, x)
    last: QOp = QScores(seed % 3 == 1)
    if seed % 3 == 0:
        last = b.conv(x, 10, b.tensors[x].shape[1:], scores=True)
    b.nodes.append(QNode("scores", last, (x,)))
    return verify(QGraph(f"net {seed}", b.tensors["input"], b.tensors, tuple(b.nodes), 0.25))


def rectified(
    channels: int,
    size: tuple[int, int],
    outputs: int,
    share: float,
    density: float = 0.5,
    clip: tuple[int, int] = (0, 255),
) -> QGraph:
    """A 1x1 convolution over an input that is mostly zero.

    share : about how much of the 1x1 convolution's input is not zero where the picture is noise
    density : share of its weights that are not zero
    clip : lowest and highest byte of its output

    Every fifth channel of that input is zero throughout, every seventh filter has no weights."""
    rng = np.random.default_rng(outputs)
    levels = np.append(0, np.setdiff1d(np.arange(-50, 51), 0)).astype(np.int16)

    def conv(shape: tuple[int, ...], kept: float, active: float, pad: int, bounds: tuple[int, int]) -> QConv:
        indices = rng.integers(1, len(levels), shape) * (rng.random(shape) < kept)
        weights = levels[indices].astype(np.int64).reshape(shape[0], -1)
        spread = 74 * np.sqrt((weights**2).sum(1)) + 1  # standard deviation of sums over noise
        bias = -np.rint(127 * weights.sum(1) + NormalDist().inv_cdf(1 - active) * spread).astype(np.int32)
        requant = constants(30 / float(spread.mean()), *bounds)
        return QConv(levels, indices.astype(np.uint8), bias, 0, requant, (1, 1), (pad,) * 4)

    rare = conv((channels, 3, 3, 3), 0.8, share, 1, (0, 255))
    rare.bias[::5] = -(1 << 24)
    alone = conv((outputs, channels, 1, 1), density, 0.5, 0, clip)
    alone.indices[::7] = 0
    tensors = {
        "input": QTensor("input", (3, *size), 1.0, 0, (0, 0, 0)),
        "rare": QTensor("rare", (channels, *size), 1.0, 0, (0,) * channels),
        "alone": QTensor("alone", (outputs, *size), 1.0, 5, (5,) * outputs),
    }
    nodes = (
        QNode("rare", rare, ("input",)),
        QNode("alone", alone, ("rare",)),
        QNode("scores", QScores(True), ("alone",)),
    )
    return verify(QGraph("rectified", tensors["input"], tensors, nodes, 1.0))


def pictures(graph: QGraph, count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pictures of noise, uint8 [count, H, W, C]."""
    c, h, w = graph.input.shape
    return np.random.default_rng(seed).integers(0, 256, (count, h, w, c), dtype=np.uint8)


def extreme_pictures(graph: QGraph) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A picture of zeros, one of 255 throughout, and a random mixture of both, uint8 [3, H, W, C]."""
    c, h, w = graph.input.shape
    mixture = 255 * np.random.default_rng(0).integers(0, 2, (h, w, c), dtype=np.uint8)
    return np.stack([np.zeros_like(mixture), np.full_like(mixture, 255), mixture])
