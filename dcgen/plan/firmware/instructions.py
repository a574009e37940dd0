"""How many instructions the firmware takes for a picture: how often each loop runs, times what a round costs.

The costs of a core are fitted to an emulator's counts, see ``instruction_costs``. How often loops run follows from
the plan and the weights, so that a prediction needs neither compiler nor emulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.blob import Blob
from dcgen.plan.firmware.conv_work import conv_work
from dcgen.plan.firmware.instruction_costs import INSTRUCTIONS
from dcgen.plan.firmware.plan import FirmwarePlan, NodePlan
from dcgen.quant.qgraph import (
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
from dcgen.targets import Extension, Target

Work = Mapping[str, float]
"""How often each kind of work is done, by its name in ``instruction_costs``."""
Active = Mapping[str, NDArray[np.float64]]
"""How many bytes of each channel of a tensor are not zero: float64 [C] by the tensor's name. A tensor that is not
listed is taken to have no zeros."""


@dataclass(frozen=True)
class Instructions:
    """Instructions of one picture, cold: from the first of dcg_init to the last score.

    init : instructions of dcg_init, which checks the whole blob
    nodes : instructions of each node by index; a Concat, which placement does, has none
    loops : the inner loops that the runtime chooses for each convolution's weights, by node index:
        "plain", "direct", "levels", "bytes", "dense" or "events"
    """

    init: int
    nodes: Mapping[int, int]
    loops: Mapping[int, str]

    @property
    def total(self) -> int:
        """Instructions of dcg_init and all nodes."""
        return self.init + sum(self.nodes.values())


def is_predicted(target: object) -> bool:
    """Whether instructions can be predicted for ``target``."""
    return isinstance(target, Target) and target.name in INSTRUCTIONS


def predict_instructions(
    plan: FirmwarePlan, graph: QGraph, blob: Blob, target: Target, active: Active
) -> Instructions:
    """The instructions that ``plan`` takes on ``target`` for ``blob``, which encodes ``graph``.

    target : one that ``is_predicted``
    active : how much of the tensors is not zero in the picture
    """
    costs = INSTRUCTIONS[target.name]
    init, nodes = work(plan, graph, blob, target.extension, active)
    loops = {i: _loops(w) for i, w in nodes.items() if isinstance(graph.nodes[i].op, QConv)}
    return Instructions(_cost(init, costs), {i: _cost(w, costs) for i, w in nodes.items()}, loops)


def work(
    plan: FirmwarePlan, graph: QGraph, blob: Blob, extension: Extension, active: Active
) -> tuple[Work, dict[int, Work]]:
    """The work of dcg_init, and of each node by index."""
    tables = sum(layer.size.tables for layer in blob.layers)
    init = {"init": 1, "init_byte": len(blob.data), "init_table_byte": tables, "init_node": len(graph.nodes)}
    nodes: dict[int, Work] = {}
    for i, (node, planned, layer) in enumerate(zip(graph.nodes, plan.nodes, blob.layers, strict=True)):
        source = graph.tensors.get(node.inputs[0], graph.input)
        match node.op:
            case QConcat():
                continue
            case QConv() as op:
                steps, found = plan.schedule.convs[i], active.get(source.name)
                nodes[i] = conv_work(planned, op, source, layer, steps, extension, plan.scratch, found)
            case _:
                nodes[i] = _other_work(node, planned, source)
    return init, nodes


def _loops(conv: Work) -> str:
    return next((name.removeprefix("filter.") for name in conv if name.startswith("filter.")), "plain")


def _other_work(node: QNode, planned: NodePlan, source: QTensor) -> Work:
    """The work of a node without weights."""
    channels, height, width = planned.out_shape
    rows, outputs = channels * height, channels * height * width
    match node.op:
        case QMaxPool(kernel=(kh, kw), stride=(_, sw), pads=pads):
            usual = (kw, sw, pads[1]) == (3, 2, 0) and planned.inputs[0] != 0
            columns = source.shape[2]
            pairs = (columns - 1) // 4 if usual else 0
            windows = rows * (width - 2 * pairs)
            return {
                "pool_row": rows,
                "pool_byte": rows * max(kh - 1, 1) * columns,
                "pool_rest": rows * max(kh - 1, 1) * (columns % 4),
                "pool_pair": rows * pairs,
                "pool_window": windows,
                "pool_column": windows * kw,
            }
        case QAvgPool(kernel=(kh, kw)):
            whole = source.shape[2] == kw and planned.inputs[0] != 0  # whose rows are summed as if they were one
            sums, count = (1, kh * kw) if whole else (kh, kw)
            return {
                "average": outputs,
                "average_row": outputs * sums,
                "average_tap": outputs * kh * kw,
                "average_rest": outputs * sums * (count % 4),
            }
        case QAdd():
            return {"add_row": rows, "add": outputs}
        case QMul():
            return {"mul_row": rows, "mul": outputs}
        case QTable():
            return {"lookup_row": rows, "lookup": outputs}
        case QPad():
            return {"pad_row": rows, "pad": outputs}
        case QUpsample():  # each column of a block is copied like a row into a larger plane
            return {"pad_row": rows * node.op.factor[1], "pad": outputs}
        case QScores():
            c, h, w = source.shape
            return {"score_row": c * h, "score": c * h * w}
        case QConv() | QConcat():
            raise TypeError(f"the work of {type(node.op).__name__} is not found here")
        case _:
            assert_never(node.op)


def _cost(work: Work, costs: Mapping[str, float]) -> int:
    return round(sum(costs.get(name, 0.0) * times for name, times in work.items()))
