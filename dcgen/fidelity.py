"""How far a compiled network's answers are from the float network's, on the same pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Accuracy:
    """Fractions of pictures whose label is the first, or among the first five."""

    top1: float
    top5: float


@dataclass(frozen=True)
class Fidelity:
    """Figures over n pictures.

    agreement : fraction with the same first class
    mean_kl : mean KL(softmax(float) || softmax(compressed)) in nats
    """

    n: int
    agreement: float
    mean_kl: float
    float_: Accuracy | None = None
    compressed: Accuracy | None = None

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"n": self.n, "agreement": self.agreement, "mean_kl": self.mean_kl}
        for key, accuracy in (("float", self.float_), ("compressed", self.compressed)):
            if accuracy is not None:
                data[key] = {"top1": accuracy.top1, "top5": accuracy.top5}
        return data


def ranking(scores: NDArray[Any], k: int = 5) -> NDArray[np.int64]:
    """The k best classes of each row, best first; the lower index wins a tie. int64 [N, k]."""
    return np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :k]


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64 [N, S] in nats."""
    z = logits.astype(np.float64)
    z = z - z.max(1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(1, keepdims=True)))


def mean_kl(reference: NDArray[np.float32], logits: NDArray[np.float32]) -> float:
    """Mean over pictures of KL(softmax(reference) || softmax(logits)) in nats; both [N, S]."""
    p, q = log_softmax(reference), log_softmax(logits)
    return float((np.exp(p) * (p - q)).sum(1).mean())


def fidelity(
    reference: NDArray[np.float32],
    scores: NDArray[np.int32],
    score_scale: float,
    labels: NDArray[np.int64] | None = None,
) -> Fidelity:
    """Compare float logits with integer scores, both [N, S].

    score_scale : real value of one unit of a score
    labels : class of each picture, for accuracies
    """
    ours, theirs = ranking(scores), ranking(reference)
    agreement = float((ours[:, 0] == theirs[:, 0]).mean())
    kl = mean_kl(reference, (scores * score_scale).astype(np.float32))
    if labels is None:
        return Fidelity(len(ours), agreement, kl)
    return Fidelity(len(ours), agreement, kl, _accuracy(theirs, labels), _accuracy(ours, labels))


def _accuracy(ranks: NDArray[np.int64], labels: NDArray[np.int64]) -> Accuracy:
    hits = ranks == labels[:, None]
    return Accuracy(float(hits[:, 0].mean()), float(hits.any(1).mean()))
