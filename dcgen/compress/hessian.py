"""What a convolution reads, as second moments over pictures and places: the Hessian of its squared error.

For outputs W x over patches x of the float network, the squared error of weights Q on the patches x' of
a quantized one is, but for a constant, tr((T - Q) H (T - Q)^T): H are the moments of x' and T is the
regression of W x on x' (Hassibi & Stork 1993; Frantar & Alistarh 2022, section 3). All moments are taken
about the means, because a bias makes up for those (Nagel et al. 2019, section 4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dcgen.ahead import in_turn
from dcgen.ir.graph import F32, F64, Conv, Graph

PLACES = 256
"""Output places of a picture that count towards a layer's moments, drawn once a layer; half of them where its
mirror image counts as well."""
DAMPING = 0.01
"""Share of the mean variance that is added to every variance: no input is ever free."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of the patches of one convolution: G groups of D = I/G * KH * KW inputs, in I, KH, KW order.

    hessian : float64 [G, D, D], covariance of the quantized network's patches, damped
    cross : float64 [G, D, D], covariance of the float network's patches (rows) with those, damped
    mean, mean_float : float64 [G, D]
    """

    hessian: F64
    cross: F64
    mean: F64
    mean_float: F64

    def targets(self, conv: Conv) -> F64:
        """T, the weights whose outputs come closest to the float ones: float64 [G, R, D], R = O/G."""
        w = rows(conv)
        if self.cross is self.hessian:
            return w
        drift = w @ (self.cross - self.hessian)
        return np.asarray(w + np.linalg.solve(self.hessian, drift.transpose(0, 2, 1)).transpose(0, 2, 1))

    def bias(self, conv: Conv, quantized: F64) -> F32:
        """The bias with which ``quantized`` (float64 [G, R, D]) keeps the mean outputs: float32 [O]."""
        kept = (rows(conv) * self.mean_float[:, None]).sum(2) - (quantized * self.mean[:, None]).sum(2)
        return np.asarray(conv.bias + kept.reshape(-1), np.float32)


def rows(conv: Conv) -> F64:
    """The float weights as float64 [G, O/G, I/G * KH * KW]."""
    w = conv.weight.values.astype(np.float64)
    return w.reshape(conv.groups, len(w) // conv.groups, -1)


def patches(x: F32, conv: Conv, places: np.ndarray, width: int) -> F32:
    """The inputs of a convolution at some output places: float32 [G, B * P, D].

    x : float32 [B, C, H, W]
    places : int [P], indices into the output plane of the given width
    """
    top, left, bottom, right = conv.pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = sliding_window_view(padded, conv.kernel, (2, 3))
    ys, xs = places // width * conv.stride[0], places % width * conv.stride[1]
    found = windows[:, :, ys, xs]  # B, C, P, KH, KW
    b, c, p = found.shape[:3]
    grouped = found.reshape(b, conv.groups, c // conv.groups, p, -1).transpose(1, 0, 3, 2, 4)
    return np.ascontiguousarray(grouped).reshape(conv.groups, b * p, -1)


@dataclass(frozen=True, eq=False)
class Sums:
    """Of the patches of one batch, over B * P rows.

    mean, mean_float : float64 [G, D], of the quantized and of the float network
    square, cross : float32 [G, D, D], products of the quantized network's with themselves, and of the float
        network's (rows) with those
    ``mean_float`` and ``cross`` are None where both networks have put the same there.
    """

    rows: int
    mean: F64
    square: F32
    mean_float: F64 | None = None
    cross: F32 | None = None


class Observation:
    """Running sums of one convolution's moments: float64, over float32 products of a batch."""

    def __init__(self, graph: Graph, name: str, places: int) -> None:
        conv = graph.by_name[name].op
        assert isinstance(conv, Conv)
        _, height, self._width = graph.shapes[name]
        drawn = np.random.default_rng(0).permutation(height * self._width)[:places]
        self._conv, self._places = conv, np.sort(drawn)
        g, d = conv.groups, int(np.prod(conv.weight.values.shape[1:]))
        self._rows = 0
        self._same = True  # whether both networks have put the same there in every batch
        self._mean, self._mean_float = np.zeros((g, d)), np.zeros((g, d))
        self._square, self._cross = np.zeros((g, d, d)), np.zeros((g, d, d))

    def sums(self, one: F32, two: F32) -> Sums:
        """Of a batch: what the float and the quantized network put there, float32 [B, C, H, W]."""
        x = patches(two, self._conv, self._places, self._width)
        mean, square = x.sum(1, np.float64), x.transpose(0, 2, 1) @ x
        if one is two:
            return Sums(x.shape[1], mean, square)
        y = patches(one, self._conv, self._places, self._width)
        return Sums(x.shape[1], mean, square, y.sum(1, np.float64), y.transpose(0, 2, 1) @ x)

    def add(self, sums: Sums) -> None:
        """Another batch's."""
        if self._same and sums.cross is not None:
            self._same = False
            self._cross[:], self._mean_float[:] = self._square, self._mean
        self._rows += sums.rows
        self._mean += sums.mean
        self._square += sums.square
        if not self._same:
            self._mean_float += sums.mean if sums.mean_float is None else sums.mean_float
            self._cross += sums.square if sums.cross is None else sums.cross

    def moments(self) -> Moments:
        """The moments over all that was added."""
        mean = self._mean / self._rows
        hessian = self._square / self._rows - mean[:, :, None] * mean[:, None]
        d = mean.shape[1]
        variance, level = np.einsum("gdd->g", hessian) / d, (mean**2).mean(1)
        # Where inputs hardly vary, what is left of them is float32 rounding of their level.
        least = (1e-4 + 4e-6 * d) * level + 1e-12
        damping = np.maximum(DAMPING * variance, least)[:, None, None] * np.eye(d)
        if self._same:
            damped = hessian + damping
            return Moments(damped, damped, mean, mean)
        mean_float = self._mean_float / self._rows
        cross = self._cross / self._rows - mean_float[:, :, None] * mean[:, None]
        return Moments(hessian + damping, cross + damping, mean, mean_float)


def observe(
    graph: Graph,
    group: Iterable[str],
    batches: Iterable[Mapping[str, tuple[F32, F32]]],
    done: Callable[[int], None],
    places: int = PLACES,
) -> dict[str, Observation]:
    """The inputs of the convolutions of ``group``, observed over batches of (float, quantized) tensors.

    done : told of the pictures of each batch
    places : of each picture that count, at most
    """
    found = {name: Observation(graph, name, places) for name in group}

    def sums(batch: Mapping[str, tuple[F32, F32]]) -> tuple[int, list[Sums]]:
        count = len(next(iter(batch.values()))[0])
        return count, [o.sums(*batch[graph.by_name[name].inputs[0]]) for name, o in found.items()]

    for count, batch_sums in in_turn(sums, batches):  # added in order, whoever was ready first
        for o, s in zip(found.values(), batch_sums, strict=True):
            o.add(s)
        done(count)
    return found
