"""How much a difference from the float network's outputs matters: the quantity that is minimized, and the quiet
figures that networks are compared by.

Outputs are the scores of *classes*, of which the highest counts, or *values*, each of which counts for itself.

The divergence of class probabilities alone misleads. A network that is sure of its classes has a softmax whose
gradients and curvature are 0, so every error seems free; one whose scores are all within a unit diverges little
whatever it answers. So the divergence is taken at a temperature at which the float network's softmax is neither
sure nor blind (``temperature``). That is 1 for networks trained on photographs of a thousand classes.

A few likely classes decide on a divergence, and whether two networks agree is one bit a picture; both scatter
between sets of few pictures. The quiet figures say what to expect of further pictures from the errors of all
scores, which scatter less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

OutputKind = Literal["classes", "values"]

SOFTENED = 4.0
"""Temperature of the softmax in ``Classes.score_error``, over the metric's own. It is so high that the errors of
hundreds of classes count, and not only those of the two most likely ones."""
UNDECIDED = (0.15, 0.6)
"""Least and largest mean undecidedness, 1 - sum(p^2), at which the softmax is left as it is; the largest is a
share of what equal probabilities have."""
RIVALS = 4
"""Classes behind the first one whose margins decide how often the first class is expected to change."""
LEAST_DOUBTED = 3.0
"""Pictures that are to be in doubt where changes of the first class are expected. Of few pictures hardly one is
within the errors of a tie, and whether one is decides on what is expected. So errors are taken larger until so
many are in doubt, and what follows from them smaller by the same factor: while few pictures are in doubt, their
number is in proportion to the errors (docs/decisions/0010)."""
MOST_WIDENED = 16.0
"""Largest such factor: margins far beyond the errors tell nothing of those that are close."""
STILL = 1e-6
"""An element of the outputs never changes if its deviation is below this share of its largest magnitude."""


def log_softmax(logits: NDArray[np.floating]) -> F64:
    """The logarithm of the softmax of each row: float64 [N, S], in nats."""
    z = logits.astype(np.float64)
    z = z - z.max(1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(1, keepdims=True)))


def divergences(reference: NDArray[np.floating], logits: NDArray[np.floating]) -> F64:
    """KL(softmax(reference) || softmax(logits)) of each picture, in nats.

    reference, logits : float [N, S]

    Returns float64 [N].
    """
    p, q = log_softmax(reference), log_softmax(logits)
    return np.asarray((np.exp(p) * (p - q)).sum(1))


def mean_kl(reference: NDArray[np.floating], logits: NDArray[np.floating]) -> float:
    """Mean over pictures of ``divergences``."""
    return float(divergences(reference, logits).mean())


def undecided(logits: F64) -> float:
    """Mean over pictures of 1 - sum(p^2), p being the softmax of float64 [N, S]: 0 where all are sure."""
    return float((1 - (np.exp(log_softmax(logits)) ** 2).sum(1)).mean())


def temperature(reference: NDArray[np.floating]) -> float:
    """What to divide scores float [N, S] by so that their softmax is undecided by ``UNDECIDED``, 1 if it is."""
    logits = reference.astype(np.float64)
    least, most = UNDECIDED[0] * (1 - 1 / logits.shape[1]), UNDECIDED[1] * (1 - 1 / logits.shape[1])
    found = undecided(logits)
    if least <= found <= most:
        return 1.0
    aim = least if found < least else most
    low, high = -30.0, 30.0  # of the natural logarithm of the temperature, along which undecidedness rises
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if undecided(logits / np.exp(middle)) < aim else (low, middle)
    return float(np.exp((low + high) / 2))


def relative_errors(
    reference: NDArray[np.floating], given: NDArray[np.floating], spread: F64 | None = None
) -> F64:
    """Root mean square over inputs of given - reference, over the spread: float64 [S].

    reference, given : float [N, S]
    spread : float64 [S], ``spreads`` of other inputs; None for that of ``reference``
    """
    errors = given.astype(np.float64) - reference
    return np.asarray(np.sqrt((errors**2).mean(0)) / (spreads(reference) if spread is None else spread))


def spreads(reference: NDArray[np.floating]) -> F64:
    """Standard deviation of each element of outputs float [N, S] across inputs: float64 [S].

    An element that never changes gets the largest deviation of all, and where no element changes, each gets its
    magnitude, or 1 if it is 0.
    """
    values = reference.astype(np.float64)
    deviation, magnitude = values.std(0), np.abs(values).max(0)
    moves = deviation > STILL * magnitude
    if moves.any():
        return np.asarray(np.where(moves, deviation, deviation[moves].max()))
    return np.asarray(np.where(magnitude > 0, magnitude, 1.0))


@dataclass(frozen=True, eq=False)
class Classes:
    """The metric of scores whose order counts.

    temperature : what scores are divided by before the softmax
    """

    temperature: float = 1.0

    def loss(self, reference: F32, given: F32) -> float:
        """Mean divergence in nats at the temperature, for scores float32 [N, S]."""
        return mean_kl(reference / self.temperature, given / self.temperature)

    def score_error(self, reference: F32, given: F32) -> float:
        """A figure like the loss, in nats, but one that scatters less between sets of few pictures.

        reference, given : float32 [N, S]

        To second order, the divergence is half the variance of the errors (given - reference) under the
        reference's softmax p. A few likely classes decide that variance, so it scatters. Here the variance is
        taken under a softer softmax (``SOFTENED``), and weighed by how undecided a picture is, 1 - sum(p^2).
        """
        scores = reference / self.temperature
        p, soft = np.exp(log_softmax(scores)), np.exp(log_softmax(scores / SOFTENED))
        errors = (given.astype(np.float64) - reference) / self.temperature
        variance = (soft * errors**2).sum(1) - (soft * errors).sum(1) ** 2
        return float((variance * (1 - (p**2).sum(1))).mean() / 2)

    def factor(self, reference: F64, scores: F64, shift: F64, factor: float) -> float:
        """One step of Newton's method, from ``factor``, towards the factor of ``scores`` that has the least loss
        when ``shift`` is added; scores float64 [N, S], shift float64 [S]."""
        wanted = np.exp(log_softmax(reference / self.temperature))
        given = np.exp(log_softmax((factor * scores + shift) / self.temperature))
        scaled = scores / self.temperature
        slope = ((given - wanted) * scaled).sum(1).mean()
        curvature = ((given * scaled**2).sum(1) - (given * scaled).sum(1) ** 2).mean()
        return factor - float(slope / max(curvature, 1e-12))


@dataclass(frozen=True, eq=False)
class Values:
    """The metric of outputs each of which counts for itself.

    spread : float64 [S], standard deviation of each across inputs
    weight : float64 [S], what the square of each one's error weighs in the loss, 1 on average
    """

    spread: F64
    weight: F64 | float = 1.0

    def loss(self, reference: F32, given: F32) -> float:
        """Half the mean squared error of float32 [N, S] relative to the spread, by weight."""
        return float((self.weight * relative_errors(reference, given, self.spread) ** 2).mean() / 2)

    def score_error(self, reference: F32, given: F32) -> float:
        """The loss: errors of values scatter little."""
        return self.loss(reference, given)

    def factor(self, reference: F64, scores: F64, shift: F64, factor: float) -> float:
        """The factor of ``scores``, float64 [N, S], with the least loss when the best shifts follow."""
        wanted, given = ((x - x.mean(0)) / self.spread for x in (reference, scores))
        square = float((given**2).sum())
        return float((wanted * given).sum()) / square if square > 0 else factor


Metric = Classes | Values


def metric_of(reference: F32, kind: OutputKind, sizes: Sequence[int] = ()) -> Metric:
    """The metric for a network whose float outputs are like ``reference``, float32 [N, S].

    sizes : how many elements each of several outputs has: all outputs together weigh the same
    """
    if kind == "classes":
        return Classes(temperature(reference))
    weight = np.repeat([sum(sizes) / (len(sizes) * n) for n in sizes], sizes) if len(sizes) > 1 else 1.0
    return Values(spreads(reference), weight)


def expected_changes(reference: F32, given: F32) -> float:
    """Share of pictures whose first class is expected to change, from the sizes of the errors and of the margins.

    reference, given : float32 [N, S], S > 1

    On each picture, the margins of the first class before the next ``RIVALS`` ones are taken to have normal errors
    of one deviation, that of all pictures' margins, or a larger one (``LEAST_DOUBTED``).
    """
    z, errors = reference.astype(np.float64), given.astype(np.float64) - reference
    order = np.argsort(-z, axis=1, kind="stable")[:, : RIVALS + 1]
    ranked, off = np.take_along_axis(z, order, 1), np.take_along_axis(errors, order, 1)
    margins, wrong = ranked[:, :1] - ranked[:, 1:], off[:, :1] - off[:, 1:]
    deviation = float(np.sqrt((wrong**2).mean()))
    factor = _widened(margins, deviation)
    return float(_doubts(margins, factor * deviation).mean() / factor)


def expected_losses(reference: F32, given: F32, labels: NDArray[np.int64]) -> F64:
    """For each picture, 1 if the float network is right, minus the probability that the compressed one is, with
    errors as in ``expected_changes``: float64 [N]. Their mean is the accuracy that is expected to be lost.

    labels : int64 [N]
    """
    z, errors = reference.astype(np.float64), given.astype(np.float64) - reference
    rows = np.arange(len(z))
    others = z.copy()
    others[rows, labels] = -np.inf
    rival = others.argmax(1)
    margins = z[rows, labels] - z[rows, rival]
    wrong = errors[rows, labels] - errors[rows, rival]
    deviation = float(np.sqrt((wrong**2).mean()))
    factor = _widened(np.abs(margins)[:, None], deviation)
    return np.asarray(((margins > 0) - _normal(margins, factor * deviation)) / factor)


def _widened(margins: F64, deviation: float) -> float:
    """How many times larger errors of this deviation are to be taken, so that ``LEAST_DOUBTED`` pictures with
    these margins, float64 [N, R], are in doubt; at most ``MOST_WIDENED`` times."""
    factor = 1.0
    while factor < MOST_WIDENED and _doubts(margins, factor * deviation).sum() < LEAST_DOUBTED:
        factor *= 2**0.25
    return factor


def _doubts(margins: F64, deviation: float) -> F64:
    """Of each picture, the probability that one of its margins, float64 [N, R], is lost to an error of this
    deviation: float64 [N]."""
    return np.asarray(1 - _normal(margins, deviation).prod(1))


def _normal(margins: F64, deviation: float) -> F64:
    """Probability that margins stay positive when a normal error of this deviation is added."""
    if deviation == 0:
        return (margins >= 0).astype(np.float64)
    return np.asarray(0.5 * (1 + np.vectorize(erf)(margins / (deviation * sqrt(2)))))
