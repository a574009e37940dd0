"""The largest sizes that the C runtime's fields and counters hold, checked by name before anything is planned."""

from __future__ import annotations

from functools import partial
from typing import Final

from dcgen.plan.firmware.constants import RUNTIME
from dcgen.plan.limits import at_most
from dcgen.quant.qgraph import QAvgPool, QConcat, QConv, QGraph, QMaxPool, QPad, QUpsample

MAX_KERNEL: Final = (1 << 8) - 1
"""Rows or columns of a kernel: kernel_h and kernel_w are uint8_t, and a place in the kernel has 16 bits."""
MAX_SIZE: Final = (1 << 16) - 1
"""Channels, rows or columns, stride, padding, groups: all are uint16_t."""
MAX_NODES: Final = RUNTIME.NO_NODE - 1
"""Nodes: an index is a uint16_t, of which one value stands for none."""
MAX_WEIGHTS: Final = (1 << 31) - 1
"""Weights of a convolution: a position among them is a uint32_t, to which the longest zero run is added."""
MAX_BLOB_BYTES: Final = 1 << 28
"""Bytes of a blob: positions in its streams are counted in bits, in a uint32_t."""
MAX_ARENA_BYTES: Final = (1 << 31) - 1
"""Bytes of an arena: offsets are uint32_t."""

_at_most = partial(at_most, "the C runtime")


def check_limits(graph: QGraph, blob_bytes: int) -> None:
    """Raise PlanError for the first layer, tensor or size beyond the runtime's reach."""
    for tensor in graph.tensors.values():
        for axis, size in zip(("channels", "rows", "columns"), tensor.shape, strict=True):
            _at_most(tensor.name, axis, size, MAX_SIZE)
    for name, shape in graph.score_shapes.items():
        for axis, size in zip(("score channels", "score rows", "score columns"), shape, strict=True):
            _at_most(name, axis, size, MAX_SIZE)
    _at_most(graph.name, "nodes", len(graph.nodes), MAX_NODES)
    for node in graph.nodes:
        op = node.op
        if isinstance(op, QConv | QMaxPool | QAvgPool):
            _at_most(node.name, "kernel rows or columns", max(op.kernel), MAX_KERNEL)
            _at_most(node.name, "positions of stride", max(op.stride), MAX_SIZE)
        if isinstance(op, QConv | QMaxPool | QAvgPool | QPad):
            _at_most(node.name, "rows or columns of padding", max(op.pads), MAX_SIZE)
        if isinstance(op, QUpsample):
            _at_most(node.name, "rows or columns of a block", max(op.factor), MAX_SIZE)
            _at_most(node.name, "rows or columns that are cut off", max(op.cut), MAX_SIZE)
        if isinstance(op, QConv):
            _at_most(node.name, "weights", op.indices.size, MAX_WEIGHTS)
        if not isinstance(op, QConcat):
            _at_most(node.name, "inputs", len(node.inputs), 2)
    _at_most(graph.name, "bytes of blob", blob_bytes, MAX_BLOB_BYTES)
