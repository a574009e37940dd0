"""How far a compiled network's answers are from the float network's, on the same pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.intervals import Interval, mcnemar, mean_intervals, share_interval

SOFTENED = 4.0
"""Temperature of the softmax in ``score_error``. It is so high that the errors of hundreds of classes count, and
not only those of the two most likely ones."""


@dataclass(frozen=True)
class Accuracy:
    """Fractions of pictures whose label has the highest score, or one of the five highest."""

    top1: float
    top5: float


@dataclass(frozen=True)
class Change:
    """Paired change of the top-1 accuracy, compressed network minus float network.

    value : (gained - lost) / n
    interval : 95 % interval of ``value``, by bootstrap over pictures
    lost : pictures that only the float network gets right
    gained : pictures that only the compressed network gets right
    p : two-sided p of McNemar's exact test
    """

    value: float
    interval: Interval
    lost: int
    gained: int
    p: float


@dataclass(frozen=True)
class Fidelity:
    """Figures over n pictures, with 95 % intervals (see ``intervals``).

    agreement : fraction of pictures for which both networks have the same first class
    mean_kl : mean over pictures of KL(softmax(float) || softmax(compressed)), in nats
    score_error : mean error of the scores, as the function of that name defines it, in nats
    float_, compressed : accuracies of the two networks, None without labels
    top1_change : change between the two, None without labels
    """

    n: int
    agreement: float
    agreement_interval: Interval
    mean_kl: float
    mean_kl_interval: Interval
    score_error: float
    float_: Accuracy | None = None
    compressed: Accuracy | None = None
    top1_change: Change | None = None

    def to_json(self) -> dict[str, Any]:
        """The figures that are known, but for ``score_error``, under stable keys."""
        known = {key.rstrip("_"): value for key, value in asdict(self).items() if value is not None}
        del known["score_error"]
        if "top1_change" in known:
            known["top1_change"]["mcnemar_p"] = known["top1_change"].pop("p")
        return known


def ranking(scores: NDArray[Any], k: int = 5) -> NDArray[np.int64]:
    """The k best classes of each row, best first; the lower index wins a tie. int64 [N, k]."""
    return np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :k]


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """The logarithm of the softmax of each row: float64 [N, S], in nats."""
    z = logits.astype(np.float64)
    z = z - z.max(1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(1, keepdims=True)))


def divergences(reference: NDArray[np.float32], logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """KL(softmax(reference) || softmax(logits)) of each picture, in nats.

    reference, logits : float32 [N, S]

    Returns float64 [N].
    """
    p, q = log_softmax(reference), log_softmax(logits)
    return np.asarray((np.exp(p) * (p - q)).sum(1))


def mean_kl(reference: NDArray[np.float32], logits: NDArray[np.float32]) -> float:
    """Mean over pictures of ``divergences``."""
    return float(divergences(reference, logits).mean())


def score_error(reference: NDArray[np.float32], logits: NDArray[np.float32]) -> float:
    """A figure like the mean divergence in nats, but one that scatters less between sets of few pictures.

    reference, logits : float32 [N, S]

    To second order, the divergence is half the variance of the errors (logits - reference) under the reference's
    softmax p. A few likely classes decide that variance, so it scatters. Here the variance is taken under a softer
    softmax (``SOFTENED``), and weighed by how undecided a picture is, 1 - sum(p^2).
    """
    p, soft = np.exp(log_softmax(reference)), np.exp(log_softmax(reference / SOFTENED))
    errors = logits.astype(np.float64) - reference
    variance = (soft * errors**2).sum(1) - (soft * errors).sum(1) ** 2
    return float((variance * (1 - (p**2).sum(1))).mean() / 2)


def fidelity(
    reference: NDArray[np.float32],
    scores: NDArray[Any],
    score_scale: float,
    labels: NDArray[np.int64] | None = None,
) -> Fidelity:
    """Compare the float network's logits with a compressed network's scores, on the same N >= 1 pictures.

    reference : float32 [N, S]
    scores : integers or logits [N, S]
    score_scale : real value of one unit of a score
    labels : int64 [N], class of each picture, or None if accuracies are not asked for
    """
    ours, theirs = ranking(scores), ranking(reference)
    n, same = len(ours), int((ours[:, 0] == theirs[:, 0]).sum())
    logits = (scores * score_scale).astype(np.float32)
    kl, error = divergences(reference, logits), score_error(reference, logits)
    share = share_interval(same, n)
    if labels is None:
        (kl_interval,) = mean_intervals(kl[:, None])
        return Fidelity(n, same / n, share, float(kl.mean()), kl_interval, error)
    before, after = theirs[:, 0] == labels, ours[:, 0] == labels
    kl_interval, interval = mean_intervals(np.stack([kl, after.astype(np.float64) - before], axis=1))
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    change = Change((gained - lost) / n, interval, lost, gained, mcnemar(lost, gained))
    accuracies = _accuracy(theirs, labels), _accuracy(ours, labels)
    return Fidelity(n, same / n, share, float(kl.mean()), kl_interval, error, *accuracies, change)


def _accuracy(ranks: NDArray[np.int64], labels: NDArray[np.int64]) -> Accuracy:
    hits = ranks == labels[:, None]
    return Accuracy(float(hits[:, 0].mean()), float(hits.any(1).mean()))
