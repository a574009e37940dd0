"""Which rows of an operator's inputs its output rows are made of; strips and rings follow from that."""

from __future__ import annotations

from typing import assert_never

from dcgen.quant.qgraph import QAdd, QAvgPool, QConcat, QConv, QGraph, QMaxPool, QNode, QOp, QPad, QScores


def rows_of(graph: QGraph, node: QNode) -> int:
    """How many rows ``node`` computes: those of its output, or for scores that are bytes those of its input."""
    if isinstance(node.op, QScores):
        return graph.tensors[node.inputs[0]].shape[1]
    return graph.tensors[node.name].shape[1] if node.name in graph.tensors else graph.score_shape[1]


def reads(op: QOp, rows: int, height: int) -> int:
    """How many of the ``height`` input rows must exist for the first ``rows`` output rows."""
    match op:
        case QConv() | QMaxPool() | QAvgPool():
            needed = (rows - 1) * op.stride[0] + op.kernel[0] - op.pads[0] if rows else 0
        case QPad():
            needed = rows - op.pads[0]
        case QAdd() | QConcat() | QScores():
            needed = rows
        case _:
            assert_never(op)
    return min(max(needed, 0), height)


def holds(op: QOp, rows: int, height: int) -> int:
    """The first of the ``height`` input rows that output rows from ``rows`` on are made of."""
    match op:
        case QConv() | QMaxPool() | QAvgPool():
            first = rows * op.stride[0] - op.pads[0]
        case QPad():
            first = rows - op.pads[0]
        case QAdd() | QConcat() | QScores():
            first = rows
        case _:
            assert_never(op)
    return min(max(first, 0), height)
