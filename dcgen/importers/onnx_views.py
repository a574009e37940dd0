"""ONNX operators for which dcgen computes nothing.

They are reshapes, transpositions, nodes that are left out wherever they stand (Identity, Dropout, Cast), and what
follows the scores at the end of the graph (Softmax, Sigmoid, ArgMax, ...). This is left out as well:
``Signal.head`` says which operator it was, and the host applies it.

One function for each operator, listed at the end; see ``onnx_operators``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from onnx import TensorProto

from dcgen.errors import ModelError
from dcgen.importers import onnx_functions, onnx_order
from dcgen.importers.onnx_constants import type_name
from dcgen.importers.onnx_functions import truth
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal, Value


def identity(call: Call, scope: Scope) -> Signal:
    return call.signal()


def dropout(call: Call, scope: Scope) -> tuple[Value, ...]:
    if call.scalar(2, "training mode", 0) and call.scalar(1, "ratio", 0.5):
        raise call.unsupported("inference (training_mode false) is supported, found training")
    return (call.signal(),)


def cast(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    if call.get("to", 0) == TensorProto.BOOL and x.head == "none":
        return truth(call, scope)
    # Behind ArgMax and TopK, which are left out, a cast to any type is left out as well.
    allowed = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    if call.get("to", 0) not in allowed and x.head not in ("argmax", "topk"):
        found = type_name(call.get("to", 0))
        raise call.unsupported(f"casts to FLOAT, FLOAT16, DOUBLE and BOOL are supported, found {found}")
    return x


def flatten(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    axis = call.get("axis", 1)
    axis += len(x.dims) if axis < 0 else 0
    return scope.view(call, x, (math.prod(x.dims[:axis]), math.prod(x.dims[axis:])))


def reshape(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    wanted = call.integers(1, "shape")
    if not call.get("allowzero", 0):
        if any(n == 0 for n in wanted[len(x.dims) :]):
            raise ModelError(call.where, f"shape {wanted} copies an axis that {x.dims} does not have")
        wanted = [x.dims[i] if n == 0 else n for i, n in enumerate(wanted)]
    known = math.prod(n for n in wanted if n != -1)
    if -1 in wanted and known > 0:
        wanted[wanted.index(-1)] = math.prod(x.dims) // known
    return scope.view(call, x, tuple(wanted))


def transpose(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    rank = len(x.dims)
    perm = call.get("perm", range(rank - 1, -1, -1))
    if sorted(perm) != list(range(rank)):
        raise ModelError(call.where, f"perm {list(perm)} does not permute {rank} axes")
    return x.reordered(onnx_order.transposed(x.axes, perm))


def squeeze(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    rank = len(x.dims)
    if call.optional(1, "axes") is None:
        axes = [i for i, n in enumerate(x.dims) if n == 1]
    else:
        axes = [a % max(1, rank) for a in call.integers(1, "axes")]
    return scope.view(call, x, tuple(n for i, n in enumerate(x.dims) if i not in axes))


def unsqueeze(call: Call, scope: Scope) -> Signal:
    x = call.signal()
    given = call.integers(1, "axes")
    rank = len(x.dims) + len(given)
    axes = {a % max(1, rank) for a in given}
    rest = iter(x.dims)
    return scope.view(call, x, tuple(1 if i in axes else next(rest, 0) for i in range(rank)))


def shape(call: Call, scope: Scope) -> np.ndarray:
    """The shape of a computed tensor: a constant, since the picture's size and the batch are known."""
    dims = call.signal().dims
    return np.array(dims[call.get("start", 0) : call.get("end", len(dims))], np.int64)


# Operators behind the scores, which are left out


def softmax(call: Call, scope: Scope) -> Signal:
    return replace(_scores(call, scope, -1), head="softmax")


def log_softmax(call: Call, scope: Scope) -> Signal:
    return replace(_scores(call, scope, -1), head="log_softmax")


def sigmoid(call: Call, scope: Scope) -> Signal:
    """At the end the host applies it; anywhere else it is a function like others."""
    if not call.final:
        return onnx_functions.function(call, scope)
    return replace(call.signal(), head="sigmoid")


def arg_max(call: Call, scope: Scope) -> Signal:
    if call.get("select_last_index", 0):
        raise call.unsupported("the lowest index wins a tie where supported, found select_last_index 1")
    return replace(_scores(call, scope, 0), head="argmax")


def top_k(call: Call, scope: Scope) -> tuple[Signal, Signal]:
    if not call.get("largest", 1):
        raise call.unsupported("the largest scores are supported, found the smallest")
    call.constant(1, "k")
    best = replace(_scores(call, scope, -1), head="topk")
    return best, best


def _scores(call: Call, scope: Scope, default_axis: int) -> Signal:
    """The node's input, if the node's axis (or else ``default_axis``) runs over all scores of a picture, or over
    the channels of planes, which are the scores of a pixel.

    Raises UnsupportedError if it does not, or if an operator left out before this one may not stand there.
    """
    x = call.signal()
    if x.head not in ("none", "softmax", "log_softmax", "sigmoid") or (
        x.head != "none" and "Softmax" in call.kind
    ):
        raise call.unsupported(f"reads a removed {x.head}")
    axis = call.get("axis", default_axis) % max(1, len(x.dims))
    whole = x.dims and (math.prod(x.dims[:axis]), math.prod(x.dims[axis + 1 :])) == (scope.batch, 1)
    channels, height, width = scope.shapes[x.tensor]
    if not whole and (not x.dims or x.axes[axis] != ((channels, height * width),)):
        problem = f"found axis {axis} of {x.dims}"
        raise call.unsupported(f"an axis of all scores of a picture, or of a pixel, is supported, {problem}")
    return x


OPERATORS: Final[Mapping[str, Handler]] = {
    "ArgMax": arg_max,
    "Cast": cast,
    "Dropout": dropout,
    "Flatten": flatten,
    "Identity": identity,
    "LogSoftmax": log_softmax,
    "Reshape": reshape,
    "Shape": shape,
    "Sigmoid": sigmoid,
    "Softmax": softmax,
    "Squeeze": squeeze,
    "TopK": top_k,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
