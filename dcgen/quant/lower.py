"""Lowering: from a canonical float graph whose weights are shared to the integer network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dcgen.errors import NumericError, UnsupportedError
from dcgen.ir.graph import (
    F64,
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
    Graph,
    MaxPool,
    Node,
    Pad,
    Pairwise,
    Select,
    Upsample,
    Where,
)
from dcgen.ir.ops import Span
from dcgen.quant.arithmetic import MAX_RATIO, constants
from dcgen.quant.execute import divisors
from dcgen.quant.levels import BIAS_TOLERANCE, channel_scale, integer_bias, integer_levels, room
from dcgen.quant.qgraph import (
    AVERAGE_UNIT_BITS,
    U8,
    UNIT_BITS,
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
from dcgen.quant.ranges import Range
from dcgen.quant.scales import byte_tensors, clip_owners
from dcgen.quant.tables import table
from dcgen.quant.verify import verify

COPY_BITS = 2
"""A copied byte is multiplied by 2**COPY_BITS, and its requantization's factor is 2**-COPY_BITS, one that fits."""
ADDITION_BITS = 14
"""The factor of an addition's input of largest scale is 2**ADDITION_BITS."""


@dataclass(frozen=True)
class _Lowering:
    """What lowering one node has to know of the network.

    tensors : the byte tensors by name
    owners : the node that each fused Clip is part of, by the Clip's name
    clips : the reverse: the Clip that is part of a node, by the node's name
    mean : camera byte per input channel that means 0.0
    tolerance : as ``integer_bias`` has it
    """

    graph: Graph
    tensors: Mapping[str, QTensor]
    owners: Mapping[str, str]
    clips: Mapping[str, Clip]
    mean: F64
    tolerance: float

    def source(self, name: str) -> str:
        """The byte tensor that holds the float tensor ``name``."""
        return self.owners.get(name, name)

    def bounds(self, node: Node) -> tuple[int, int]:
        """lo and hi of ``node``'s requantization: the bounds of its Clip, or of the Clip that it is, in bytes."""
        clip = node.op if isinstance(node.op, Clip) else self.clips.get(node.name, Clip(-np.inf, np.inf))
        t = self.tensors[node.name]
        lo, hi = (float(np.clip(np.rint(v / t.scale) + t.zero_point, 0, 255)) for v in (clip.lo, clip.hi))
        return int(lo), int(hi)


def lower(graph: Graph, ranges: Mapping[str, Range], mean: F64, tolerance: float = BIAS_TOLERANCE) -> QGraph:
    """The integer network of ``graph``.

    graph : canonical, its weights shared, after ``with_copies``
    ranges : real interval of every tensor, as ``calibrate`` gives it
    mean : camera byte per input channel that means 0.0
    tolerance : largest error of an output, in its steps, that rounding a bias may make

    Raises NumericError naming a node whose integers leave the bounds of ``qgraph``, UnsupportedError for one
    whose operator no canonical graph has.
    """
    owners = clip_owners(graph)
    clips = {owners[n.name]: n.op for n in graph.nodes if n.name in owners and isinstance(n.op, Clip)}
    tensors = byte_tensors(graph, ranges, owners, mean)
    state = _Lowering(graph, tensors, owners, clips, mean, tolerance)
    nodes = list(_nodes(state))
    scales = []
    for output in graph.outputs:
        scores, scale = _scores(state, state.source(output))
        nodes.append(scores)
        scales.append(float(np.float32(scale)))
    used = {i for n in nodes for i in n.inputs} | {graph.inputs[0].name}
    kept = {n: t for n, t in tensors.items() if n in used}
    first = tensors[graph.inputs[0].name]
    return verify(QGraph(graph.name, first, kept, tuple(nodes), scales[0], tuple(scales[1:])))


def _nodes(state: _Lowering) -> Iterator[QNode]:
    """The integer nodes that make bytes: all but those that make scores of the network's outputs."""
    graph = state.graph
    ends = set(map(state.source, graph.outputs))
    for node in graph.nodes:
        if node.name in state.owners:
            continue
        if node.name in ends and _ends_in_scores(state, node):
            continue
        inputs = tuple(state.source(i) for i in node.inputs)
        try:
            yield QNode(node.name, _lower_node(state, node, inputs), inputs)
        except NumericError as e:
            raise NumericError(node.name, e.problem, e.hint) from e


def _ends_in_scores(state: _Lowering, node: Node) -> bool:
    """Whether ``node``, which makes an output, makes its int32 scores itself; else QScores makes them of bytes."""
    if node.name in state.clips or state.graph.consumers[node.name]:
        return False
    return isinstance(node.op, GlobalAvgPool) or (
        isinstance(node.op, Conv)
        and (node.op.weight.levels is None or node.op.weight.levels.channel_scale is None)
    )


def _scores(state: _Lowering, last: str) -> tuple[QNode, float]:
    """The node that makes the scores of the output ``last``, and the real value of a score's unit."""
    node = state.graph.by_name[last]
    if _ends_in_scores(state, node):
        source = state.source(node.inputs[0])
        if isinstance(node.op, Conv):
            conv, step = _conv(state, node, source, raw=True)
            return QNode(node.name, conv, (source,)), step * state.tensors[source].scale
        _, h, w = state.tensors[source].shape
        return QNode(node.name, QScores(total=True), (source,)), state.tensors[source].scale / (h * w)
    return QNode(f"{last}.scores", QScores(total=False), (last,)), state.tensors[last].scale


def _lower_node(state: _Lowering, node: Node, inputs: tuple[str, ...]) -> QOp:
    op, sources = node.op, [state.tensors[i] for i in inputs]
    match op:
        case Conv():
            return _conv(state, node, inputs[0])[0]
        case MaxPool():
            return QMaxPool(op.kernel, op.stride, op.pads, op.ceil)
        case AvgPool():
            return _average(state, node, op, sources[0])
        case GlobalAvgPool():
            _, h, w = sources[0].shape
            return _average(state, node, AvgPool((h, w), (1, 1)), sources[0])
        case Concat():
            return QConcat()
        case Pad(edge=True):
            return QPad(op.pads, 0, edge=True)
        case Pad():
            t = state.tensors[node.name]
            return QPad(op.pads, int(np.clip(np.rint(op.value / t.scale) + t.zero_point, 0, 255)))
        case Upsample():
            return QUpsample(op.factor, op.channels, op.cut)
        case Add() | Clip():
            return _sum(state, node, sources, (1, 1))
        case Pairwise("Sub"):
            return _sum(state, node, sources, (1, -1))
        case Pairwise("Mul"):
            return _product(state, node, sources)
        case Select(channels):
            indices = np.zeros((len(channels), sources[0].shape[0], 1, 1), np.uint8)
            indices[range(len(channels)), channels] = 1
            return _copy(indices, sources[0])
        case Crop(rows, columns):
            (top, high), (left, wide) = map(_window, (rows, columns), sources[0].shape[1:])
            groups = sources[0].shape[0]
            indices = np.zeros((groups, 1, high, wide), np.uint8)
            indices[:, :, top, left] = 1
            return replace(_copy(indices, sources[0]), stride=(rows[2], columns[2]), groups=groups)
        case Function():
            return QTable(table(op, sources[0], state.tensors[node.name], state.bounds(node), node.name))
        case Affine() | Flatten() | Pairwise() | Where():
            raise UnsupportedError(node.name, f"{op.title} reached lowering", "canonicalise the graph first")


def _conv(state: _Lowering, node: Node, source: str, raw: bool = False) -> tuple[QConv, float]:
    """The convolution ``node`` of byte tensor ``source``, and the real value of one step of its levels.

    raw : whether its accumulators are the scores, which takes no requantization
    """
    assert isinstance(node.op, Conv)
    conv, x = node.op, state.tensors[source]
    levels, step = integer_levels(conv, x.scale, node.name)
    shared, channel = conv.weight.levels, channel_scale(conv)
    assert shared is not None
    requant = None
    if not raw:
        out = state.tensors[node.name]
        ratio = x.scale * step * channel / out.scale
        short = max(0, math.ceil(math.log2(float(ratio.max()) / MAX_RATIO)))
        grow = min(short, room(conv, levels, step * x.scale))
        levels, step, ratio = (levels << grow).astype(np.int16), step / 2**grow, ratio / 2**grow
        requant = constants(ratio, *state.bounds(node))
    weights = levels[shared.indices].reshape(len(conv.bias), -1).astype(np.float64)
    if source == state.graph.inputs[0].name:
        means = np.split(np.repeat(state.mean, conv.kernel[0] * conv.kernel[1]), conv.groups)
        zero = np.concatenate([w @ m for w, m in zip(np.split(weights, conv.groups), means, strict=True)])
    else:
        zero = weights.sum(1) * x.zero_point
    exact = conv.bias / (x.scale * step * channel) - zero
    bias, shift = integer_bias(exact, None if requant is None else ratio, node.name, state.tolerance)
    indices = dilated(shared.indices, conv.dilation)
    return QConv(levels, indices, bias, shift, requant, conv.stride, conv.pads, conv.groups), step


def dilated(indices: U8, dilation: tuple[int, int]) -> U8:
    """Level indices uint8 [O, I, KH, KW] with level 0, which is zero, between the taps of a dilated kernel."""
    o, i, kh, kw = indices.shape
    spread = np.zeros((o, i, (kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1), np.uint8)
    spread[:, :, :: dilation[0], :: dilation[1]] = indices
    return spread


def _copy(indices: U8, x: QTensor) -> QConv:
    """The convolution that gives bytes of ``x`` back as they are.

    indices : uint8 [O, I, KH, KW], level indices of which each filter has one that is 1, and else 0
    """
    levels = np.array([0, 1 << COPY_BITS], np.int16)
    bias = np.full(len(indices), -x.zero_point << COPY_BITS, np.int32)
    return QConv(levels, indices, bias, COPY_BITS, constants(2.0**-COPY_BITS), (1, 1), (0, 0, 0, 0))


def _window(span: Span, size: int) -> tuple[int, int]:
    """Where in a window lie the pixels of ``span``, and the least size of a window so that there are as many along
    an axis of ``size`` pixels, at the span's distance, as the span has."""
    first, count, step = span
    return first, max(first + 1, size - count * step + 1)


def _sum(state: _Lowering, node: Node, sources: Sequence[QTensor], signs: tuple[int, int]) -> QAdd:
    """The sum of ``sources``, each with its sign; of one, its change of scale."""
    largest = max(s.scale for s in sources)
    factors = tuple(
        sign * round(s.scale / largest * 2**ADDITION_BITS) for s, sign in zip(sources, signs, strict=False)
    )
    ratio = largest / 2**ADDITION_BITS / state.tensors[node.name].scale
    return QAdd(factors, constants(ratio, *state.bounds(node)))


def _product(state: _Lowering, node: Node, sources: Sequence[QTensor]) -> QMul:
    """The product of two tensors. Its factor is the least power of two at which the requantization's fits."""
    ratio = sources[0].scale * sources[1].scale / state.tensors[node.name].scale
    bits = max(0, math.ceil(math.log2(ratio / MAX_RATIO)))
    return QMul(1 << bits, constants(ratio / 2**bits, *state.bounds(node)))


def _average(state: _Lowering, node: Node, op: AvgPool, x: QTensor) -> QAvgPool:
    """The average ``op`` of ``x``.

    The unit is the largest divisor times a power of two: the least at which the requantization's factor fits, and
    ``AVERAGE_UNIT_BITS`` where divisors differ, so that dividing the unit by each of them is exact enough.
    """
    out = state.tensors[node.name]
    trial = QAvgPool(
        op.kernel,
        op.stride,
        op.pads,
        op.ceil,
        op.count_include_pad,
        1,
        Requant(np.zeros(1, np.uint16), np.full(1, 17, np.uint8)),
    )
    n = divisors(trial, x, out)
    most = int(n.max())
    least = max(0, math.ceil(math.log2(x.scale / (out.scale * most * MAX_RATIO))))
    wanted = AVERAGE_UNIT_BITS if np.ptp(n) else 0
    room = UNIT_BITS - 1 - most.bit_length()
    unit = most << max(least, min(wanted, room))
    requant = constants(x.scale / (out.scale * unit), *state.bounds(node))
    return replace(trial, unit=unit, requant=requant)
