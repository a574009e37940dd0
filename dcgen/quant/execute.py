"""The golden model: runs a QGraph in exact integer arithmetic, many pictures at once.

Convolutions run as float64 matrix products: every product of a byte and a 16-bit level, and every
sum of at most 2**29 of them, is an integer below 2**53, so float64 holds it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, assert_never

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dcgen.ahead import in_turn, one_blas_thread
from dcgen.errors import GraphError
from dcgen.ir.ops import edged, upsample
from dcgen.quant.arithmetic import requantize, wrap32
from dcgen.quant.qgraph import (
    I32,
    U8,
    QAdd,
    QAvgPool,
    QConcat,
    QConv,
    QGraph,
    QMaxPool,
    QMul,
    QNode,
    QPad,
    QScores,
    QTable,
    QTensor,
    QUpsample,
)

I64 = NDArray[np.int64]
Bytes = NDArray[Any]
"""Planes: uint8, or int64 where zero points have been subtracted."""
BATCH = 4, 64
"""Least and most pictures that are computed together: of a large network more make the matrix products no faster
and leave the caches, of a small one they save calls."""
BATCH_BYTES = 1 << 18
"""Bytes of all tensors of a batch of more than the least pictures, at most."""


@one_blas_thread
def execute(
    graph: QGraph,
    pictures: U8,
    trace: dict[str, U8] | None = None,
    progress: Callable[[int], None] | None = None,
) -> I32:
    """Scores of camera pictures.

    pictures : uint8 [N, H, W, C], channels in the network's camera order
    trace : if given, receives every uint8 tensor by name as [N, C, H, W], the input included
    progress : called with the number of pictures done since its last call

    Returns int32 [N, S]. Raises GraphError for pictures of another shape.
    """
    c, h, w = graph.input.shape
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (h, w, c):
        raise GraphError(
            graph.name, f"takes uint8 pictures [N, {h}, {w}, {c}], found {pictures.dtype} {pictures.shape}"
        )
    scores, traces = [], []
    size = min(BATCH[1], max(BATCH[0], BATCH_BYTES // sum(math.prod(t.shape) for t in graph.tensors.values())))
    batches = (pictures[start : start + size] for start in range(0, len(pictures), size))
    for found, tensors in in_turn(lambda batch: _run(graph, batch, keep=trace is not None), batches):
        scores.append(found)
        traces.append(tensors)
        if progress:
            progress(len(found))
    if trace is not None:
        for name in graph.tensors:
            trace[name] = np.concatenate([t[name] for t in traces])
    return np.concatenate(scores) if scores else np.zeros((0, graph.n_scores), np.int32)


def _run(graph: QGraph, pictures: U8, keep: bool) -> tuple[I32, dict[str, U8]]:
    """Scores of one batch, and its byte tensors by name: all if ``keep``, else those not yet dropped."""
    values: dict[str, U8] = {graph.input.name: np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))}
    last_use = {i: n.name for n in graph.nodes for i in n.inputs}
    for node in graph.byte_nodes:
        values[node.name] = _byte_node(graph, node, [values[i] for i in node.inputs])
        if not keep:
            for i in dict.fromkeys(node.inputs):
                if last_use[i] == node.name:
                    del values[i]
    scores = [_scores(graph, node, values[node.inputs[0]]) for node in graph.score_nodes]
    return np.concatenate(scores, axis=1), values


def _byte_node(graph: QGraph, node: QNode, xs: list[U8]) -> U8:
    """The bytes uint8 [N, C, H, W] that ``node`` makes of its inputs ``xs``."""
    source, out = graph.tensors[node.inputs[0]], graph.tensors[node.name]
    x, op = xs[0], node.op
    match op:
        case QConv():
            if op.requant is None:
                raise GraphError(node.name, "makes scores but is not the last node")
            return requantize(convolve(op, x, source), op.requant, out.zero_point)
        case QMaxPool():
            windows = _windows(_padded(x, op.pads, op.kernel, op.stride, out.shape, 0), op.kernel, op.stride)
            most = np.zeros(windows.shape[:4], np.uint8)  # one tap after the other: a maximum over axes is slow
            for tap in np.ndindex(*windows.shape[4:]):
                np.maximum(most, windows[..., *tap], out=most)
            return most
        case QAvgPool():
            return requantize(_average(op, x, source, out), op.requant, out.zero_point)
        case QAdd():
            zero = np.zeros(x.shape, np.int64)
            zps = (graph.tensors[i].zero_point for i in node.inputs)
            acc = sum(((v.astype(np.int64) - z) * k for v, z, k in zip(xs, zps, op.factors, strict=True)), zero)
            return requantize(wrap32(acc), op.requant, out.zero_point)
        case QMul():
            za, zb = (graph.tensors[i].zero_point for i in node.inputs)
            product = (x.astype(np.int64) - za) * (xs[1].astype(np.int64) - zb)
            return requantize(wrap32(product * op.factor), op.requant, out.zero_point)
        case QTable():
            return op.table[x]
        case QPad(edge=True):
            return edged(x, op.pads)
        case QPad():
            t, left, b, r = op.pads
            return np.pad(x, ((0, 0), (0, 0), (t, b), (left, r)), constant_values=op.value)
        case QUpsample():
            return upsample(x, op.factor, op.channels, op.cut)
        case QConcat():
            return np.concatenate(xs, axis=1)
        case QScores():
            raise GraphError(node.name, "makes scores but is not the last node")
        case _:
            assert_never(op)


def _scores(graph: QGraph, node: QNode, x: U8) -> I32:
    """The scores int32 [N, S] that ``node`` makes of its input ``x``."""
    source = graph.tensors[node.inputs[0]]
    if isinstance(node.op, QConv):
        acc = convolve(node.op, x, source)
    else:
        acc = x.astype(np.int64) - source.zero_point
        if isinstance(node.op, QScores) and node.op.total:
            acc = acc.sum(axis=(2, 3))
    return acc.reshape(len(x), -1).astype(np.int32)


def convolve(op: QConv, x: U8, source: QTensor) -> I64:
    """The convolution's accumulators, wrapped to 32 bits: int64 [N, O, OH, OW] for x uint8 [N, I, H, W].

    source : the tensor that ``x`` is, for its pad bytes
    """
    n, _, h, w = x.shape
    (kh, kw), (sh, sw), (t, left, b, r) = op.kernel, op.stride, op.pads
    if any(op.pads):
        plane = np.empty((n, x.shape[1], h + t + b, w + left + r), np.uint8)
        plane[:] = np.asarray(source.pad, np.uint8).reshape(1, -1, 1, 1)
        plane[:, :, t : t + h, left : left + w] = x
        x = plane
    o, i = op.indices.shape[:2]
    outputs = o // op.groups
    oh, ow = (x.shape[2] - kh) // sh + 1, (x.shape[3] - kw) // sw + 1
    acc = np.empty((n, o, oh * ow), np.float64)
    ky, kx = np.nonzero(op.weights.any((0, 1)))  # between the taps of a dilated kernel all weights are zero
    weights = op.weights[:, :, ky, kx].astype(np.float64).reshape(op.groups, outputs, i * len(ky))
    for g in range(op.groups):
        windows = _windows(x[:, g * i : (g + 1) * i], (kh, kw), (sh, sw))[..., ky, kx]
        columns = windows.transpose(0, 1, 4, 2, 3).reshape(n, i * len(ky), oh * ow).astype(np.float64)
        np.matmul(weights[g], columns, out=acc[:, g * outputs : (g + 1) * outputs])
    total = acc.astype(np.int64).reshape(n, o, oh, ow) + op.bias.astype(np.int64).reshape(1, -1, 1, 1)
    return wrap32(total)


def _windows(x: Bytes, kernel: tuple[int, int], stride: tuple[int, int]) -> Bytes:
    """View [N, C, OH, OW, KH, KW] of every window of x [N, C, H, W]."""
    return sliding_window_view(x, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]


def _padded(
    x: Bytes,
    pads: tuple[int, int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    out: tuple[int, int, int],
    value: int,
) -> Bytes:
    """x with ``value`` around it, cut or extended so that exactly the output's windows fit.

    out : shape of the output; in ceil mode its last windows may reach beyond the end padding
    """
    need = [(size - 1) * s + k for size, s, k in zip(out[1:], stride, kernel, strict=True)]
    full = np.full(
        (*x.shape[:2], max(need[0], pads[0] + x.shape[2]), max(need[1], pads[1] + x.shape[3])), value, x.dtype
    )
    full[:, :, pads[0] : pads[0] + x.shape[2], pads[1] : pads[1] + x.shape[3]] = x
    return full[:, :, : need[0], : need[1]]


def divisors(op: QAvgPool, source: QTensor, out: QTensor) -> I64:
    """The divisor n of every output position of a ``QAvgPool`` from ``source`` to ``out``: int64 [OH, OW]."""
    _, h, w = source.shape
    t, left, b, r = op.pads
    ones = np.ones((1, 1, h, w), np.int64)
    pads = op.pads
    if op.count_include_pad:
        ones, pads = np.ones((1, 1, t + h + b, left + w + r), np.int64), (0, 0, 0, 0)
    counted = _padded(ones, pads, op.kernel, op.stride, out.shape, 0)
    return np.asarray(
        sliding_window_view(counted, op.kernel, axis=(2, 3))[0, 0, :: op.stride[0], :: op.stride[1]].sum(
            axis=(2, 3)
        )
    )


def _average(op: QAvgPool, x: U8, source: QTensor, out: QTensor) -> I64:
    """The average's accumulators, wrapped to 32 bits: int64 [N, C, OH, OW]."""
    centred = x.astype(np.int64) - source.zero_point
    sums = _windows(_padded(centred, op.pads, op.kernel, op.stride, out.shape, 0), op.kernel, op.stride).sum(
        axis=(4, 5)
    )
    n = divisors(op, source, out)
    return wrap32(sums * ((op.unit + n // 2) // n))
