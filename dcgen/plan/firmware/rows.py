"""Which rows of an operator's inputs its output rows are made of; strips and rings follow from that."""

from __future__ import annotations

from dcgen.quant.qgraph import QGraph, QMul, QNode, QOp, QScores


def rows_of(graph: QGraph, node: QNode) -> int:
    """How many rows ``node`` computes: those of its output, or for scores that are bytes those of its input."""
    if isinstance(node.op, QScores):
        return graph.tensors[node.inputs[0]].shape[1]
    return graph.shape_of(node)[1]


def reads(op: QOp, rows: int, height: int) -> int:
    """How many of the ``height`` input rows must exist for the first ``rows`` output rows."""
    kernel, stride, pad = op.vertical
    made = -(-rows // op.enlarged)
    return min(max((made - 1) * stride + kernel - pad, 0), height) if rows else 0


def holds(op: QOp, rows: int, height: int) -> int:
    """The first of the ``height`` input rows that output rows from ``rows`` on are made of."""
    if isinstance(op, QMul) and height == 1:
        return 0  # a gate, which all rows are made of
    _, stride, pad = op.vertical
    return min(max(rows // op.enlarged * stride - pad, 0), height)
