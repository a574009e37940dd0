"""Packed inputs: each tap of each output lies where it is looked for, in strips that cover all positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.encode.blob import encode
from dcgen.plan.firmware.packing import PASS, Packing
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.quant.qgraph import QConv, Requant
from tests.firmware.nets import every_operator


def conv(
    kernel: tuple[int, int], stride: tuple[int, int], pads: tuple[int, int, int, int], channels: int = 1
) -> QConv:
    requant = Requant(np.ones(1, np.uint16), np.full(1, 17, np.uint8))
    indices = np.zeros((1, channels, *kernel), np.uint8)
    return QConv(np.zeros(1, np.int16), indices, np.zeros(1, np.int32), 0, requant, stride, pads)


SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
PADS = st.tuples(*[st.integers(0, 3)] * 4)


@settings(max_examples=60, deadline=None)
@given(
    SIZES, st.tuples(st.integers(1, 4), st.integers(1, 4)), st.tuples(st.integers(1, 5), st.integers(1, 5)), PADS
)
def test_every_tap_of_every_output_is_one_distance_away(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], pads: tuple[int, int, int, int]
) -> None:
    """Flattened phase planes, built here as the runtime builds them, hold what the convolution reads."""
    h, w = size
    top, left, bottom, right = pads
    if h + top + bottom < kernel[0] or w + left + right < kernel[1]:
        return
    op = conv(kernel, stride, pads)
    out = op.shape([(1, h, w)])
    packing = Packing.of(op, (1, h, w), out)
    padded = np.full((h + top + bottom + 99, w + left + right + 99), -1)
    padded[top : top + h, left : left + w] = np.arange(h * w).reshape(h, w)

    def plane(row: int, column: int) -> list[int]:
        flat = range(packing.positions + packing.halo)
        return [
            int(padded[p // packing.pitch * stride[0] + row, p % packing.pitch * stride[1] + column]) for p in flat
        ]

    planes = {(a, b): plane(a, b) for a in range(packing.phases[0]) for b in range(packing.phases[1])}
    for y in range(out[1]):
        for x in range(out[2]):
            for ky in range(kernel[0]):
                for kx in range(kernel[1]):
                    distance = ky // stride[0] * packing.pitch + kx // stride[1]
                    found = planes[ky % stride[0], kx % stride[1]][y * packing.pitch + x + distance]
                    assert found == padded[y * stride[0] + ky, x * stride[1] + kx]


@pytest.mark.parametrize("strips", [1, 2, 3, 7])
def test_strips_cover_all_positions(strips: int) -> None:
    packing = Packing.of(conv((3, 3), (1, 1), (1, 1, 1, 1)), (4, 20, 30), (1, 20, 30), strips)
    assert packing.strip % PASS == 0
    assert packing.strips <= strips
    assert (packing.strips - 1) * packing.strip < packing.positions <= packing.strips * packing.strip


def test_a_packed_input_lies_over_no_tensor_in_use() -> None:
    graph = every_operator(0)
    plan = plan_firmware(graph, encode(graph))
    for node, tensors in ((n, plan.tensors) for n in plan.nodes if n.conv and n.conv.packing):
        assert node.conv and node.conv.packing
        begin, end = node.workspace, node.workspace + node.conv.packing.size
        assert plan.scratch.size <= begin < end <= plan.arena_bytes
        for index in {*node.inputs, node.output} - {0}:
            layout = tensors[index].layout
            c, h, w = layout.shape
            assert end <= layout.offset or layout.offset + c * h * w <= begin, "it lies over a tensor in use"


def test_what_fits_no_workspace_is_computed_from_tensors_as_they_are() -> None:
    from tests.firmware.test_packed import wide

    graph = wide()
    chosen = plan_firmware(graph, encode(graph)).nodes[0].conv
    assert chosen and chosen.kernel == "dcg_conv"
    assert chosen.reason == "no strip of its packed input fits 24576 bytes"
