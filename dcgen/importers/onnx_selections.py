"""ONNX operators that take parts of a tensor: Slice, Split and Gather, of channels, rows and columns.

One function for each operator, listed at the end; see ``onnx_operators``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.ir.graph import Crop, MaxPool, Select
from dcgen.ir.ops import Span

AXES: Final = ("the batch", "channels", "rows", "columns")
"""What (N, C, H, W) are called in errors."""
BYTES_OF_INDEX = 64
"""Memory that the index of a channel takes, as a number of Python."""


def slice_(call: Call, scope: Scope) -> Signal:
    x, names = scope.named_axes(call)
    starts, ends = call.integers(1, "starts"), call.integers(2, "ends")
    given, steps = call.optional(3, "axes"), call.optional(4, "steps")
    axes = range(len(starts)) if given is None else [a % len(names) for a in call.integers(3, "axes")]
    strides = [1] * len(starts) if steps is None else call.integers(4, "steps")
    if not len(starts) == len(ends) == len(axes) == len(strides) <= len(names) or 0 in strides:
        found = f"starts {starts}, ends {ends}, axes {list(axes)} and steps {strides}"
        raise ModelError(call.where, f"{found} do not go together")
    taken = _every(scope, x)
    for axis, *cut in zip(axes, starts, ends, strides, strict=True):
        taken[names[axis]] = taken[names[axis]][slice(*cut)]
    return scope.back(_taken(call, scope, x, taken), names)


def split(call: Call, scope: Scope) -> tuple[Signal, ...]:
    x, names = scope.named_axes(call)
    axis = _axis(call, names)
    size = len(_every(scope, x)[names[axis]])
    if call.optional(1, "split") is not None:
        sizes = call.integers(1, "split")
    else:
        count = max(1, int(call.get("num_outputs", call.outputs)))
        part = math.ceil(size / count)
        sizes = [min(part, size - part * i) for i in range(count)]
    if min(sizes, default=0) < 1 or sum(sizes) != size or len(sizes) < call.outputs:
        raise ModelError(call.where, f"splits {size} into {sizes}")
    found, start = [], 0
    for number, length in enumerate(sizes):
        taken = _every(scope, x)
        taken[names[axis]] = range(start, start + length)
        found.append(scope.back(_taken(call, scope, x, taken, f".part{number}"), names))
        start += length
    return tuple(found)


def gather(call: Call, scope: Scope) -> Signal:
    """Of one index, which takes its axis away, or of a list of indices."""
    x, names = scope.named_axes(call)
    axis = _axis(call, names)
    indices = call.constant(1, "indices")
    size = len(_every(scope, x)[names[axis]])
    if indices.ndim > 1 or not indices.size:
        raise call.unsupported(f"one index or a list of them is supported, found indices {indices.shape}")
    chosen = [int(i) for i in indices.reshape(-1)]
    if not all(-size <= i < size for i in chosen):
        raise ModelError(call.where, f"takes elements {chosen[:8]} of {size}")
    taken = _every(scope, x)
    taken[names[axis]] = [i % size for i in chosen]
    found = scope.back(_taken(call, scope, x, taken), names)
    return found if indices.ndim else found.reordered(tuple(a for i, a in enumerate(found.axes) if i != axis))


def _every(scope: Scope, x: Signal) -> list[Sequence[int]]:
    """All indices of planes along (N, C, H, W)."""
    return [range(n) for n in (scope.batch, *scope.shapes[x.tensor])]


def _axis(call: Call, names: tuple[int, ...]) -> int:
    """The axis of a Split or Gather."""
    axis = int(call.get("axis", 0))
    if not -len(names) <= axis < len(names):
        raise ModelError(call.where, f"has axis {axis} of {len(names)}")
    if names[axis] == 0:
        raise _unsupported(call, AXES[0])
    return axis % len(names)


def _unsupported(call: Call, axis: str) -> UnsupportedError:
    taken = "channels in any order, and rows and columns at one distance are taken where supported"
    return call.unsupported(f"{taken}, found other parts of {axis}")


def _taken(call: Call, scope: Scope, x: Signal, taken: Sequence[Sequence[int]], suffix: str = "") -> Signal:
    """Of the planes ``x``, the channels, rows and columns with the indices ``taken`` along (N, C, H, W).

    Pixels at a distance, from the first one on, are what a pool of one pixel takes.
    """
    batch, channels, rows, columns = taken
    _, height, width = scope.shapes[x.tensor]
    down, across = _span(rows), _span(columns)
    whole = _same(batch, range(scope.batch))
    if not whole or not channels or down is None or across is None:
        axes = zip(AXES, (whole, channels, down, across), strict=True)
        raise _unsupported(call, next((name for name, fits in axes if not fits), AXES[0]))
    selects = not _same(channels, _every(scope, x)[1])
    if selects:
        scope.check_size(call.where, (len(channels), height, width))
        call.budget.charge(BYTES_OF_INDEX * len(channels), f"node {call.name}")
    if (down, across) != ((0, height, 1), (0, width, 1)):
        pools = down[:2] == (0, -(-height // down[2])) and across[:2] == (0, -(-width // across[2]))
        op = MaxPool((1, 1), (down[2], across[2])) if pools else Crop(down, across)
        x = scope.emit(call, op, x, suffix=f"{suffix}.planes" if selects else suffix)
    return scope.emit(call, Select(tuple(channels)), x, suffix=suffix) if selects else x


def _span(indices: Sequence[int]) -> Span | None:
    """The first index, their number and their distance; None where there is none, or they have no one distance."""
    if not indices:
        return None
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    if step < 1 or not _same(indices, range(indices[0], indices[-1] + 1, step)):
        return None
    return indices[0], len(indices), step


def _same(indices: Sequence[int], every: Sequence[int]) -> bool:
    """Whether the indices are those of a range, which may be long."""
    if isinstance(indices, range) or len(indices) != len(every):
        return indices == every
    return list(indices) == list(every)


OPERATORS: Final[Mapping[str, Handler]] = {"Gather": gather, "Slice": slice_, "Split": split}
