"""Made-up networks of convolutions one after the other, as small networks for microcontrollers have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgen.ir.graph import Shape
from dcgen.quant.arithmetic import constants
from dcgen.quant.qgraph import QAvgPool, QConv, QGraph, QMaxPool, QNode, QOp, QTensor, Requant
from dcgen.quant.verify import verify

NOISE = 127.5, 74.0
"""Mean and standard deviation of a picture of noise."""
HALVED = 24.0, 35.0
"""About those of a rectified tensor, half of whose bytes are zero."""
STEEPNESS = 60.0
"""Standard deviation of what is rectified to such a tensor."""


@dataclass(frozen=True)
class Layer:
    """A convolution with as much padding as keeps the size, or a pooling.

    outputs : channels; 0 for a depthwise convolution
    kernel : rows and columns
    density : share of the weights that are not zero
    spread : mean magnitude of the weights; a thirtieth of it is the distance of levels, and 1 at least
    pool : largest of so many rows and columns behind it; 1 for none
    padded : whether there is padding
    """

    outputs: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    density: float = 0.9
    spread: float = 12.0
    pool: int = 1
    padded: bool = True


def chain_of(name: str, shape: Shape, layers: Sequence[Layer], classes: int, averaged: bool = True) -> QGraph:
    """``layers`` on pictures of ``shape`` (C, H, W), then averages of the planes and a fully connected layer.

    averaged : whether there are these averages; else the last layer is connected with all of the planes
    """
    rng = np.random.default_rng(sum(name.encode()))
    last = QTensor("picture", shape, 1.0, 0, (0,) * shape[0])
    tensors, nodes, moments = {last.name: last}, list[QNode](), NOISE

    def add(op: QOp) -> None:
        nonlocal last
        made = op.shape([last.shape])
        nodes.append(QNode(f"node{len(nodes)}", op, (last.name,)))
        last = QTensor(nodes[-1].name, made, 1.0, 0, (0,) * made[0])
        tensors[last.name] = last

    def conv(layer: Layer, requantized: bool = True) -> QConv:
        channels = last.shape[0]
        kernel = (layer.kernel, layer.kernel) if isinstance(layer.kernel, int) else layer.kernel
        outputs, groups = (layer.outputs, 1) if layer.outputs else (channels, channels)
        size = outputs, channels // groups, *kernel
        step = max(1, round(layer.spread / 30))
        steps = np.clip(np.rint(rng.laplace(0, layer.spread / step, size)), -127, 127)
        weights = (step * steps * (rng.random(size) < layer.density)).astype(np.int16)
        levels = np.append(0, np.setdiff1d(weights, 0)).astype(np.int16)
        order = np.argsort(levels)
        indices = order[np.searchsorted(levels, weights, sorter=order)].astype(np.uint8)
        rows = weights.astype(np.int64).reshape(outputs, -1)
        bias = -np.rint(moments[0] * rows.sum(1)).astype(np.int32)
        slope = STEEPNESS / (moments[1] * float(np.sqrt((rows**2).sum(1)).mean()) + 1)
        (kh, kw), pad = kernel, int(layer.padded)
        pads = (kh - 1) // 2 * pad, (kw - 1) // 2 * pad, kh // 2 * pad, kw // 2 * pad
        requant: Requant | None = constants(slope) if requantized else None
        return QConv(levels, indices, bias, 0, requant, (layer.stride, layer.stride), pads, groups)

    for layer in layers:
        add(conv(layer))
        moments = HALVED
        if layer.pool > 1:
            add(QMaxPool((layer.pool, layer.pool), (layer.pool, layer.pool), (0, 0, 0, 0), False))
    if averaged:
        window = last.shape[1], last.shape[2]
        unit = constants(1 / 256)
        add(QAvgPool(window, (1, 1), (0, 0, 0, 0), False, False, window[0] * window[1] << 8, unit))
    connected = Layer(classes, last.shape[1:], padded=False)
    nodes.append(QNode("scores", conv(connected, requantized=False), (last.name,)))
    return verify(QGraph(name, tensors["picture"], tensors, tuple(nodes), 1.0))


def separable(name: str, shape: Shape, first: Layer, widths: Sequence[tuple[int, int]], density: float) -> QGraph:
    """A layer, then pairs of a depthwise convolution of 3x3 and one of single positions.

    widths : of each pair the outputs of the latter and the stride of the former
    density : share of the latter's weights that are not zero in the first pair; it falls to a tenth of that
    """
    layers = [first]
    for i, (outputs, stride) in enumerate(widths):
        kept = density * (1 - 0.9 * i / max(len(widths) - 1, 1))
        layers += [Layer(0, 3, stride, 0.9, 30.0), Layer(outputs, density=kept, spread=20.0 - i)]
    return chain_of(name, shape, layers, 10)
