"""The rules that a QGraph keeps, one of which is that no accumulator can wrap."""

from __future__ import annotations

import numpy as np

from dcgen.errors import GraphError, NumericError
from dcgen.quant.arithmetic import MAX_SHIFT, MIN_SHIFT
from dcgen.quant.qgraph import TABLE_BYTES, QConcat, QConv, QCopy, QGraph, QNode, QScores, QTable, Requant


def accumulator_range(node: QNode, graph: QGraph) -> tuple[int, int]:
    """The exact smallest and largest value the node's accumulator can take for any picture."""
    return node.op.accumulator([graph.tensors[i] for i in node.inputs])


def verify(graph: QGraph) -> QGraph:
    """Return ``graph`` if it keeps every rule, else raise GraphError or NumericError naming the node.

    Nodes read what earlier ones make; shapes are those that operators make; the last nodes, as many as there are
    outputs, and no other make scores; a tensor has one place (``QConcat``); constants are in range; accumulators
    fit 32 bits.
    """
    made = {graph.input.name}
    joined: set[str] = {graph.input.name}
    for index, node in enumerate(graph.nodes):
        last = index >= len(graph.nodes) - len(graph.score_scales)
        for i in node.inputs:
            if i not in made:
                raise GraphError(node.name, f"reads {i!r}, which no earlier node makes")
        shape = node.op.shape([graph.tensors[i].shape for i in node.inputs])
        scores = isinstance(node.op, QScores) or (isinstance(node.op, QConv) and node.op.requant is None)
        if scores != last:
            raise GraphError(node.name, "scores are made by the last node of each output and by no other")
        if not scores and graph.tensors[node.name].shape != shape:
            raise GraphError(node.name, f"makes {shape}, its tensor says {graph.tensors[node.name].shape}")
        if isinstance(node.op, QConcat):
            for i in node.inputs:
                if i in joined:
                    raise GraphError(node.name, f"{i!r} is the input or already placed in a Concat")
                joined.add(i)
        _constants(node, graph)
        low, high = accumulator_range(node, graph)
        if low < -(2**31) or high >= 2**31:
            raise NumericError(node.name, f"accumulator needs {low}..{high}, more than 32 bits")
        if not scores:
            made.add(node.name)
    return graph


def _constants(node: QNode, graph: QGraph) -> None:
    op = node.op
    if isinstance(op, QConv):
        if not 1 <= len(op.levels) <= 256 or op.levels[0] != 0 or op.indices.max(initial=0) >= len(op.levels):
            raise GraphError(node.name, "needs 1 to 256 levels, the first zero, and indices within them")
        if np.any(op.bias & ((1 << op.bias_shift) - 1)):
            raise GraphError(node.name, f"bias is no multiple of 2**{op.bias_shift}")
    elif isinstance(op, QCopy):
        out = graph.tensors[node.name]
        for i in node.inputs:
            t = graph.tensors[i]
            if (t.scale, t.zero_point) != (out.scale, out.zero_point):
                raise GraphError(node.name, f"scale of {i!r} differs from its output's")
    elif isinstance(op, QTable) and (op.table.dtype != np.uint8 or op.table.shape != (TABLE_BYTES,)):
        raise GraphError(
            node.name, f"needs a table of {TABLE_BYTES} bytes, found {op.table.dtype} {op.table.shape}"
        )
    requant = getattr(op, "requant", None)
    if isinstance(requant, Requant):
        channels = graph.tensors[node.name].shape[0]
        if requant.mult.shape != requant.shift.shape or requant.mult.shape not in ((1,), (channels,)):
            raise GraphError(node.name, f"{requant.mult.shape} multipliers for {channels} channels")
        if (
            requant.shift.min() < MIN_SHIFT
            or requant.shift.max() > MAX_SHIFT
            or not 0 <= requant.lo <= requant.hi <= 255
        ):
            raise GraphError(node.name, "requantization constants out of range")
