"""From a canonical, shared float graph to integers.

Clips fuse into the operator before them. Tensors that Concat, MaxPool and Pad join get one scale
(union-find), a copy is inserted where placement could not hold. Weights become int16 levels with
one real step, biases integers, real factors a 16-bit multiplier and a shift.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dcgen.errors import GraphError, NumericError, UnsupportedError
from dcgen.ir.graph import (
    F64,
    Add,
    AvgPool,
    Clip,
    Concat,
    Conv,
    GlobalAvgPool,
    Graph,
    MaxPool,
    Node,
    Pad,
)
from dcgen.quant.arithmetic import MAX_RATIO, constants
from dcgen.quant.execute import divisors
from dcgen.quant.qgraph import (
    AVERAGE_UNIT_BITS,
    I16,
    I32,
    QAdd,
    QAvgPool,
    QConcat,
    QConv,
    QGraph,
    QMaxPool,
    QNode,
    QOp,
    QPad,
    QScores,
    QTensor,
    Requant,
)
from dcgen.quant.ranges import Range
from dcgen.quant.verify import verify

FACTOR_BITS = 14
"""Precision of the factors of an addition."""
BIAS_TOLERANCE = 1 / 32
"""Output steps that rounding a bias to 16 bits may cost, else it keeps 32."""
BIAS_ONLY_BITS = 20
"""Size of the largest bias where there is nothing else to be exact about."""
ACCUMULATOR_LIMIT = 2.0**30
"""Half of what 32 bits hold: room that shared (non-uniform) levels are scaled into."""


def with_copies(graph: Graph) -> Graph:
    """An identity clip wherever a tensor would have to lie in two places: entering two Concats, or
    one twice, or being a network input or output at the same time."""
    placed: set[str] = {graph.inputs[0].name, *graph.outputs}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node.op, Concat):
            inputs = []
            for position, name in enumerate(node.inputs):
                if name in placed:
                    copy = Node(f"{node.name}.copy{position}", Clip(-np.inf, np.inf), (name,))
                    nodes.append(copy)
                    name = copy.name
                placed.add(name)
                inputs.append(name)
            node = replace(node, inputs=tuple(inputs))
        nodes.append(node)
    return graph.with_nodes(nodes)


def clip_owners(graph: Graph) -> dict[str, str]:
    """Clip node name -> the node it fuses into: the only reader of a convolution, addition or
    average whose own output nobody else needs."""
    owners = {}
    for node in graph.nodes:
        if not isinstance(node.op, Clip):
            continue
        before = graph.by_name.get(node.inputs[0])
        if (
            before is not None
            and isinstance(before.op, Conv | Add | AvgPool | GlobalAvgPool)
            and graph.consumers[before.name] == (node,)
            and before.name not in graph.outputs
        ):
            owners[node.name] = before.name
    return owners


@dataclass(frozen=True)
class _Lowering:
    graph: Graph
    tensors: Mapping[str, QTensor]
    owners: Mapping[str, str]
    clips: Mapping[str, Clip]
    mean: F64

    def source(self, name: str) -> str:
        """The integer tensor that holds the float tensor ``name``."""
        return self.owners.get(name, name)

    def bounds(self, node: Node) -> tuple[int, int]:
        """lo and hi in bytes of the clip fused into ``node``, or of the node itself."""
        clip = node.op if isinstance(node.op, Clip) else self.clips.get(node.name, Clip(-np.inf, np.inf))
        t = self.tensors[node.name]
        lo, hi = (float(np.clip(np.rint(v / t.scale) + t.zero_point, 0, 255)) for v in (clip.lo, clip.hi))
        return int(lo), int(hi)


def lower(graph: Graph, ranges: Mapping[str, Range], mean: F64) -> QGraph:
    """The integer network of a canonical graph that went through ``with_copies``.

    ranges : real interval of every tensor, as ``calibrate`` gives it
    mean : camera byte per input channel that means 0.0

    Raises NumericError naming the node whose integers cannot keep the contract.
    """
    owners = clip_owners(graph)
    clips = {owners[n.name]: n.op for n in graph.nodes if n.name in owners and isinstance(n.op, Clip)}
    last = graph.outputs[0]
    tensors = _tensors(graph, ranges, owners, mean)
    state = _Lowering(graph, tensors, owners, clips, mean)
    nodes = list(_nodes(state, last))
    scores, scale = _scores(state, owners.get(last, last), nodes)
    nodes.append(scores)
    used = {i for n in nodes for i in n.inputs} | {graph.inputs[0].name}
    kept = {n: t for n, t in tensors.items() if n in used}
    return verify(QGraph(graph.name, tensors[graph.inputs[0].name], kept, tuple(nodes), float(np.float32(scale))))


def _nodes(state: _Lowering, last: str) -> Iterator[QNode]:
    graph = state.graph
    for node in graph.nodes:
        if node.name in state.owners:
            continue
        if state.source(last) == node.name and _ends_in_scores(state, node):
            continue
        inputs = tuple(state.source(i) for i in node.inputs)
        try:
            yield QNode(node.name, _lower_node(state, node, inputs), inputs)
        except NumericError as e:
            raise NumericError(node.name, e.problem, e.hint) from e


def _ends_in_scores(state: _Lowering, node: Node) -> bool:
    """Whether the last node itself makes the scores instead of a byte tensor."""
    if isinstance(node.op, GlobalAvgPool):
        return node.name not in state.clips
    return (
        isinstance(node.op, Conv)
        and node.name not in state.clips
        and not state.graph.consumers[node.name]
        and (node.op.weight.levels is None or node.op.weight.levels.channel_scale is None)
    )


def _scores(state: _Lowering, last: str, nodes: list[QNode]) -> tuple[QNode, float]:
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
        case Pad():
            t = state.tensors[node.name]
            return QPad(op.pads, int(np.clip(np.rint(op.value / t.scale) + t.zero_point, 0, 255)))
        case Add() | Clip():
            largest = max(s.scale for s in sources)
            factors = tuple(round(s.scale / largest * 2**FACTOR_BITS) for s in sources)
            ratio = largest / 2**FACTOR_BITS / state.tensors[node.name].scale
            return QAdd(factors, constants(ratio, *state.bounds(node)))
    raise UnsupportedError(node.name, f"{type(op).__name__} reached lowering", "canonicalise the graph first")


# --- tensors ------------------------------------------------------------------------------------


def _tensors(
    graph: Graph, ranges: Mapping[str, Range], owners: Mapping[str, str], mean: F64
) -> dict[str, QTensor]:
    """Every byte tensor with its scale; joined tensors share the widest range among them."""
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for node in graph.nodes:
        if isinstance(node.op, Concat | MaxPool | Pad):
            for i in node.inputs:
                parent[find(owners.get(i, i))] = find(node.name)
    first = graph.inputs[0]
    final = {owner: clip for clip, owner in owners.items()}
    names = [n.name for n in graph.nodes if n.name not in owners]
    groups: dict[str, tuple[float, float]] = {}
    for name in names:
        r = ranges[final.get(name, name)]
        low, high = groups.get(find(name), (0.0, 0.0))
        groups[find(name)] = min(low, r.low), max(high, r.high)

    def scale(name: str) -> float:
        low, high = groups[find(name)] if name != first.name else (0.0, 255.0)
        return float(np.float32(max(high - low, 1e-6) / 255))

    # A tensor that calibration saw (almost) only at zero is widened until one accumulator unit of
    # its operator is at most half of its step. That can widen the tensors behind it in turn.
    settled = False
    while not settled:
        settled = True
        for node in graph.nodes:
            if node.name in owners:
                continue
            least = _finest_step(node, max(scale(owners.get(i, i)) for i in node.inputs)) / MAX_RATIO
            if scale(node.name) < least:
                low, high = groups[find(node.name)]
                grow = 1.01 * least / scale(node.name)
                groups[find(node.name)] = low * grow, max(high, 1e-6) * grow
                settled = False
    pad = tuple(int(v) for v in np.clip(np.rint(mean), 0, 255))
    tensors = {first.name: QTensor(first.name, first.shape, 1.0, 0, pad)}
    for name in names:
        zp = int(np.clip(np.rint(-groups[find(name)][0] / scale(name)), 0, 255))
        shape = graph.shapes[name]
        tensors[name] = QTensor(name, shape, scale(name), zp, (zp,) * shape[0])
    return tensors


def _finest_step(node: Node, source_scale: float) -> float:
    """Real value of the smallest unit that the node's accumulator can be given."""
    match node.op:
        case Conv():
            levels, step = integer_levels(node.op, source_scale, node.name)
            finest = step / (1 << _room(node.op, levels, step * source_scale))
            return source_scale * finest * float(_channel_scale(node.op).max())
        case Add() | Clip() | AvgPool() | GlobalAvgPool():
            return source_scale / (1 << AVERAGE_UNIT_BITS)
        case _:
            return 0.0


# --- convolution --------------------------------------------------------------------------------


def integer_levels(conv: Conv, source_scale: float, name: str) -> tuple[I16, float]:
    """The codebook as int16 and the real value of one unit.

    A uniform grid is exact. Other codebooks get the finest step at which no filter's worst case
    leaves half of the 32-bit accumulator. Where all weights are zero, the step suits the biases.
    """
    levels = conv.weight.levels
    if levels is None:
        raise GraphError(name, "has weights that no recipe has shared")
    if not levels.indices.any():
        largest_bias = max(float(np.abs(conv.bias).max()), 1e-6)
        return np.zeros(len(levels.codebook), np.int16), largest_bias / source_scale / 2**BIAS_ONLY_BITS
    if levels.step is not None:
        grid = np.rint(levels.codebook / levels.step)
        return grid.astype(np.int16), levels.step
    largest = float(np.abs(levels.codebook).max())
    worst = np.abs(levels.codebook)[levels.indices].reshape(len(levels.indices), -1).sum(1).max() / largest
    top = int(min(32767, ACCUMULATOR_LIMIT / 255 / max(worst, 1.0)))
    step = largest / top
    return np.rint(levels.codebook / step).astype(np.int16), step


def _channel_scale(conv: Conv) -> F64:
    """Real factor per output channel [O], or [1] for all."""
    shared = conv.weight.levels
    return np.ones(1) if shared is None or shared.channel_scale is None else shared.channel_scale


def _room(conv: Conv, levels: I16, unit: float) -> int:
    """Bits by which the levels can grow: they stay int16, sums and biases in half of 32 bits."""
    assert conv.weight.levels is not None
    sizes = np.abs(levels.astype(np.float64))
    worst = 255 * sizes[conv.weight.levels.indices].reshape(len(conv.bias), -1).sum(1).max()
    bias = float((np.abs(conv.bias) / (unit * _channel_scale(conv))).max())
    room = min(32767 / max(float(sizes.max()), 1.0), ACCUMULATOR_LIMIT / max(float(worst), bias, 1.0))
    return max(0, math.floor(math.log2(room))) if room > 1 else 0


def _conv(state: _Lowering, node: Node, source: str, raw: bool = False) -> tuple[QConv, float]:
    assert isinstance(node.op, Conv)
    conv, x = node.op, state.tensors[source]
    levels, step = integer_levels(conv, x.scale, node.name)
    shared, channel = conv.weight.levels, _channel_scale(conv)
    assert shared is not None
    requant = None
    if not raw:
        out = state.tensors[node.name]
        ratio = x.scale * step * channel / out.scale
        short = max(0, math.ceil(math.log2(float(ratio.max()) / MAX_RATIO)))
        grow = min(short, _room(conv, levels, step * x.scale))
        levels, step, ratio = (levels << grow).astype(np.int16), step / 2**grow, ratio / 2**grow
        requant = constants(ratio, *state.bounds(node))
    weights = levels[shared.indices].reshape(len(conv.bias), -1).astype(np.float64)
    if source == state.graph.inputs[0].name:
        zero = weights @ np.repeat(state.mean, conv.kernel[0] * conv.kernel[1])
    else:
        zero = weights.sum(1) * x.zero_point
    exact = conv.bias / (x.scale * step * channel) - zero
    bias, shift = _bias(exact, None if requant is None else ratio, node.name)
    return QConv(levels, shared.indices, bias, shift, requant, conv.stride, conv.pads, conv.groups), step


def _bias(exact: F64, ratio: F64 | None, name: str) -> tuple[I32, int]:
    """int32 biases and the shift at which their upper 16 bits are enough (0: no such shift but 0)."""
    largest = float(np.abs(exact).max(initial=0.0))
    if largest >= 2.0**31 - 1:
        raise NumericError(name, f"bias of {largest:.3g} accumulator steps does not fit 32 bits")
    shift = max(0, int(np.ceil(np.log2(max(largest, 1.0) / 32767.0))))
    if shift and (ratio is None or 2.0 ** (shift - 1) * ratio.max() > BIAS_TOLERANCE):
        shift = 0
    return (np.rint(exact / 2.0**shift).astype(np.int64) << shift).astype(np.int32), shift


# --- average pooling ----------------------------------------------------------------------------


def _average(state: _Lowering, node: Node, op: AvgPool, x: QTensor) -> QAvgPool:
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
    bits = AVERAGE_UNIT_BITS if np.ptp(n) else 0
    while x.scale / (out.scale * float(n.max()) * 2**bits) > MAX_RATIO:
        bits += 1
    unit = int(n.max()) << bits
    requant = constants(x.scale / (out.scale * unit), *state.bounds(node))
    return replace(trial, unit=unit, requant=requant)
