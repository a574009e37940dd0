"""ONNX's pools.

A dilated one is a pool for each phase: the taps of windows that begin at one row and column, modulo the dilation,
lie side by side among the pixels of one phase. The phases of the output are put together as blocks of pixels.

One function for each operator, listed at the end; see ``onnx_operators``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dcgen.errors import ModelError
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.importers.onnx_selections import BYTES_OF_INDEX
from dcgen.importers.onnx_windows import dilation_of, extent_of, on_lengths, pair, window_of
from dcgen.ir.graph import AvgPool, Concat, Crop, GlobalAvgPool, MaxPool, Pad, Pads, Pair, Select, Upsample
from dcgen.ir.ops import Span, window_count

Pool = Callable[[Pair, Pair, Pads], AvgPool | MaxPool]
"""A pool of a kernel, a stride and pads."""


def max_pool(call: Call, scope: Scope) -> Signal:
    ceil = bool(call.get("ceil_mode", 0))
    return _pooled(call, scope, lambda kernel, stride, pads: MaxPool(kernel, stride, pads, ceil))


def average_pool(call: Call, scope: Scope) -> Signal:
    ceil, padding = bool(call.get("ceil_mode", 0)), bool(call.get("count_include_pad", 0))
    return _pooled(call, scope, lambda kernel, stride, pads: AvgPool(kernel, stride, pads, ceil, padding))


def _pooled(call: Call, scope: Scope, pool: Pool) -> Signal:
    x = scope.planes(call, rank=4)
    kernel = pair(call, "kernel_shape", (0, 0))
    if min(kernel) < 1:
        raise ModelError(call.where, f"kernel_shape is at least 1, found {kernel}")
    dilation = dilation_of(call, kernel)
    extent = extent_of(kernel, dilation)
    stride, pads = window_of(call, scope, x, extent)
    if any(p >= extent[i % 2] for i, p in enumerate(pads)):
        raise call.unsupported(f"pads smaller than the kernel {extent} are supported, found {pads}")
    if dilation == (1, 1):
        return scope.emit(call, pool(kernel, stride, pads), x)
    sizes = scope.shapes[x.tensor][1:]
    axes = [
        _Axis.of(call, *numbers)
        for numbers in zip(sizes, kernel, stride, dilation, pads[:2], pads[2:], strict=True)
    ]
    return _dilated(call, scope, x, pool, axes[0], axes[1])


@dataclass(frozen=True)
class _Phase:
    """The windows of an axis that begin in one phase.

    span : the pixels that they read
    begin, end : how many taps of padding are in front of these and behind
    windows : their number
    """

    span: Span
    begin: int
    end: int
    windows: int


@dataclass(frozen=True)
class _Axis:
    """An axis of a dilated pool: ``made`` windows of ``kernel`` taps, in each phase at a distance of ``step``."""

    kernel: int
    step: int
    made: int
    phases: tuple[_Phase, ...]

    @classmethod
    def of(cls, call: Call, size: int, kernel: int, stride: int, dilation: int, begin: int, end: int) -> _Axis:
        """The axis of ``size`` pixels between pads. Raises UnsupportedError where phases alternate otherwise."""
        made, more = (
            window_count(size, (kernel - 1) * dilation + 1, stride, begin, end, ceil) for ceil in (False, True)
        )
        if (call.get("ceil_mode", 0) and made < more) or (stride > 1 and stride % dilation):
            problem = f"a stride of 1 or of multiples of dilation {dilation} is supported, without partial windows"
            raise call.unsupported(f"{problem}, found stride {stride}, and {size} pixels")
        if made < 1:
            raise ModelError(call.where, f"its kernel does not fit an axis of {size} pixels")
        count = 1 if stride % dilation == 0 else min(dilation, made)
        step, found = stride // dilation if count == 1 and stride > 1 else 1, []
        for phase in range(count):
            windows, start = -(-(made - phase) // count), phase - begin
            first = start if start >= 0 else start % dilation
            taps, before = (windows - 1) * step + kernel, (first - start) // dilation
            inside = min(-(-(size - first) // dilation), taps - before)
            behind = taps - before - inside
            if inside < 1 or before >= kernel or behind >= kernel:
                raise call.unsupported(f"windows with pixels in them are supported, found pads {(begin, end)}")
            found.append(_Phase((first, inside, dilation), before, behind, windows))
        return cls(kernel, step, made, tuple(found))

    @property
    def cut(self) -> int:
        """Pixels that blocks of a pixel of each phase have too many."""
        return len(self.phases) * self.phases[0].windows - self.made


def _dilated(call: Call, scope: Scope, x: Signal, pool: Pool, rows: _Axis, columns: _Axis) -> Signal:
    found = []
    for number, (down, across) in enumerate((a, b) for a in rows.phases for b in columns.phases):
        part = scope.emit(call, Crop(down.span, across.span), x, suffix=f".phase{number}")
        op = pool(
            (rows.kernel, columns.kernel),
            (rows.step, columns.step),
            (down.begin, across.begin, down.end, across.end),
        )
        part = scope.emit(call, op, part, suffix=f".pool{number}")
        missing = rows.phases[0].windows - down.windows, columns.phases[0].windows - across.windows
        if any(missing):
            part = scope.emit(call, Pad((0, 0, *missing), edge=True), part, suffix=f".full{number}")
        found.append(part)
    return blocks(call, scope, found, (len(rows.phases), len(columns.phases)), (rows.cut, columns.cut))


def blocks(call: Call, scope: Scope, parts: Sequence[Signal], factor: Pair, cut: Pair = (0, 0)) -> Signal:
    """Planes in whose blocks of ``factor`` pixels each pixel is one of the ``parts``, row by row, without the last
    ``cut`` rows and columns."""
    if len(parts) == 1:
        return parts[0]
    channels = scope.shapes[parts[0].tensor][0]
    call.budget.charge(BYTES_OF_INDEX * channels * len(parts), f"node {call.name}")
    order = tuple(number * channels + c for c in range(channels) for number in range(len(parts)))
    together = scope.emit(call, Concat(), *parts, suffix=".parts")
    ordered = scope.emit(call, Select(order), together, suffix=".blocks")
    return scope.emit(call, Upsample(factor, channels, cut), ordered)


def global_average_pool(call: Call, scope: Scope) -> Signal:
    return scope.emit(call, GlobalAvgPool(), scope.planes(call, rank=4))


def global_max_pool(call: Call, scope: Scope) -> Signal:
    x = scope.planes(call, rank=4)
    _, height, width = scope.shapes[x.tensor]
    return scope.emit(call, MaxPool((height, width), (1, 1)), x)


OPERATORS: Final[Mapping[str, Handler]] = {
    "AveragePool": on_lengths(average_pool),
    "GlobalAveragePool": on_lengths(global_average_pool),
    "GlobalMaxPool": on_lengths(global_max_pool),
    "MaxPool": on_lengths(max_pool),
}
