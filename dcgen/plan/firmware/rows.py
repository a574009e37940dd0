"""Which rows of an operator's inputs its output rows are made of: what strips and rings follow from."""

from __future__ import annotations

from dcgen.quant.qgraph import QAvgPool, QConv, QGraph, QMaxPool, QNode, QOp, QPad, QScores


def rows_of(graph: QGraph, node: QNode) -> int:
    """Rows that ``node`` goes through: of its output, or of the input where it reads bytes as scores."""
    if isinstance(node.op, QScores):
        return graph.tensors[node.inputs[0]].shape[1]
    return graph.tensors[node.name].shape[1] if node.name in graph.tensors else graph.score_shape[1]


def reads(op: QOp, rows: int, height: int) -> int:
    """How many input rows, of ``height``, there must be for the first ``rows`` output rows."""
    match op:
        case QConv() | QMaxPool() | QAvgPool():
            needed = (rows - 1) * op.stride[0] + op.kernel[0] - op.pads[0] if rows else 0
        case QPad():
            needed = rows - op.pads[0]
        case _:
            needed = rows
    return min(max(needed, 0), height)


def holds(op: QOp, rows: int, height: int) -> int:
    """The first input row, of ``height``, that output rows from ``rows`` on are made of."""
    match op:
        case QConv() | QMaxPool() | QAvgPool():
            first = rows * op.stride[0] - op.pads[0]
        case QPad():
            first = rows - op.pads[0]
        case _:
            first = rows
    return min(max(first, 0), height)
