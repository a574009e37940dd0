"""The integer arithmetic that defines every byte: requantization and its constants (see docs/numbers.md)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dcgen.errors import NumericError
from dcgen.quant.qgraph import Requant

MULT_BITS = 16
"""Size of a multiplier, unsigned."""
MIN_SHIFT, MAX_SHIFT = 17, 32
"""Bounds of a shift."""
MAX_RATIO = (2**MULT_BITS - 1) / 2**MIN_SHIFT
"""The largest real factor that a multiplier and a shift can stand for, just below 0.5."""


def wrap32(acc: NDArray[np.int64]) -> NDArray[np.int64]:
    """Two's complement wrap to 32 bits, kept in int64."""
    return acc.astype(np.int32).astype(np.int64)


def requantize(acc: NDArray[np.int64], r: Requant, zero_point: int) -> NDArray[np.uint8]:
    """y = clip(zp + ((acc*m + 2**(s-1)) >> s), lo, hi), element by element.

    acc : int64 [N, C, H, W], already wrapped to 32 bits
    r : m and s of all channels or of each, lo and hi
    zero_point : zp, of the output

    Returns uint8 [N, C, H, W].
    """
    m = r.mult.astype(np.int64).reshape(1, -1, 1, 1)
    s = r.shift.astype(np.int64).reshape(1, -1, 1, 1)
    y = ((acc * m + (np.int64(1) << (s - 1))) >> s) + zero_point
    return np.asarray(np.clip(y, r.lo, r.hi), np.uint8)


def multiplier(ratio: float) -> tuple[int, int]:
    """(m, s) with m / 2**s nearest to ``ratio`` and m as large as 16 bits allow.

    Raises NumericError for a ratio above ``MAX_RATIO``: a caller then scales its accumulator.
    """
    if not 0 <= ratio <= MAX_RATIO:
        raise NumericError("requantization", f"factor {ratio:g} is outside 0..0.5")
    if ratio == 0:
        return 0, MAX_SHIFT
    shift = min(MAX_SHIFT, MULT_BITS - 1 - math.floor(math.log2(ratio)))
    m = round(ratio * 2.0**shift)
    if m >= 1 << MULT_BITS:
        m, shift = round(ratio * 2.0 ** (shift - 1)), shift - 1
    if shift < MIN_SHIFT:
        raise NumericError("requantization", f"factor {ratio:g} is outside 0..0.5")
    return m, shift


def constants(ratios: NDArray[np.float64] | float, lo: int = 0, hi: int = 255) -> Requant:
    """The Requant for one real factor, or for one per output channel."""
    pairs = [multiplier(float(r)) for r in np.atleast_1d(ratios)]
    return Requant(np.array([m for m, _ in pairs], np.uint16), np.array([s for _, s in pairs], np.uint8), lo, hi)
