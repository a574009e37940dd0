"""Local response normalization (Krizhevsky et al. 2012, section 3.3), of operators that there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from dcgen.importers.onnx_scope import Call, Handler, Scope, Signal
from dcgen.ir.functions import Constant, Step
from dcgen.ir.graph import Conv, Function, Pairwise, Weight


def lrn(call: Call, scope: Scope) -> Signal:
    """x / (bias + alpha / size * the sum of squares of ``size`` channels around) ** beta: a function that squares,
    a convolution that sums, a function of the sum, and a product."""
    x, names = scope.named_axes(call)
    size, alpha = int(call.get("size", 0)), float(call.get("alpha", 1e-4))
    beta, bias = float(call.get("beta", 0.75)), float(call.get("bias", 1.0))
    if size < 1 or alpha < 0 or bias <= 0 or not all(map(math.isfinite, (alpha, beta, bias))):
        found = f"size {size}, alpha {alpha:g}, bias {bias:g}"
        raise call.unsupported(
            f"a size of 1 or more, alpha not below 0, bias above 0 are supported, found {found}"
        )
    channels = scope.shapes[x.tensor][0]
    call.budget.charge(4 * channels**2, f"node {call.name}", parameters=channels**2)
    ahead = np.arange(channels)[None, :] - np.arange(channels)[:, None]  # of channel i over channel o
    near = (-((size - 1) // 2) <= ahead) & (ahead <= size // 2)
    weight = Weight(np.asarray(near * (alpha / size), np.float32)[..., None, None])
    square = scope.emit(call, Function((Step("Mul", (0, 0)),)), x, suffix=".square")
    total = scope.emit(call, Conv(weight, np.full(channels, bias, np.float32)), square, suffix=".sum")
    factor = scope.emit(call, Function((Step("Pow", (0, Constant(-beta))),)), total, suffix=".factor")
    return scope.back(scope.emit(call, Pairwise("Mul"), x, factor), names)


OPERATORS: Final[Mapping[str, Handler]] = {"LRN": lrn}
