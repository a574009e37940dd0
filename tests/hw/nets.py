"""Networks, blobs and plans for tests of the whole engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.blob import Blob, encode
from dcgen.encode.coding import CodingSettings
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.plan.engine.plan import EnginePlan, plan_engine
from dcgen.quant.arithmetic import MAX_RATIO, constants
from dcgen.quant.execute import convolve, execute
from dcgen.quant.qgraph import QAdd, QConcat, QConv, QGraph, QMaxPool, QNode, QScores
from dcgen.quant.verify import verify
from dcgen.targets.engines import SIMULATED
from tests.firmware.nets import _Builder

SMALL = SIMULATED.parameters
"""The engine that most tests share, so that its simulation is built once."""


@dataclass(frozen=True, eq=False)
class Net:
    """A network ready to run; ``picture`` is uint8 [H, W, C]."""

    graph: QGraph
    blob: Blob
    plan: EnginePlan
    picture: NDArray[np.uint8]


def planned(
    graph: QGraph, parameters: EngineParameters = SMALL, seed: int = 1, coding: CodingSettings | None = None
) -> Net:
    """``graph`` encoded and planned, with a random picture."""
    blob = encode(graph, coding or CodingSettings())
    c, h, w = graph.input.shape
    picture = np.random.default_rng(seed).integers(0, 256, (h, w, c), np.uint8)
    return Net(graph, blob, plan_engine(graph, blob, parameters), picture)


def fire_net(seed: int = 1, channels: int = 3, size: int = 14) -> QGraph:
    """A small SqueezeNet: a strided convolution, a pool, two fire modules, a bypass, a classifier."""
    b = _Builder(seed)
    b.tensor("input", (channels, size, size), None, tuple(b.rng.integers(0, 256, channels).tolist()))
    x = b.node(b.conv("input", 6, (3, 3), (2, 2)), "input")
    x = b.keeping(QMaxPool((3, 3), (2, 2), (0, 0, 0, 0), True), x)
    for _ in range(2):
        squeezed = b.node(b.conv(x, 4, (1, 1)), x)
        e1 = b.node(b.conv(squeezed, 5, (1, 1)), squeezed, zero_point=77)
        e3 = b.node(b.conv(squeezed, 7, (3, 3), pads=(1, 1, 1, 1)), squeezed, zero_point=77)
        x = b.keeping(QConcat(), e1, e3)
    y = b.node(b.conv(x, 12, (3, 3), pads=(1, 1, 1, 1)), x)
    x = b.node(QAdd((b.pick(-250, 250), b.pick(-250, 250)), b.requant()), x, y)
    x = b.node(b.conv(x, 10, (1, 1)), x)
    b.nodes.append(QNode("scores", QScores(True), (x,)))
    return verify(QGraph(f"fire {seed}", b.tensors["input"], b.tensors, tuple(b.nodes), 0.25))


def lively(graph: QGraph, seed: int = 1) -> QGraph:
    """``graph`` with its convolutions' constants chosen anew, so that every score depends on the picture.

    With random constants most bytes of a network are one of their bounds, which would hide faults from its scores.
    """
    rng = np.random.default_rng(seed)
    c, h, w = graph.input.shape
    pictures = rng.integers(0, 256, (4, h, w, c)).astype(np.uint8)
    for number, node in enumerate(graph.nodes):
        op = node.op
        if not isinstance(op, QConv):
            continue
        trace: dict[str, NDArray[np.uint8]] = {}
        execute(graph, pictures, trace)
        indices = np.where(
            rng.random(op.indices.shape) < 0.6, rng.integers(0, len(op.levels), op.indices.shape), 0
        )
        dense = replace(op, indices=indices.astype(np.uint8), bias_shift=0)
        acc = convolve(dense, trace[node.inputs[0]], graph.tensors[node.inputs[0]])
        centre = (op.bias - acc.mean(axis=(0, 2, 3))).astype(np.int32)
        ratio = min(MAX_RATIO, 60 / max(1.0, float(acc.std(axis=(0, 2, 3)).mean())))
        changed = replace(dense, bias=centre, requant=constants(ratio, 3, 250))
        nodes = (*graph.nodes[:number], replace(node, op=changed), *graph.nodes[number + 1 :])
        graph = replace(graph, nodes=nodes)
    return verify(graph)
