"""PyTorch's adaptive pools: each pixel of the output is the average, or the maximum, of a bin of pixels.

Pixel i of m, of n, is made of pixels floor(i * n / m) to ceil((i + 1) * n / m). Bins of one size at one distance
are the windows of a pool. Others repeat: averages of these are a resampling (``onnx_resampling``), of the rows and
then of the columns; maxima are one pool for each bin of a period, put side by side.

ONNX has no such operator; dcgen's own domain has, for PyTorch programs (``torch_pools``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from dcgen.errors import ModelError
from dcgen.importers.onnx_pools import blocks
from dcgen.importers.onnx_resampling import MOST_PIXELS, Taps, axis_of, resampled
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.importers.onnx_windows import MAX_EXTENT
from dcgen.ir.graph import AvgPool, Crop, GlobalAvgPool, MaxPool, Pair

DOMAIN: Final = "dcgen"
Pool = type[AvgPool] | type[MaxPool]


def bins(size: int, made: int) -> list[tuple[int, int]]:
    """The first pixel, and the one behind the last, of each of ``made`` bins of ``size`` pixels."""
    return [(i * size // made, -(-(i + 1) * size // made)) for i in range(made)]


def pooled(call: Call, scope: Scope, x: Signal, made: Pair, pool: Pool) -> Signal:
    """The averages or maxima of bins of the planes ``x``, which become ``made`` rows and columns."""
    channels, *sizes = scope.shapes[x.tensor]
    scope.check_size(call.where, (channels, *made))
    rows, columns = (_windows(n, m) for n, m in zip(sizes, made, strict=True))
    if pool is AvgPool and made == (1, 1):
        return scope.emit(call, GlobalAvgPool(), x)
    if (rows, columns) == ((1, 1), (1, 1)):
        return x
    if rows is not None and columns is not None:
        return scope.emit(call, pool((rows[0], columns[0]), (rows[1], columns[1])), x)
    if columns == (1, 1):
        return _along(call, scope, x, 0, made[0], pool)
    if rows != (1, 1):
        x = _along(replace(call, name=f"{call.name}.rows"), scope, x, 0, made[0], pool)
    return _along(call, scope, x, 1, made[1], pool)


def _windows(size: int, made: int) -> Pair | None:
    """Size and distance of the bins; None where these differ."""
    starts, ends = np.transpose(bins(size, made))
    sizes, steps = set((ends - starts).tolist()), set(np.diff(starts).tolist()) or {1}
    return (sizes.pop(), steps.pop()) if len(sizes) == len(steps) == 1 and 0 not in steps else None


def _along(call: Call, scope: Scope, x: Signal, axis: int, made: int, pool: Pool) -> Signal:
    """Planes with ``made`` bins along their rows, axis 0, or columns, axis 1."""
    sizes = scope.shapes[x.tensor][1:]
    if (windows := _windows(sizes[axis], made)) is not None:
        return scope.emit(call, pool(_pair(axis, windows[0]), _pair(axis, windows[1])), x)
    if pool is MaxPool:
        return _maxima(call, scope, x, axis, made)
    taps: list[Taps] = [
        tuple((place, 1 / (end - start)) for place in range(start, end)) for start, end in bins(sizes[axis], made)
    ]
    along = axis_of(call, sizes[axis], taps)
    across = axis_of(call, sizes[1 - axis], [((place, 1.0),) for place in range(sizes[1 - axis])])
    return resampled(call, scope, x, *((across, along) if axis else (along, across)))


def _maxima(call: Call, scope: Scope, x: Signal, axis: int, made: int) -> Signal:
    """``_along`` of maxima of bins that differ: those of one place in each period are a pool."""
    sizes = scope.shapes[x.tensor][1:]
    count = math.gcd(sizes[axis], made)
    step, period, every, found = sizes[axis] // count, made // count, (0, sizes[1 - axis], 1), []
    if period > MOST_PIXELS:
        raise call.unsupported(f"at most {MOST_PIXELS} different bins are supported, found {period}")
    for number, (start, end) in enumerate(bins(sizes[axis], made)[:period]):
        span = (start, (count - 1) * step + end - start, 1)
        part = scope.emit(call, Crop(every, span) if axis else Crop(span, every), x, suffix=f".part{number}")
        windows = MaxPool(_pair(axis, end - start), _pair(axis, step))
        found.append(scope.emit(call, windows, part, suffix=f".bin{number}"))
    return blocks(call, scope, found, _pair(axis, period))


def _pair(axis: int, along: int) -> Pair:
    """A number along an axis, and 1 across."""
    return (1, along) if axis else (along, 1)


def _handler(pool: Pool) -> Handler:
    def handle(call: Call, scope: Scope) -> Signal:
        """``output_size`` has a number for each axis of the planes, or of a length."""
        x, names = scope.named_axes(call)
        wanted = call.get("output_size", ())
        if len(wanted) != len(names) - 2 or not all(1 <= n <= MAX_EXTENT for n in wanted):
            raise ModelError(call.where, f"has an output_size for each axis of planes, found {list(wanted)}")
        sizes = dict(enumerate(scope.shapes[x.tensor], 1)) | dict(zip(names[2:], map(int, wanted), strict=True))
        return scope.back(pooled(call, scope, x, (sizes[2], sizes[3]), pool), names)

    return handle


OPERATORS: Final[Mapping[str, Handler]] = {
    "AdaptiveAveragePool": _handler(AvgPool),
    "AdaptiveMaxPool": _handler(MaxPool),
}
