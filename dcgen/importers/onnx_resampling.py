"""ONNX's Resize.

Along one axis, each pixel of the output is a sum of a few weighted pixels of the input. Places and weights repeat:
``period`` pixels further in the output, the same weights are ``step`` pixels further in the input. So a depthwise
convolution of stride ``step`` makes ``period`` neighbours as channels, and an ``Upsample`` puts them side by side.
Beyond the input lies its nearest pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dcgen.errors import ModelError
from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.importers.onnx_windows import MAX_EXTENT
from dcgen.ir.graph import F64, Conv, MaxPool, Pad, Upsample, Weight

MOST_PIXELS = 64
"""Most pixels of a block that a convolution makes."""
Taps = tuple[tuple[int, float], ...]
"""The places and weights that a pixel of the output is made of, ascending."""


@dataclass(frozen=True)
class Axis:
    """One axis: the taps of the first ``period`` pixels of ``made``; of the others, as the module says.

    size : pixels of the input
    """

    size: int
    made: int
    taps: tuple[Taps, ...]
    step: int

    @property
    def period(self) -> int:
        return len(self.taps)

    @property
    def first(self) -> int:
        return min(0, *(place for taps in self.taps for place, _ in taps))

    @property
    def extent(self) -> int:
        return max(place for taps in self.taps for place, _ in taps) - self.first + 1

    @property
    def beyond(self) -> int:
        """Pixels behind the input that the last block reads, or less than 0."""
        return (-(-self.made // self.period) - 1) * self.step + self.first + self.extent - self.size

    @property
    def cut(self) -> int:
        windows = (self.size - self.first + max(self.beyond, 0) - self.extent) // self.step + 1
        return windows * self.period - self.made

    @property
    def repeats(self) -> bool:
        """Whether each pixel is repeated ``period`` times, and nothing else."""
        return self.step == 1 and all(taps == ((0, 1.0),) for taps in self.taps)

    @property
    def weights(self) -> np.ndarray:
        """float64 [period, extent]."""
        found = np.zeros((self.period, self.extent))
        for pixel, taps in zip(found, self.taps, strict=True):
            for place, weight in taps:
                pixel[place - self.first] += weight
        return found


def axis_of(call: Call, size: int, taps: Sequence[Taps]) -> Axis:
    """The axis whose pixels of the output have these taps. UnsupportedError where they do not repeat soon."""
    made = len(taps)
    for period in range(1, min(made, MOST_PIXELS) + 1):
        step = taps[period][0][0] - taps[0][0][0] if period < made else max(1, size)
        moved = (
            [(place + step, weight) for place, weight in before] == list(after)
            for before, after in zip(taps, taps[period:], strict=False)
        )
        if step > 0 and all(moved):
            return Axis(size, made, tuple(taps[:period]), step)
    raise call.unsupported(f"{made} pixels of {size} would take blocks of more than {MOST_PIXELS} pixels")


def resampled(call: Call, scope: Scope, x: Signal, rows: Axis, columns: Axis) -> Signal:
    """Planes (N, C, H, W) resampled along both axes."""
    channels = scope.shapes[x.tensor][0]
    factor, cut = (rows.period, columns.period), (rows.cut, columns.cut)
    if rows.repeats and columns.repeats:
        return scope.emit(call, Upsample(factor, channels, cut), x) if factor != (1, 1) else x
    if factor == (1, 1) and cut == (0, 0) and all(axis.taps[0] == ((0, 1.0),) for axis in (rows, columns)):
        return scope.emit(call, MaxPool((1, 1), (rows.step, columns.step)), x)
    pixels = math.prod(factor)
    if pixels > MOST_PIXELS:
        raise call.unsupported(f"blocks of at most {MOST_PIXELS} pixels are supported, found {factor}")
    pads = (-rows.first, -columns.first, max(rows.beyond, 0), max(columns.beyond, 0))
    if any(pads):
        x = scope.emit(call, Pad(pads, edge=True), x, suffix=".edges")
    one = np.einsum("ay,bx->abyx", rows.weights, columns.weights).reshape(pixels, 1, rows.extent, columns.extent)
    call.budget.charge(4 * channels * one.size, f"weight of node {call.name}", parameters=channels * one.size)
    weight, bias = np.tile(one, (channels, 1, 1, 1)), np.zeros(channels * pixels, np.float32)
    blocks = factor != (1, 1) or any(cut)
    op = Conv(Weight(call.parameter(weight, "weight")), bias, (rows.step, columns.step), groups=channels)
    found = scope.emit(call, op, x, suffix=".phases" if blocks else "")
    return scope.emit(call, Upsample(factor, channels, cut), found) if blocks else found


def resize(call: Call, scope: Scope) -> Signal:
    x, names = scope.named_axes(call)
    mode, where = call.get("mode", "nearest"), call.get("coordinate_transformation_mode", "half_pixel")
    if mode not in ("nearest", "linear"):
        raise call.unsupported(f"modes nearest and linear are supported, found {mode}")
    if where not in PLACES:
        raise call.unsupported(f"coordinates {', '.join(PLACES)} are supported, found {where}")
    if call.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise call.unsupported("keep_aspect_ratio_policy stretch is supported")
    sizes = (scope.batch, *scope.shapes[x.tensor])
    rank = len(names)
    axes = [a % rank for a in call.get("axes", range(rank))]
    wanted = _wanted(call, [sizes[names[a]] for a in axes])
    made, scales = list(sizes), [1.0] * 4
    for axis, (size, scale) in zip(axes, wanted, strict=True):
        made[names[axis]], scales[names[axis]] = size, scale
    if made[:2] != list(sizes[:2]):
        raise call.unsupported(f"other rows and columns are supported, found {sizes} to {tuple(made)}")
    if call.get("antialias", 0) and any(m < n for m, n in zip(made[2:], sizes[2:], strict=True)):
        raise call.unsupported("antialias 0 is supported where planes become smaller, found 1")
    scope.check_size(call.where, (sizes[1], made[2], made[3]))
    found = []
    for n, m, scale in zip(sizes[2:], made[2:], scales[2:], strict=True):
        if where == "align_corners" and abs(n * scale - m) > 1e-3:
            raise call.unsupported(f"align_corners is supported with a whole size, found {n} times {scale:g}")
        places = PLACES[where](np.arange(m, dtype=np.float64), n, m, scale)
        found.append(axis_of(call, n, _nearest(call, places) if mode == "nearest" else _linear(places)))
    return scope.back(resampled(call, scope, x, found[0], found[1]), names)


def _wanted(call: Call, sizes: Sequence[int]) -> list[tuple[int, float]]:
    """For each of the axes, the size that it gets and the scale."""
    scales, made = call.optional(2, "scales"), call.optional(3, "sizes")
    given = made if made is not None and made.size else scales
    if given is None or given.size != len(sizes) or not (np.isfinite(given).all() and given.min() > 0):
        raise ModelError(call.where, f"has scales or sizes of {len(sizes)} axes, found {given}")
    if given is made:
        found = [(int(m), int(m) / n) for n, m in zip(sizes, given, strict=True)]
    else:
        found = [(math.floor(n * float(s)), float(s)) for n, s in zip(sizes, given, strict=True)]
    if not all(1 <= m <= MAX_EXTENT for m, _ in found):
        raise ModelError(call.where, f"its output has axes of {[m for m, _ in found]}")
    return found


def _nearest(call: Call, places: F64) -> list[Taps]:
    mode = call.get("nearest_mode", "round_prefer_floor")
    if mode not in ROUNDINGS:
        raise ModelError(call.where, f"nearest_mode is one of {', '.join(ROUNDINGS)}, found {mode}")
    return [((int(i), 1.0),) for i in ROUNDINGS[mode](np.rint(places * 2**20) / 2**20)]


def _linear(places: F64) -> list[Taps]:
    exact = np.rint(places * 2**20) / 2**20
    low = np.floor(exact).astype(int)
    both = (((int(i), 1 - float(f)), (int(i) + 1, float(f))) for i, f in zip(low, exact - low, strict=True))
    return [tuple((place, weight) for place, weight in taps if weight) for taps in both]


PLACES: Final[Mapping[str, Callable[[F64, int, int, float], F64]]] = {
    "align_corners": lambda o, n, m, s: o * (n - 1) / max(m - 1, 1),
    "asymmetric": lambda o, n, m, s: o / s,
    "half_pixel": lambda o, n, m, s: (o + 0.5) / s - 0.5,
    "half_pixel_symmetric": lambda o, n, m, s: n / 2 * (1 - m / (s * n)) + (o + 0.5) / s - 0.5,
    "pytorch_half_pixel": lambda o, n, m, s: (o + 0.5) / s - 0.5 if m > 1 else o * 0.0,
    "tf_half_pixel_for_nn": lambda o, n, m, s: (o + 0.5) / s,
}
"""By coordinate_transformation_mode: the place in n pixels of each pixel o of m, scaled by s."""
ROUNDINGS: Final[Mapping[str, Callable[[F64], F64]]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
}

OPERATORS: Final[Mapping[str, Handler]] = {"Resize": resize}
