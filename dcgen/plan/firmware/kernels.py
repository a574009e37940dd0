"""Which C function computes each convolution and how its input is packed, and why.

The costs below are rough, in instructions of a Cortex-M4: they rank packings and segments while a plan is made.
``instructions`` predicts what a plan takes on a given core.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dcgen.ir.graph import Shape
from dcgen.plan.firmware.constants import RUNTIME
from dcgen.plan.firmware.packing import Packing, Padded
from dcgen.quant.qgraph import QConv, QGraph, QNode

OPEN_COST = 10_000
"""Instructions to open a layer, which builds its decoding table, once for each strip."""
DECODE_COST = 25
"""Instructions to decode a non-zero weight and to list it, once for each strip."""
PACK_COST = 3
"""Instructions to pack a position of a plane."""
DIRECT_COST = 0.95
"""Instructions that a non-zero weight takes at one position with the direct kernel."""
LEVELS_COST = 0.75
"""The same with the kernel by levels."""
PLAIN_COST = 4.5
"""The same on tensors as they are, not packed."""

POINT_COST = 10
"""The same where there is only one position."""
DEPTHWISE_COST = 1.8
"""Instructions of a weight, zero or not, at one position with the kernels for depthwise convolutions."""
DEPTHWISE_FILTER_COST = 350
"""The same of a filter, once for each step."""


@dataclass(frozen=True)
class ConvPlan:
    """The kernel of one convolution.

    kernel : name of the C function
    reason : why this one, for people
    instructions : about how many it takes for all its steps; only good for comparing plans
    packing : of the step with the most rows: a strip of packed planes, or the padded plane of a depthwise
        convolution; None for a kernel that reads tensors as they are
    """

    kernel: str
    reason: str
    instructions: float
    packing: Packing | Padded | None = None


def list_words(taps: int) -> int:
    """32-bit words of one filter's list: two for each tap, and room for the entries of its groups and segments.

    Segments so short that their entries do not fit make the direct kernel fall back on its portable twin.
    """
    return 2 * taps + taps // 2 + 2


def run_halfwords(taps: int) -> int:
    """Halfwords of one filter's list by level.

    The list holds the taps, an entry for every ``RUN_TAPS`` of them, and for each run one more entry for the taps
    that are left, one that ends the run, and one that clears the sums.
    """
    return taps + taps // RUNTIME.RUN_TAPS + 3 * RUNTIME.MAX_RUNS + 4


def choose_kernel(graph: QGraph, node: QNode, steps: Mapping[int, int], room: int, frugal: bool) -> ConvPlan:
    """The kernel of the convolution ``node``.

    steps : output rows of a step -> how many steps compute so many
    room : bytes that its packed input may take
    frugal : whether the packed input may go without complements where fewer strips are faster with these weights
    """
    op = node.op
    assert isinstance(op, QConv)
    out_shape = graph.shape_of(node)
    weights = op.nonzeros
    positions = out_shape[2] * sum(rows * n for rows, n in steps.items())
    plain = weights * (DECODE_COST * sum(steps.values()) + PLAIN_COST * positions)
    if op.requant is None:
        return ConvPlan("dcg_conv_scores", "its accumulators are the scores", plain)
    in_shape = graph.tensors[node.inputs[0]].shape
    if is_point(op, in_shape, out_shape):
        return ConvPlan("dcg_conv", "it has a single output position", weights * (DECODE_COST + POINT_COST))
    if is_depthwise(op) and (padded := Padded.of(op, max(steps), out_shape[2])).size <= room:
        a_step = OPEN_COST + out_shape[0] * DEPTHWISE_FILTER_COST
        instructions = sum(steps.values()) * a_step + DEPTHWISE_COST * op.indices.size * positions
        kernel = "dcg_conv_depthwise_{}x{}".format(*op.kernel)
        return ConvPlan(kernel, "each channel by itself", instructions, padded)
    found = [
        _packed(op, in_shape, out_shape, steps, room, complements)
        for complements in ((True, False) if frugal else (True,))
    ]
    return min(
        (p for p in found if p),
        key=lambda p: p.instructions,
        default=ConvPlan("dcg_conv", f"no strip of its packed input fits {room} bytes", plain),
    )


def is_depthwise(op: QConv) -> bool:
    """Whether a kernel for depthwise convolutions computes ``op``: filters of one channel, 3x3 or 5x5 places."""
    return op.indices.shape[1:] in ((1, 3, 3), (1, 5, 5)) and max(op.stride) <= 2


def is_point(op: QConv, in_shape: Shape, out_shape: Shape) -> bool:
    """Whether ``op`` has one output position, whose window lies in the input, as fully connected layers have."""
    inside = op.kernel[0] <= in_shape[1] and op.kernel[1] <= in_shape[2]
    return out_shape[1:] == (1, 1) and not any(op.pads[:2]) and inside


def _packed(
    op: QConv, in_shape: Shape, out_shape: Shape, steps: Mapping[int, int], room: int, complements: bool
) -> ConvPlan | None:
    """The kernel on packed planes, in the fewest strips that fit ``room``; None where not even one pass fits."""
    whole = _packing(op, in_shape, out_shape, max(steps), complements)
    if (packing := whole.fitting(room)) is None:
        return None
    by_levels = complements and _by_levels(op)
    a_strip = OPEN_COST + op.nonzeros * DECODE_COST
    a_position = op.nonzeros * (LEVELS_COST if by_levels else DIRECT_COST)
    strips, instructions = 0, 0.0
    for one, n in step_packings(op, in_shape, out_shape, packing, steps):
        computed = one.strips * one.strip
        packed = one.planes * (computed + one.strips * one.halo)
        strips += n * one.strips
        instructions += n * (one.strips * a_strip + a_position * computed + PACK_COST * packed)
    return ConvPlan("dcg_conv_packed", f"packed in {strips} strips", instructions, packing)


def step_packings(
    op: QConv, in_shape: Shape, out_shape: Shape, packing: Packing, steps: Mapping[int, int]
) -> Iterator[tuple[Packing, int]]:
    """The packing of each height that steps have, in strips no longer than those of ``packing``, and how many
    steps have that height."""
    for rows, n in steps.items():
        one = _packing(op, in_shape, out_shape, rows, packing.complements)
        yield replace(one, strip=packing.strip).balanced, n


def _by_levels(op: QConv) -> bool:
    """Whether the runtime would choose the kernel by levels: its filters have enough taps for each magnitude."""
    magnitudes = len(np.unique(np.abs(op.levels.astype(np.int32)))) - 1
    return op.nonzeros > RUNTIME.TAPS_A_CLASS * magnitudes * len(op.bias)


def _packing(op: QConv, in_shape: Shape, out_shape: Shape, rows: int, complements: bool) -> Packing:
    """The packing of ``rows`` output rows in one strip."""
    return Packing.of(op, in_shape, (out_shape[0], rows, out_shape[2]), complements=complements)
