"""What each float operator computes, in plain NumPy: the meaning of ``ir.Graph``.

Written to be read and to judge others by, not for speed. Everything is float64 inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dcgen.errors import GraphError
from dcgen.ir.graph import (
    F64,
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Conv,
    Flatten,
    GlobalAvgPool,
    Graph,
    MaxPool,
    Node,
    Pad,
    Pads,
    Pair,
)
from dcgen.ir.shapes import window_count


def evaluate(graph: Graph, inputs: Mapping[str, NDArray[np.floating]]) -> dict[str, F64]:
    """Every tensor of the graph by name, [N, C, H, W], for inputs [N, C, H, W] of any batch N."""
    tensors: dict[str, F64] = {}
    for i in graph.inputs:
        if i.name not in inputs or inputs[i.name].shape[1:] != i.shape:
            found = inputs[i.name].shape if i.name in inputs else "nothing"
            raise GraphError(i.name, f"is an input of shape {('N', *i.shape)}, found {found}")
        tensors[i.name] = np.asarray(inputs[i.name], np.float64)
    for node in graph.nodes:
        tensors[node.name] = apply(node, [tensors[i] for i in node.inputs])
    return tensors


def apply(node: Node, args: Sequence[F64]) -> F64:
    """The output of one node, [N, C, H, W], for the tensors it reads."""
    x = args[0]
    match node.op:
        case Conv() as op:
            return _conv(x, op)
        case Affine(scale, shift):
            return x * _per_channel(scale) + _per_channel(shift)
        case Clip(lo, hi):
            return np.minimum(np.maximum(x, lo), hi)
        case MaxPool(kernel, stride, pads, ceil):
            return _f64(_windows(x, kernel, stride, pads, ceil, -np.inf).max((-2, -1)))
        case AvgPool(kernel, stride, pads, ceil, count_include_pad):
            sums = _windows(x, kernel, stride, pads, ceil, 0.0).sum((-2, -1))
            inside = np.ones((1, 1, *x.shape[2:]))
            counted = _windows(inside, kernel, stride, pads, ceil, float(count_include_pad))
            return _f64(sums / counted.sum((-2, -1)))
        case GlobalAvgPool():
            return _f64(x.mean((2, 3), keepdims=True))
        case Concat():
            return np.concatenate(args, 1)
        case Add():
            return x + args[1]
        case Pad(pads, value):
            return _pad(x, pads, value)
        case Flatten():
            return x.reshape(len(x), -1, 1, 1)


def _conv(x: F64, op: Conv) -> F64:
    patches = _windows(x, op.kernel, op.stride, op.pads, False, 0.0)  # N, I, OH, OW, KH, KW
    weight = op.weight.values.astype(np.float64)
    groups = [
        np.tensordot(p, w, ((1, 4, 5), (1, 2, 3)))  # N, OH, OW, O/groups
        for p, w in zip(np.split(patches, op.groups, 1), np.split(weight, op.groups), strict=True)
    ]
    return np.moveaxis(np.concatenate(groups, -1), -1, 1) + _per_channel(op.bias)


def _windows(x: F64, kernel: Pair, stride: Pair, pads: Pads, ceil: bool, fill: float) -> F64:
    """The windows of the planes padded with ``fill``, [N, C, OH, OW, KH, KW].

    In ceil mode a last window may reach beyond the padding, into cells that never count.
    """
    top, left, bottom, right = pads
    oh = window_count(x.shape[2], kernel[0], stride[0], top, bottom, ceil)
    ow = window_count(x.shape[3], kernel[1], stride[1], left, right, ceil)
    beyond = -np.inf if fill == -np.inf else 0.0
    x = _pad(_pad(x, pads, fill), (0, 0, stride[0], stride[1]), beyond)
    every: F64 = sliding_window_view(x, kernel, (2, 3))
    return every[:, :, :: stride[0], :: stride[1]][:, :, :oh, :ow]


def _pad(x: F64, pads: Pads, value: float) -> F64:
    top, left, bottom, right = pads
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def _per_channel(values: NDArray[np.floating]) -> F64:
    return values.astype(np.float64).reshape(-1, 1, 1)


def _f64(x: Any) -> F64:
    return np.asarray(x, np.float64)
