"""Draws from a determinantal point process of a fixed size (Kulesza & Taskar 2012, algorithms 1 and 8): sets whose
items are unlike each other are likely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
LEAST = 1e-9
"""Least eigenvalue over the largest, so that a kernel has as many independent items as are wanted."""


def sampled(kernel: F64, size: int, rng: np.random.Generator) -> I64:
    """``size`` different items, ascending: int64.

    kernel : float64 [N, N], symmetric and positive semidefinite: the likeness of each two items
    """
    values, vectors = np.linalg.eigh(kernel)
    chosen = _eigenvectors(np.maximum(values, LEAST * values.max()), size, rng)
    space, items = vectors[:, chosen], list[int]()
    for left in range(size, 0, -1):
        weights = np.square(space).sum(1)
        weights[items] = 0
        items.append(int(rng.choice(len(kernel), p=weights / weights.sum())))
        pivot = int(np.abs(space[items[-1]]).argmax())
        rest = np.delete(space, pivot, 1)
        rest -= np.outer(space[:, pivot], np.delete(space[items[-1]], pivot) / space[items[-1], pivot])
        space = np.linalg.qr(rest)[0] if left > 1 else rest
    return np.sort(np.array(items, np.int64))


def _eigenvectors(values: F64, size: int, rng: np.random.Generator) -> list[int]:
    """Which eigenvectors span the space that items are drawn from: ``size`` of them, a set as likely as the
    product of its eigenvalues."""
    logs = np.log(values)
    sums = np.full((len(values) + 1, size + 1), -np.inf)  # logarithms of elementary symmetric polynomials
    sums[:, 0] = 0
    for n, log in enumerate(logs, 1):
        sums[n, 1:] = np.logaddexp(sums[n - 1, 1:], log + sums[n - 1, :-1])
    chosen: list[int] = []
    for n in range(len(values), 0, -1):
        left = size - len(chosen)
        if left and rng.random() < np.exp(logs[n - 1] + sums[n - 1, left - 1] - sums[n, left]):
            chosen.append(n - 1)
    return chosen
