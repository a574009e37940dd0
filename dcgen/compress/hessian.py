"""The second moments of what a convolution reads, over pictures and output places: the Hessian of its squared
error.

A convolution multiplies its weights with the patch of its input at each output place. In the float network,
weights W give the outputs W x of patches x. In the quantized network, weights Q give the outputs Q x' of patches
x' that differ from x. The mean squared difference is tr((T - Q) H (T - Q)^T) and a constant, where H is the
matrix of second moments of x', and T = W E[x x'^T] H^-1 is the regression of W x on x' (Hassibi & Stork 1993;
Frantar & Alistarh 2022, section 3). All moments are taken about the means, because the bias makes up for a
change of these (Nagel et al. 2019, section 4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dcgen.ahead import in_turn
from dcgen.ir.graph import F32, F64, Conv, Graph

PLACES = 256
"""Most output places of a picture that count towards a layer's moments, drawn at random once for each layer;
half as many where mirror images count as well."""
DAMPING = 0.01
"""Least share of the mean variance of a layer's inputs that is added to the variance of each, so that no change of
a weight is without cost and H has an inverse. Of few patches more is added, see ``shrinkage``."""
MOST_SHRINKAGE = 0.99
"""Largest share, 0 to 1, of a measured covariance that is replaced by its mean variance times the identity: at
least a hundredth stays as it was measured."""


@dataclass(frozen=True, eq=False)
class Moments:
    """The moments of the patches of one convolution: G groups of D = I/G * KH * KW inputs, in I, KH, KW order.

    hessian : float64 [G, D, D], covariance of the quantized network's patches, damped
    cross : float64 [G, D, D], covariance of the float network's patches (rows) with the quantized network's
        (columns), damped likewise; the same array as ``hessian`` where both networks are the same before the
        convolution
    mean, mean_float : float64 [G, D], mean patch of the quantized and of the float network
    """

    hessian: F64
    cross: F64
    mean: F64
    mean_float: F64

    def targets(self, conv: Conv) -> F64:
        """T, the real weights whose outputs come closest to the float network's: float64 [G, R, D], R = O/G."""
        w = rows(conv)
        if self.cross is self.hessian:
            return w
        drift = w @ (self.cross - self.hessian)
        return np.asarray(w + np.linalg.solve(self.hessian, drift.transpose(0, 2, 1)).transpose(0, 2, 1))

    def bias(self, conv: Conv, quantized: F64) -> F32:
        """The bias that keeps the mean outputs with the weights ``quantized``, float64 [G, R, D]: float32 [O]."""
        kept = (rows(conv) * self.mean_float[:, None]).sum(2) - (quantized * self.mean[:, None]).sum(2)
        return np.asarray(conv.bias + kept.reshape(-1), np.float32)


def rows(conv: Conv) -> F64:
    """The float weights as float64 [G, O/G, I/G * KH * KW]."""
    w = conv.weight.values.astype(np.float64)
    return w.reshape(conv.groups, len(w) // conv.groups, -1)


def patches(x: F32, conv: Conv, places: np.ndarray, width: int) -> F32:
    """The patches that a convolution reads at some output places: float32 [G, B * P, D].

    x : float32 [B, C, H, W]
    places : int [P], y * width + x of the places in the output plane
    width : of the output plane
    """
    top, left, bottom, right = conv.pads
    padded = x
    if any(conv.pads):
        b, c, h, w = x.shape
        padded = np.zeros((b, c, h + top + bottom, w + left + right), np.float32)
        padded[:, :, top : top + h, left : left + w] = x
    windows = sliding_window_view(padded, conv.extent, (2, 3))[..., :: conv.dilation[0], :: conv.dilation[1]]
    ys, xs = places // width * conv.stride[0], places % width * conv.stride[1]
    found = windows[:, :, ys, xs]  # B, C, P, KH, KW
    b, c, p = found.shape[:3]
    grouped = found.reshape(b, conv.groups, c // conv.groups, p, -1).transpose(1, 0, 3, 2, 4)
    return np.ascontiguousarray(grouped).reshape(conv.groups, b * p, -1)


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over the patches of one batch.

    rows : number of patches, B * P
    total, total_float : float64 [G, D], sums of the patches of the quantized and of the float network
    square : float32 [G, D, D], products of the quantized network's patches with themselves
    cross : float32 [G, D, D], products of the float network's patches (rows) with the quantized network's

    ``total_float`` and ``cross`` are None where both networks give the convolution the same array.
    """

    rows: int
    total: F64
    square: F32
    total_float: F64 | None = None
    cross: F32 | None = None


class Observation:
    """What one convolution reads, summed up batch by batch: in float64, the products within a batch in float32.

    name : of the Conv node
    places : output places of a picture that count, at most
    """

    def __init__(self, graph: Graph, name: str, places: int) -> None:
        conv = graph.by_name[name].op
        assert isinstance(conv, Conv)
        _, height, self._width = graph.shapes[name]
        drawn = np.random.default_rng(0).permutation(height * self._width)[:places]
        self._conv, self._places = conv, np.sort(drawn)
        g, d = conv.groups, int(np.prod(conv.weight.values.shape[1:]))
        self._rows = 0
        self._same = True  # whether both networks gave the same array in every batch
        self._total, self._total_float = np.zeros((g, d)), np.zeros((g, d))
        self._square, self._cross = np.zeros((g, d, d)), np.zeros((g, d, d))

    def sums(self, floats: F32, quantized: F32) -> Sums:
        """The sums of a batch.

        floats, quantized : what the convolution reads in the float and in the quantized network, float32
            [B, C, H, W]
        """
        x = patches(quantized, self._conv, self._places, self._width)
        total, square = x.sum(1, np.float64), x.transpose(0, 2, 1) @ x
        if floats is quantized:
            return Sums(x.shape[1], total, square)
        y = patches(floats, self._conv, self._places, self._width)
        return Sums(x.shape[1], total, square, y.sum(1, np.float64), y.transpose(0, 2, 1) @ x)

    def add(self, sums: Sums) -> None:
        """Add the sums of a batch."""
        if self._same and sums.cross is not None:
            self._same = False
            self._cross[:], self._total_float[:] = self._square, self._total
        self._rows += sums.rows
        self._total += sums.total
        self._square += sums.square
        if not self._same:
            self._total_float += sums.total if sums.total_float is None else sums.total_float
            self._cross += sums.square if sums.cross is None else sums.cross

    def moments(self) -> Moments:
        """The moments over all batches that were added."""
        mean = self._total / self._rows
        hessian = self._square / self._rows - mean[:, :, None] * mean[:, None]
        d = mean.shape[1]
        variance, level = np.einsum("gdd->g", hessian) / d, (mean**2).mean(1)
        drawn = shrinkage(hessian, self._rows)
        share = np.maximum(DAMPING, drawn / (1 - drawn))
        scale = ((1 + DAMPING) / (1 + share))[:, None, None]  # what is added leaves the errors' size as it is
        # Where inputs hardly vary about a large mean, their variance is mostly float32 rounding of the products.
        damping = np.maximum(share * variance, (1e-4 + 4e-6 * d) * level)
        damping = np.where(damping > 0, damping, 1.0)[:, None, None] * np.eye(d)  # inputs may all be 0
        if self._same:
            damped = (hessian + damping) * scale
            return Moments(damped, damped, mean, mean)
        mean_float = self._total_float / self._rows
        cross = self._cross / self._rows - mean_float[:, :, None] * mean[:, None]
        return Moments((hessian + damping) * scale, (cross + damping) * scale, mean, mean_float)


def shrinkage(covariance: F64, rows: int) -> F64:
    """How far each covariance, float64 [G, D, D] of ``rows`` samples, is to be drawn towards the mean variance
    times the identity to come closest to the true one: shares float64 [G], 0 to ``MOST_SHRINKAGE``.

    It is the oracle approximating shrinkage of Chen, Wiesel, Eldar & Hero 2010. Of few samples, directions in
    which a layer's inputs seem not to vary would get errors that other pictures show.
    """
    d = covariance.shape[1]
    trace, square = np.einsum("gdd->g", covariance), (covariance**2).sum((1, 2))
    told = (rows + 1 - 2 / d) * (square - trace**2 / d)
    wanted = (1 - 2 / d) * square + trace**2
    share = np.divide(wanted, told, out=np.ones_like(told), where=told > 1e-12 * square)
    return np.asarray(np.where(trace > 0, np.clip(share, 0, MOST_SHRINKAGE), 0.0))


def observe(
    graph: Graph,
    group: Iterable[str],
    batches: Iterable[Mapping[str, tuple[F32, F32]]],
    done: Callable[[int], None],
    places: int = PLACES,
) -> dict[str, Observation]:
    """The observations of the convolutions ``group``, by name.

    batches : what they read, by tensor name, in the float and in the quantized network, float32 [B, C, H, W]
    done : called after each batch with the number of its pictures
    places : output places of a picture that count, at most
    """
    found = {name: Observation(graph, name, places) for name in group}

    def sums(batch: Mapping[str, tuple[F32, F32]]) -> tuple[int, list[Sums]]:
        count = len(next(iter(batch.values()))[0])
        return count, [o.sums(*batch[graph.by_name[name].inputs[0]]) for name, o in found.items()]

    # Sums are made on all cores but added in the order of the batches, so that they are repeatable.
    for count, batch_sums in in_turn(sums, batches):
        for o, s in zip(found.values(), batch_sums, strict=True):
            o.add(s)
        done(count)
    return found
