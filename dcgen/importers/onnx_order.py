"""The order of elements behind Transpose and Reshape, as arithmetic on shapes: nothing is moved.

Every axis of a tensor is a list of factors (size, stride), the slowest first: an element's place among those of
the tensor that holds them is the sum of its indices along all factors, each times its stride. A transposition
permutes axes, a reshape cuts the same list of factors into other axes. A tensor (N, C, H, W) that is kept in C
order has the axes [(N, CHW)], [(C, HW)], [(H, W)], [(W, 1)]; its channel-last form has the same ones in the
order N, H, W, C; and a flattened channel-last form the axes [(N, CHW)] and [(HW, 1), (C, HW)].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Dims = tuple[int, ...]
Axis = tuple[tuple[int, int], ...]
"""Factors (size, stride) of an axis, slowest first, each larger than 1: an axis of size 1 has none."""
Axes = tuple[Axis, ...]
CHANNEL_LAST = (0, 2, 3, 1)
"""Which of (N, C, H, W) each axis is where channels are last, as Keras has them."""
TO_CHANNEL_FIRST = (0, 3, 1, 2)
"""Which axis of a channel-last tensor each of (N, C, H, W) is: the inverse of ``CHANNEL_LAST``."""


def in_order(dims: Dims) -> Axes:
    """The axes of a tensor of these dimensions whose elements lie in C order."""
    return tuple(((n, math.prod(dims[i + 1 :])),) if n != 1 else () for i, n in enumerate(dims))


def dims_of(axes: Axes) -> Dims:
    """The size of each axis."""
    return tuple(math.prod(n for n, _ in axis) for axis in axes)


def transposed(axes: Axes, perm: Sequence[int]) -> Axes:
    """The axes in the order ``perm``."""
    return tuple(axes[i] for i in perm)


def reshaped(axes: Axes, dims: Dims) -> Axes | None:
    """The same elements in the same order with other dimensions, which have as many of them.

    None where an axis would hold a part of a factor that is no slice of it.
    """
    rest = list(_merged([factor for axis in axes for factor in axis]))
    found: list[Axis] = []
    for size in dims:
        axis = []
        while size != 1:
            if not rest:
                return None
            n, stride = rest.pop(0)
            if size % n == 0:
                axis.append((n, stride))
                size //= n
            elif n % size == 0:
                axis.append((size, stride * (n // size)))
                rest.insert(0, (n // size, stride))
                size = 1
            else:
                return None
        found.append(_merged(axis))
    return tuple(found) if not rest else None


def places(axes: Axes) -> NDArray[np.int64]:
    """For each element in the order of ``axes``, its place in the tensor that holds it: int64 of one axis."""
    found = np.zeros(1, np.int64)
    for n, stride in (factor for axis in axes for factor in axis):
        found = (found[:, None] + np.arange(n) * stride).reshape(-1)
    return found


def inverse(perm: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes ``perm``."""
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


def _merged(factors: Sequence[tuple[int, int]]) -> Axis:
    """The factors with each pair that is one longer run of elements made one."""
    found: list[tuple[int, int]] = []
    for n, stride in factors:
        if found and found[-1][1] == n * stride:
            found[-1] = (found[-1][0] * n, stride)
        else:
            found.append((n, stride))
    return tuple(found)
