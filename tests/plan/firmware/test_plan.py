"""The C runtime's plan: places, kernels, scratch areas, and the limits of its fields."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.encode.schema import Kind, TopologyFlag
from dcgen.errors import PlanError
from dcgen.plan.firmware.arena import ALIGNMENT, align
from dcgen.plan.firmware.kernels import list_words, run_halfwords
from dcgen.plan.firmware.limits import check_limits
from dcgen.plan.firmware.plan import Layout, plan_firmware
from dcgen.quant.qgraph import QConcat, QConv, QGraph, QNode, QScores, QTensor
from tests.firmware.nets import every_operator


@pytest.fixture(scope="module")
def graph() -> QGraph:
    return every_operator(0)


def test_the_picture_is_pixels_and_all_else_planes(graph: QGraph) -> None:
    plan = plan_firmware(graph, encode(graph))
    c, h, w = graph.input.shape
    assert plan.tensors[0].layout == Layout(graph.input.shape, 0, 1, w * c, c, h)
    assert plan.input_bytes == c * h * w
    for tensor in plan.tensors[1:]:
        c, h, w = graph.tensors[tensor.name].shape
        assert (tensor.layout.channel_stride, tensor.layout.row_stride, tensor.layout.pixel_stride) == (
            h * w,
            w,
            1,
        )
        assert plan.scratch.size <= tensor.layout.offset <= plan.arena_bytes - c * h * w


def test_concat_is_placement(graph: QGraph) -> None:
    plan = plan_firmware(graph, encode(graph))
    places = {t.name: t.layout.offset for t in plan.tensors}
    node = next(n for n in graph.nodes if isinstance(n.op, QConcat))
    assert next(n for n in plan.nodes if n.name == node.name).kernel is None
    at = places[node.name]
    for branch in node.inputs:
        c, h, w = graph.tensors[branch].shape
        assert places[branch] == at
        at += c * h * w


def test_nodes_carry_kernel_flags_and_geometry(graph: QGraph) -> None:
    plan = plan_firmware(graph, encode(graph))
    first, last = plan.nodes[0], plan.nodes[-1]
    assert (first.kernel, first.kind, first.kernel_size, first.stride) == (
        *("dcg_conv_packed", Kind.CONV),
        *((3, 3), (2, 1)),
    )
    assert (first.inputs, first.output, first.pads) == ((0, 0), 1, (1, 2, 0, 1))
    assert (last.kernel, last.flags, last.output) == ("dcg_conv_scores", TopologyFlag.RAW, 0)
    assert plan.n_scores == graph.n_scores
    assert {n.kernel for n in plan.nodes} == {
        *("dcg_conv_packed", "dcg_conv", "dcg_conv_scores", "dcg_max_pool", "dcg_avg_pool", "dcg_add"),
        *("dcg_pad", "dcg_mul", "dcg_table", "dcg_upsample", None),
    }
    totals = plan_firmware(every_operator(1), encode(every_operator(1))).nodes[-1]
    assert (totals.kernel, totals.flags) == ("dcg_scores", TopologyFlag.RAW)


def test_scratch_areas_are_apart_and_large_enough(graph: QGraph) -> None:
    scratch = plan_firmware(graph, encode(graph)).scratch
    ends = (
        scratch.checks + len(graph.nodes) * 4,
        scratch.tables + scratch.n_tables * scratch.table_words * 4,
        scratch.levels + 256 * 2,
        scratch.list + list_words(scratch.tap_capacity) * 4,
        scratch.runs + run_halfwords(scratch.tap_capacity) * 2,
        scratch.row + scratch.row_capacity * 4,
    )
    starts = (scratch.checks, scratch.tables, scratch.levels, scratch.list, scratch.runs, scratch.row)
    assert all(e <= s for e, s in zip(ends, (*starts[1:], scratch.size), strict=True))
    assert all(s % ALIGNMENT == 0 for s in starts)
    largest = max(n.op.indices[0].size for n in graph.nodes if isinstance(n.op, QConv))
    assert scratch.tap_capacity == largest, "any weights of this network fit"


def test_separate_codes_take_a_second_table(graph: QGraph) -> None:
    joint = plan_firmware(graph, encode(graph)).scratch
    gaps = plan_firmware(graph, encode(graph, CodingSettings("deep-compression"))).scratch
    assert (joint.n_tables, gaps.n_tables) == (1, 2)
    assert joint.levels - joint.tables == align(4 * joint.table_words)
    assert gaps.levels - gaps.tables == align(2 * 4 * gaps.table_words)


def test_a_network_without_convolutions_needs_the_self_test_s_sums_only() -> None:
    picture = QTensor("input", (2, 3, 4), 1.0, 0, (0, 0))
    graph = QGraph("plain", picture, {"input": picture}, (QNode("s", QScores(True), ("input",)),), 1.0)
    plan = plan_firmware(graph, encode(graph))
    assert (plan.arena_bytes, plan.n_scores, plan.input_bytes) == (16, 2, 24)


def _conv(shape: tuple[int, int, int, int], stride: int = 1) -> QGraph:
    o, i, kh, kw = shape
    picture = QTensor("input", (i, kh, kw), 1.0, 0, (0,) * i)
    op = QConv(
        np.zeros(1, np.int16),
        np.zeros(shape, np.uint8),
        np.zeros(o, np.int32),
        0,
        None,
        (stride, stride),
        (0,) * 4,
    )
    return QGraph("net", picture, {"input": picture}, (QNode("big", op, ("input",)),), 1.0)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (_conv((1, 1, 256, 1)), "big: has 256 kernel rows or columns, the C runtime takes at most 255"),
        (_conv((65536, 1, 1, 1)), "big: has 65536 score channels, the C runtime takes at most 65535"),
        (_conv((1, 65536, 1, 1)), "input: has 65536 channels, the C runtime takes at most 65535"),
        (_conv((1, 1, 1, 1), 70000), "big: has 70000 positions of stride, the C runtime takes at most 65535"),
    ],
)
def test_what_the_runtime_cannot_hold_is_named(graph: QGraph, message: str) -> None:
    with pytest.raises(PlanError) as error:
        check_limits(graph, 100)
    assert str(error.value) == message


def test_blob_too_large(graph: QGraph) -> None:
    with pytest.raises(PlanError, match="bytes of blob, the C runtime takes at most 268435456"):
        check_limits(replace(graph, name="net"), (1 << 28) + 4)
