"""Which kernel computes each convolution, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dcgen.ir.graph import Shape
from dcgen.plan.firmware.limits import MAX_RUNS, RUN_TAPS, TAPS_A_CLASS
from dcgen.plan.firmware.packing import Packing
from dcgen.quant.qgraph import QConv, QGraph, QNode

OPEN_COST = 10_000
"""Instructions to open a layer, which builds its decoding table."""
DECODE_COST = 25
"""Instructions to decode a non-zero weight and to list it, as one more strip of v1.1's layers takes."""
PACK_COST = 3
"""Instructions to pack a position of a plane."""
DIRECT_COST = 0.95
"""Instructions of a non-zero weight at one position; the same by levels, and on tensors as they are."""
LEVELS_COST = 0.75
PLAIN_COST = 4.5


@dataclass(frozen=True)
class ConvPlan:
    """One convolution's kernel.

    kernel : C function
    reason : why this one, for people
    instructions : about how many it takes, to compare plans by
    packing : None for a kernel that reads tensors as they are
    """

    kernel: str
    reason: str
    instructions: float
    packing: Packing | None = None


def list_words(taps: int) -> int:
    """32-bit words of one filter's list: two a tap, and room for an entry a group and one a segment of four."""
    return 2 * taps + taps // 2 + 2


def run_halfwords(taps: int) -> int:
    """Halfwords of one filter's list by level.

    The taps, an entry every 16, and for each of 64 runs an entry more, its end, and a clearing.
    """
    return taps + taps // RUN_TAPS + 3 * MAX_RUNS + 4


def choose_kernel(graph: QGraph, node: QNode, steps: Mapping[int, int], room: int, frugal: bool) -> ConvPlan:
    """The kernel of a convolution that is computed in ``steps``.

    steps : how many of them compute so many rows
    room : bytes that its packed input may take
    frugal : whether it may lack room for complements where that is faster with these weights
    """
    op = node.op
    assert isinstance(op, QConv)
    out_shape = graph.score_shape if op.requant is None else graph.tensors[node.name].shape
    weights = op.nonzeros
    positions = out_shape[2] * sum(rows * n for rows, n in steps.items())
    plain = weights * (DECODE_COST * sum(steps.values()) + PLAIN_COST * positions)
    if op.requant is None:
        return ConvPlan("dcg_conv_scores", "its accumulators are the scores", plain)
    in_shape = graph.tensors[node.inputs[0]].shape
    found = [
        _packed(op, in_shape, out_shape, steps, room, complements)
        for complements in ((True, False) if frugal else (True,))
    ]
    return min(
        (p for p in found if p),
        key=lambda p: p.instructions,
        default=ConvPlan("dcg_conv", f"no strip of its packed input fits {room} bytes", plain),
    )


def _packed(
    op: QConv, in_shape: Shape, out_shape: Shape, steps: Mapping[int, int], room: int, complements: bool
) -> ConvPlan | None:
    """On packed planes in the fewest strips that fit, None where not even one pass does."""
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
    """For each height of a step its packing, in strips that find the room of ``packing``, and how many have it."""
    for rows, n in steps.items():
        one = _packing(op, in_shape, out_shape, rows, packing.complements)
        yield replace(one, strip=packing.strip).balanced, n


def _by_levels(op: QConv) -> bool:
    """Whether the runtime takes the kernel by levels: filters have taps enough a magnitude."""
    magnitudes = len(np.unique(np.abs(op.levels.astype(np.int32)))) - 1
    return op.nonzeros > TAPS_A_CLASS * magnitudes * len(op.bias)


def _packing(op: QConv, in_shape: Shape, out_shape: Shape, rows: int, complements: bool) -> Packing:
    """The packing of so many output rows in one strip."""
    return Packing.of(op, in_shape, (out_shape[0], rows, out_shape[2]), complements=complements)
