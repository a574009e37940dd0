"""Adaptive averages as ``torch.onnx`` writes them: the pixels of all bins are gathered (GatherND), those that a
small bin has too many are set to 0, and the rest is added and divided.

Which pools these are is told by what they compute of pixels that are drawn by chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import onnx

from dcgen.errors import ModelError
from dcgen.importers import onnx_order
from dcgen.importers.onnx_adaptive import bins, pooled
from dcgen.importers.onnx_constants import NOT_COMPUTED, computed
from dcgen.importers.onnx_scope import Call, Gathered, Handler, Scope, Signal, Value
from dcgen.ir.graph import F32, AvgPool
from dcgen.reading import damage

FOLLOWED: Final = ("Add", "Div", "Gather", "ReduceMean", "Transpose", "Where")
"""The operators that stand between the gathered pixels and the averages."""
ONLY_AVERAGED = "gathered pixels are supported as torch.onnx writes adaptive average pools"


def gather_nd(call: Call, scope: Scope) -> Gathered:
    x, indices = call.signal(), call.constant(1, "indices")
    if len(x.dims) != 4 or indices.ndim < 2 or indices.dtype.kind != "i" or call.get("batch_dims", 0):
        raise call.unsupported(ONLY_AVERAGED)
    source, rest = scope.whole(x), math.prod(x.dims[indices.shape[-1] :])
    call.budget.charge(4 * (2 * math.prod(x.dims) + indices.size * rest), f"node {call.name}")
    drawn = np.random.default_rng(0).random(source.dims, np.float32)
    seen = drawn.reshape(-1)[onnx_order.places(x.axes)].reshape(x.dims)
    with damage(call.where, ModelError, NOT_COMPUTED):
        return Gathered(source, drawn, seen[tuple(np.moveaxis(indices, -1, 0))])


def follow(call: Call, scope: Scope, node: onnx.NodeProto, opset: int) -> Value:
    """What a node of operator set ``opset`` makes of gathered pixels: the averages of bins once it computes these,
    before that what it makes of the pixels that are drawn."""
    gathered = [a for a in call.args if isinstance(a, Gathered)]
    first = gathered[0]
    others = any(isinstance(a, Signal) for a in call.args) or any(g.source != first.source for g in gathered)
    if others or call.kind not in FOLLOWED:
        raise call.unsupported(ONLY_AVERAGED)
    values = tuple(a.values if isinstance(a, Gathered) else a for a in call.args)
    found = computed(replace(call, args=values), node, opset)
    if found.ndim == 4 and found.shape[:2] == first.drawn.shape[:2]:
        made = (found.shape[2], found.shape[3])
        if min(made) > 0 and np.allclose(found, _averages(first.drawn, *made), rtol=1e-4):
            return pooled(call, scope, first.source, made, AvgPool)
    return replace(first, values=found)


def _averages(planes: F32, rows: int, columns: int) -> F32:
    """The averages of bins of float32 [N, C, H, W]: [N, C, rows, columns]."""
    for axis, made in ((2, rows), (3, columns)):
        parts = [planes.take(range(*b), axis).mean(axis, keepdims=True) for b in bins(planes.shape[axis], made)]
        planes = np.concatenate(parts, axis)
    return planes


OPERATORS: Final[Mapping[str, Handler]] = {"GatherND": gather_nd}
