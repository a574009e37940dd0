"""A QGraph as the engine's operations, node by node.

A convolution with a stride, or one that pads the picture, reads *phase planes*, which copies make: phase (py, px)
holds rows py, py + sy, ... and columns px, px + sx, ... of the padded input, where (sy, sx) is the stride. In them
each tap is read at one fixed distance from the pixel computed.
"""

from __future__ import annotations

from typing import assert_never

from dcgen.encode.schema import Kind
from dcgen.errors import PlanError
from dcgen.hw.contract.commands import Fill
from dcgen.plan.engine.draft import Draft
from dcgen.plan.engine.limits import without_step
from dcgen.plan.engine.ops import ConvOp, PoolOp, ScoresOp, SectionOp, TapRef, Work
from dcgen.quant.execute import divisors
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
    QUpsample,
)


def lower(graph: QGraph) -> Work:
    """The operations of ``graph``. Raises PlanError, with the node's name, for what the engine cannot do."""
    lowering = _Lowering(graph)
    for index, node in enumerate(graph.nodes):
        lowering.node(index, node)
    return lowering.draft.finish()


class _Lowering:
    """Appends the operations of one node after the other to ``draft``."""

    def __init__(self, graph: QGraph) -> None:
        self.graph, self.draft = graph, Draft(graph)

    def node(self, index: int, node: QNode) -> None:
        op = node.op
        match op:
            case QConv():
                self._conv(index, node, op)
            case QAvgPool():
                self._average(index, node, op)
            case QAdd():
                self._add(index, node, op)
            case QMaxPool():
                self._pool(index, node, Kind.MAX_POOL, op.kernel, op.stride, op.pads[:2], Fill.LOWEST)
            case QPad(edge=True) | QMul() | QTable() | QUpsample():
                raise without_step(node)
            case QPad():
                self._pool(index, node, Kind.PAD, (1, 1), (1, 1), op.pads[:2], Fill.SECTION)
            case QConcat():
                self.draft.ops.append(SectionOp(index, None, Kind.CONCAT))
            case QScores():
                source = self.draft.dense(index, node.inputs[0])
                channels = self.graph.tensors[node.inputs[0]].shape[0]
                tensor = self.draft.number[node.inputs[0]]
                self.draft.ops.append(ScoresOp(index, None, source, op.total, channels, tensor))
            case _:
                assert_never(op)

    def _pool(
        self,
        index: int,
        node: QNode,
        kind: Kind,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        pads: tuple[int, ...],
        fill: Fill,
    ) -> None:
        """Append the maxima, or for a pad the copy, of a node."""
        c, h, w = self.graph.tensors[node.name].shape
        source = self.draft.read(node.inputs[0], index)
        self.draft.ops.append(
            PoolOp(
                index, self.draft.made(node.name), source, kind, c, h, w, kernel, _needed(stride, (h, w)),
                (-pads[0], -pads[1]), fill, 0, self.draft.number[node.inputs[0]], self.draft.number[node.name],
            )
        )  # fmt: skip

    def _conv(self, index: int, node: QNode, op: QConv) -> None:
        name = node.inputs[0]
        raw = op.requant is None
        o, per_group, _, _ = op.indices.shape
        oh, ow = self.graph.shape_of(node)[1:]
        top, left = op.pads[:2]
        stride = _needed(op.stride, (oh, ow))
        picture_pads = name == self.graph.input.name and any(op.pads)
        # Scores of several rows are sent pixel by pixel: their pitch is their width.
        packed = raw and oh > 1
        width = self.graph.tensors[name].shape[2]
        if stride == (1, 1) and not picture_pads and not (packed and width != ow):
            view = self.draft.dense(index, name) if packed else self.draft.read(name, index)
            if width < ow:
                view = self.draft.repitched(index, name, view, ow)
            taps = self.draft.taps(view, op.kernel, (top, left))
        else:
            taps = self.draft.phases(index, name, op.kernel, stride, (top, left), (oh, ow), folded=packed)
        self._convolve(index, node, Kind.CONV, raw, taps, o, per_group, o // op.groups, (oh, ow))

    def _average(self, index: int, node: QNode, op: QAvgPool) -> None:
        source, out = self.graph.tensors[node.inputs[0]], self.graph.tensors[node.name]
        n = op.kernel[0] * op.kernel[1]
        if (divisors(op, source, out) != n).any():
            raise PlanError(
                node.name,
                f"averages windows that meet the padding, the engine takes whole windows of {n} pixels",
            )
        c, oh, ow = out.shape
        stride = _needed(op.stride, (oh, ow))
        if stride == (1, 1):
            view = self.draft.read(node.inputs[0], index)
            if source.shape[2] < ow:
                view = self.draft.repitched(index, node.inputs[0], view, ow)
            taps = self.draft.taps(view, op.kernel, op.pads[:2])
        else:
            taps = self.draft.phases(index, node.inputs[0], op.kernel, stride, op.pads[:2], (oh, ow), centred=True)
        self._convolve(index, node, Kind.AVG_POOL, False, taps, c, 1, 1, (oh, ow))

    def _add(self, index: int, node: QNode, op: QAdd) -> None:
        views = [self.draft.read(name, index) for name in node.inputs]
        for view in views[1:]:
            self.draft.one_pitch(view.planes, views[0].planes)
        self.draft.equal_rings.append(tuple(view.planes for view in views))
        c, h, w = self.graph.tensors[node.name].shape
        taps = tuple(TapRef(view, 0, 0) for view in views)
        self._convolve(index, node, Kind.ADD, False, taps, c, 1, 1, (h, w))

    def _convolve(
        self,
        index: int,
        node: QNode,
        kind: Kind,
        raw: bool,
        taps: tuple[TapRef, ...],
        outputs: int,
        channels: int,
        group_outputs: int,
        size: tuple[int, int],
    ) -> None:
        """Append weighted sums; the arguments are named as in ``ConvOp``. ``size`` : rows and columns of the
        output"""
        out = None if raw else self.draft.made(node.name)
        if out is not None:
            self.draft.one_pitch(out.planes, taps[0].view.planes)
        numbers = self.draft.number[node.inputs[0]], self.draft.number[node.inputs[-1]]
        tensor_out = 0 if raw else self.draft.number[node.name]
        self.draft.ops.append(
            ConvOp(
                index, out, kind, raw, taps, outputs, channels, group_outputs, numbers, tensor_out, *size
            )
        )  # fmt: skip


def _needed(stride: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """``stride``, but 1 in a direction in which the output has one row or column, where it does not matter."""
    return stride[0] if size[0] > 1 else 1, stride[1] if size[1] > 1 else 1
