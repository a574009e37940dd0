"""What one engine can hold of a network, checked by name before anything is planned."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import numpy as np

from dcgen.encode.blob import Blob
from dcgen.encode.layers import Convolution
from dcgen.encode.layout import take_apart
from dcgen.encode.schema import Coding, Kind
from dcgen.errors import PlanError
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.plan.limits import at_most
from dcgen.quant.qgraph import QAdd, QAvgPool, QConv, QGraph, QMul, QNode, QOp, QPad, QTable, QUpsample

MAX_INPUT_CHANNELS: Final = 16
"""Channels of the picture: the engine's table of pad bytes has one entry for each."""
MAX_AVERAGE: Final = 0xFFFF
"""Weight of each pixel of an average: list entries have 17 bits, the sign included."""
CODINGS: Final = (Coding.JOINT, Coding.GAPS)
"""Weight codings that the front end decodes."""
WITHOUT_STEP: Final[Mapping[type, str]] = {
    QMul: "multiplies two tensors",
    QTable: "is a function that is looked up in a table",
    QUpsample: "makes blocks of pixels",
}
"""What nodes of these operators do, for which the engine has no step."""

_at_most = partial(at_most, "the engine")


def has_step(op: QOp) -> bool:
    """Whether the engine has steps for an operator."""
    return type(op) not in WITHOUT_STEP and not (isinstance(op, QPad) and op.edge)


def without_step(node: QNode) -> PlanError:
    """The error that refuses a node whose operator has no step."""
    does = WITHOUT_STEP.get(type(node.op), "pads with the nearest pixel")
    return PlanError(node.name, f"{does}, which the engine cannot do", "microcontrollers can")


def check_engine_limits(graph: QGraph, blob: Blob, parameters: EngineParameters) -> None:
    """Raise PlanError for the first thing of ``graph`` or ``blob`` that an engine has no room for."""
    p = parameters
    if len(graph.score_nodes) > 1:
        problem = f"has {len(graph.score_nodes)} outputs, the engine sends one"
        raise PlanError(graph.name, problem, "microcontrollers have several")
    for node in graph.nodes:
        if not has_step(node.op):
            raise without_step(node)
    _at_most(graph.name, "tensors", len(graph.nodes), p.max_tensors)
    _at_most(graph.input.name, "channels", graph.input.shape[0], MAX_INPUT_CHANNELS)
    for node in graph.nodes:
        op = node.op
        if isinstance(op, QConv | QAvgPool):
            _at_most(node.name, "kernel positions", op.kernel[0] * op.kernel[1], p.max_taps)
        if isinstance(op, QConv):
            _at_most(node.name, "output channels", len(op.bias), p.max_outputs)
            most = int(np.count_nonzero(op.indices.reshape(len(op.bias), -1), axis=1).max())
            _at_most(node.name, "non-zero weights in a filter", most, p.list_entries)
        if isinstance(op, QAvgPool | QAdd):
            _at_most(node.name, "output channels", graph.tensors[node.name].shape[0], p.max_outputs)
        if isinstance(op, QAvgPool):
            n = op.kernel[0] * op.kernel[1]
            _at_most(node.name, "units of a pixel's weight", (op.unit + n // 2) // n, MAX_AVERAGE)
    _check_symbols(graph, blob, p)


def _check_symbols(graph: QGraph, blob: Blob, p: EngineParameters) -> None:
    layout = take_apart(blob.data)
    for node, record, section in zip(graph.nodes, layout.nodes, layout.sections, strict=True):
        if record.kind is Kind.CONV:
            code = Convolution(node.name, layout, record, section).code
            if code.coding not in CODINGS:
                raise PlanError(node.name, f"is coded as {code.coding.name}, which the engine does not decode")
            coded = sum(int((table.lengths > 0).sum()) for table in code.tables)
            _at_most(node.name, "coded symbols", coded, p.max_symbols)
