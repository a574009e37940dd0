"""What the C runtime's fields and counters can hold, checked by name before anything is planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dcgen.errors import PlanError
from dcgen.quant.qgraph import QAvgPool, QConcat, QConv, QGraph, QMaxPool, QPad
from dcgen.targets import Extension

MAX_KERNEL: Final = 255  # uint8_t kernel_h, kernel_w; a place in the kernel has 16 bits
MAX_SIZE: Final = 65535  # uint16_t channels, height, width, stride, pads, groups
MAX_NODES: Final = 65534  # uint16_t, and 65535 is DCG_NO_NODE
MAX_WEIGHTS: Final = (1 << 31) - 1  # uint32_t positions, with room for the longest run
MAX_BLOB_BYTES: Final = 1 << 28  # uint32_t bit positions
MAX_ARENA_BYTES: Final = (1 << 31) - 1  # uint32_t offsets
GROUP: Final = 8  # taps that the direct kernel takes before its list says where to go on
RUN_TAPS: Final = 16  # the same of the kernel by levels
MAX_RUNS: Final = 64  # runs of equal weights in one filter, 32 bytes of stack each
MAX_CLASSES: Final = 48  # magnitudes that the kernel by levels tells apart
MOST_ADDED: Final = 257  # bytes that a halfword holds the sum of
TAPS_A_CLASS: Final = 5  # with more non-zero weights a magnitude, adding before multiplying is faster

CHUNK: Final = 16  # channels that the dense kernel multiplies at once
MOST_BESIDE: Final = 8192  # channels of it: a halfword holds the distance of seven positions
DENSE_ENTRY: Final = 32  # an entry's cost at a position; the dense kernel is faster where these are more than
DENSE_WEIGHT: Final = 13  # a weight's of a dense filter, and
DENSE_FILTER: Final = 700  # a filter's more

SHORT_SUM: Final = 128  # of weights above zero, and of those below, whose products a halfword holds the sum of
VECTOR_EVENTS: Final = 4  # inputs above zero in one of Helium's vectors, some of them none
EVENT_GROUP: Final = 8  # inputs above zero that the kernel by events takes before its list says where to go on
BYTES_A_WORD: Final[Mapping[Extension, int]] = {"none": 1, "dsp": 2, "helium": 3}
"""Bytes of input for each word that lists of them take, at least: with fewer, other kernels are faster."""
SAMPLED: Final = 16  # one word of the input in so many says whether lists are tried


def check_limits(graph: QGraph, blob_bytes: int) -> None:
    """Raise PlanError for the first layer, tensor or size beyond the runtime's reach."""
    for tensor in graph.tensors.values():
        for axis, size in zip(("channels", "rows", "columns"), tensor.shape, strict=True):
            _at_most(tensor.name, axis, size, MAX_SIZE)
    for axis, size in zip(("score channels", "score rows", "score columns"), graph.score_shape, strict=True):
        _at_most(graph.nodes[-1].name, axis, size, MAX_SIZE)
    _at_most(graph.name, "nodes", len(graph.nodes), MAX_NODES)
    for node in graph.nodes:
        op = node.op
        if isinstance(op, QConv | QMaxPool | QAvgPool):
            _at_most(node.name, "kernel rows or columns", max(op.kernel), MAX_KERNEL)
            _at_most(node.name, "positions of stride", max(op.stride), MAX_SIZE)
        if isinstance(op, QConv | QMaxPool | QAvgPool | QPad):
            _at_most(node.name, "rows or columns of padding", max(op.pads), MAX_SIZE)
        if isinstance(op, QConv):
            _at_most(node.name, "weights", op.indices.size, MAX_WEIGHTS)
        if not isinstance(op, QConcat):
            _at_most(node.name, "inputs", len(node.inputs), 2)
    _at_most(graph.name, "bytes of blob", blob_bytes, MAX_BLOB_BYTES)


def _at_most(thing: str, what: str, found: int, limit: int) -> None:
    if found > limit:
        raise PlanError(thing, f"has {found} {what}, the C runtime takes at most {limit}")
