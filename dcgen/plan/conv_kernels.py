"""Which kernel computes each convolution, and why."""

from __future__ import annotations

from dataclasses import dataclass

from dcgen.plan.arena import Buffer, align, live_bytes
from dcgen.plan.limits import GROUP, MAX_RUNS, RUN_TAPS
from dcgen.plan.packing import PASS, Packing
from dcgen.quant.qgraph import QConv, QGraph

SMALL_WORKSPACE = 4096
"""Bytes that a packed input may always take."""


@dataclass(frozen=True)
class ConvPlan:
    """One convolution's kernel.

    kernel : C function
    reason : why this one, for people
    packing : None for a kernel that reads tensors as they are
    """

    kernel: str
    reason: str
    packing: Packing | None = None


def list_words(taps: int) -> int:
    """32-bit words of one filter's list: two a tap, one before each group, one behind."""
    return 2 * taps + -(-taps // GROUP) + 1


def run_halfwords(taps: int) -> int:
    """Halfwords of one filter's list by level.

    The taps, an entry every 16, and for each of 64 runs an entry more, its end, and a clearing.
    """
    return taps + taps // RUN_TAPS + 3 * MAX_RUNS + 4


def choose_kernels(graph: QGraph, tensors: tuple[Buffer, ...]) -> dict[int, ConvPlan]:
    """The kernel of each convolution, by node index.

    Packed inputs take what the tensors leave of the arena at their time. Where that is little, an eighth
    of the tensors' own memory is added.
    """
    peak = live_bytes(tensors)
    plans: dict[int, ConvPlan] = {}
    for i, node in enumerate(graph.nodes):
        if not isinstance(op := node.op, QConv):
            continue
        live = sum(align(b.size) for b in tensors if b.first <= i <= b.last)
        room = max(peak - live, peak // 8, SMALL_WORKSPACE)
        plans[i] = _choose(graph, node.name, op, node.inputs[0], room)
    return plans


def _choose(graph: QGraph, name: str, op: QConv, source: str, room: int) -> ConvPlan:
    if op.requant is None:
        return ConvPlan("dcg_conv_scores", "its accumulators are the scores")
    shapes = graph.tensors[source].shape, graph.tensors[name].shape
    if (packing := _fitting(op, *shapes, room)) is None:
        return ConvPlan("dcg_conv", f"no strip of its packed input fits {room} bytes")
    return ConvPlan("dcg_conv_packed", f"packed in {packing.strips} strips", packing)


def _fitting(
    op: QConv, in_shape: tuple[int, int, int], out_shape: tuple[int, int, int], room: int
) -> Packing | None:
    """The packing of the fewest strips that fits, None where not even one pass does."""
    strips = 1
    while (packing := Packing.of(op, in_shape, out_shape, strips)).size > room:
        if packing.strip == PASS:
            return None
        strips = max(strips + 1, packing.strips)
    return packing
