"""Weight sharing by k-means (Han et al. 2016, section 3): a layer's weights are replaced by few levels."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from dcgen.compress.uniform import levels_of
from dcgen.ir.graph import F32, F64, Levels

MOST_INTEGER = 255
"""Largest integer of a quantizer's weight, its zero point taken off."""
EXACT = 1e-3
"""Largest distance from an integer at which a weight in steps is one, as products in float32 are not exact."""

Init = Literal["linear", "density", "forgy"]


def kmeans(samples: F64, centroids: F64, iterations: int = 50) -> F64:
    """Centroids after Lloyd's algorithm in one dimension: float64 [K], ascending.

    samples : float64 [N]
    centroids : float64 [K], those to start with; a centroid to which no sample is nearest stays where it is
    """
    x = np.sort(samples)
    sums = np.concatenate([[0.0], np.cumsum(x)])
    c = np.sort(centroids)
    for _ in range(iterations):
        bounds = np.searchsorted(x, (c[1:] + c[:-1]) / 2)
        ends = np.concatenate([[0], bounds, [len(x)]])
        counts = np.diff(ends)
        moved = np.where(counts > 0, np.diff(sums[ends]) / np.maximum(counts, 1), c)
        moved.sort()
        if np.array_equal(moved, c):
            break
        c = moved
    return c


def initial(samples: F64, k: int, init: Init, rng: np.random.Generator) -> F64:
    """Starting centroids (Han et al. 2016, section 3.1), float64 [k], by ``init``.

    linear : equally spaced between the least and the largest sample
    density : equally spaced in the cumulative distribution
    forgy : k samples drawn at random
    """
    if init == "linear":
        return np.linspace(samples.min(), samples.max(), k)
    if init == "density":
        return np.quantile(samples, (np.arange(k) + 0.5) / k)
    return rng.choice(samples, k, replace=len(samples) < k)


def share(values: F32, bits: int, init: Init, rng: np.random.Generator) -> Levels:
    """Weights replaced by at most 2**bits levels. Zero is one of them, for pruned weights.

    values : float32 OIHW; zeros stay zero, every other weight takes its nearest centroid. Weights that have no
        more levels already keep these
    """
    if (found := existing(values)) is not None and len(found.codebook) <= 2**bits:
        return found
    flat = values.astype(np.float64).ravel()
    kept = flat[flat != 0]
    k = 2**bits - 1
    centroids = np.unique(kmeans(kept, initial(kept, k, init, rng)))
    nearest = np.searchsorted((centroids[1:] + centroids[:-1]) / 2, flat) + 1
    nearest[flat == 0] = 0
    used, indices = np.unique(np.concatenate([[0], nearest]), return_inverse=True)
    book = np.concatenate([[0.0], centroids])[used]
    return Levels(book, indices[1:].reshape(values.shape).astype(np.uint8))


def fewest_levels(values: F32) -> Levels | None:
    """The levels that weights come with, float32 OIHW: their values, or integers with a scale for each output
    channel, whichever are fewer. None where they have neither."""
    found = [levels for levels in (existing(values), of_channels(values)) if levels is not None]
    return min(found, key=lambda levels: len(levels.codebook), default=None)


def existing(values: F32) -> Levels | None:
    """The levels of weights that are shared already: at most 256 different values, zero counted. None for others.

    values : float32 OIHW; the codebook lists zero first, then the other values ascending
    """
    book, indices = np.unique(np.concatenate([[np.float32(0)], values.ravel()]), return_inverse=True)
    if len(book) > 256:
        return None
    zero = int(indices[0])
    order = np.concatenate([[zero], np.delete(np.arange(len(book)), zero)])
    rank = np.empty(len(book), np.uint8)
    rank[order] = np.arange(len(book))
    return Levels(book[order].astype(np.float64), rank[indices[1:]].reshape(values.shape))


def of_channels(values: F32) -> Levels | None:
    """The levels of weights of which each output channel holds integers times a step of its own, as 8-bit
    quantizers make them. None for others.

    values : float32 OIHW; the codebook lists the integers, -255 to 255, zero first; the steps are the channels'
        scales, each the largest that serves
    """
    rows = values.reshape(len(values), -1).astype(np.float64)
    largest = np.abs(rows).max(1)
    steps, integers = np.ones(len(rows)), np.zeros(rows.shape)
    left = largest > 0
    for top in range(1, MOST_INTEGER + 1):
        step = np.where(left, largest, 1.0) / top
        multiples = rows / step[:, None]
        fits = left & (np.abs(multiples - np.rint(multiples)).max(1) < EXACT)
        steps[fits], integers[fits] = step[fits], np.rint(multiples[fits])
        left &= ~fits
        if not left.any():
            break
    used = np.unique(integers)
    if left.any() or len(used[used != 0]) > 255:
        return None
    found = levels_of(integers.astype(np.int16).reshape(values.shape), 1.0)
    return replace(found, channel_scale=steps)
