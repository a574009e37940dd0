"""How far a compiled network's answers are from the float network's, on the same pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.intervals import Interval, mcnemar, mean_intervals, share_interval
from dcgen.metric import OutputKind, divergences, relative_errors


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
class Agreement:
    """Figures of scores whose order counts, with 95 % intervals (see ``intervals``).

    agreement : fraction of pictures for which both networks have the same first class
    mean_kl : mean over pictures of KL(softmax(float) || softmax(compressed)), in nats
    float_, compressed : accuracies of the two networks, None without labels
    top1_change : change between the two, None without labels
    """

    agreement: float
    agreement_interval: Interval
    mean_kl: float
    mean_kl_interval: Interval
    float_: Accuracy | None = None
    compressed: Accuracy | None = None
    top1_change: Change | None = None

    def to_json(self) -> dict[str, Any]:
        """The figures that are known, under stable keys."""
        known = {key.rstrip("_"): value for key, value in asdict(self).items() if value is not None}
        if "top1_change" in known:
            known["top1_change"]["mcnemar_p"] = known["top1_change"].pop("p")
        return known


@dataclass(frozen=True)
class OutputFigures:
    """Figures of one output, where a softmax or argmax behind it was left to the host, of what is in front.

    shape : of the output for one picture
    relative_error : for each element, the root mean square of the difference from the float network over that
        element's standard deviation across pictures; the largest of these
    classes : None where the output is values
    """

    name: str
    shape: tuple[int, ...]
    relative_error: float
    classes: Agreement | None = None


@dataclass(frozen=True)
class Fidelity:
    """Figures over n pictures."""

    n: int
    outputs: tuple[OutputFigures, ...]

    @property
    def classes(self) -> Agreement | None:
        """The figures of the only output, None where it is values or there are several."""
        return self.outputs[0].classes if len(self.outputs) == 1 else None

    def to_json(self) -> dict[str, Any]:
        """The figures that are known, under stable keys: those of the classes of the only output stand alone, of
        several each output has its own."""
        known: dict[str, Any] = {"n": self.n, **(self.classes.to_json() if self.classes else {})}
        known["outputs"] = [
            {
                "name": o.name,
                "shape": list(o.shape),
                "kind": "values" if o.classes is None else "classes",
                "relative_error": o.relative_error,
                **(o.classes.to_json() if o.classes and len(self.outputs) > 1 else {}),
            }
            for o in self.outputs
        ]
        return known


def ranking(scores: NDArray[Any], k: int = 5) -> NDArray[np.int64]:
    """The k best classes of each row, best first; the lower index wins a tie. int64 [N, k]."""
    return np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :k]


def fidelity(
    reference: NDArray[np.float32],
    scores: NDArray[Any],
    score_scale: float | NDArray[np.float64],
    labels: NDArray[np.int64] | None = None,
    *,
    kinds: Sequence[OutputKind] = ("classes",),
    outputs: Mapping[str, tuple[int, ...]] | None = None,
) -> Fidelity:
    """Compare the float network's outputs with a compressed network's, on the same N >= 1 pictures.

    reference : float32 [N, S], the outputs one behind the other
    scores : integers or real numbers [N, S]
    score_scale : real value of one unit of a score, or of each score, float64 [S]
    labels : int64 [N], class of each picture in the outputs that are classes, or None if accuracies are not asked
        for
    kinds : of each output, whether it is classes or values
    outputs : by name, the shape of each for one picture; None for one output (S,)
    """
    given = (scores * score_scale).astype(np.float32)
    errors, start, found = relative_errors(reference, given), 0, []
    named = (outputs or {"scores": reference.shape[1:]}).items()
    for (name, shape), kind in zip(named, kinds, strict=True):
        own = slice(start, start + prod(shape))
        classes = None
        if kind == "classes":
            classes = agreement(reference[:, own], scores[:, own], given[:, own], labels)
        found.append(OutputFigures(name, shape, float(errors[own].max()), classes))
        start = own.stop
    return Fidelity(len(reference), tuple(found))


def agreement(
    reference: NDArray[np.float32],
    scores: NDArray[Any],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64] | None,
) -> Agreement:
    """``Agreement`` of scores, integers or real numbers [N, S], which are worth ``logits``; the rest as in
    ``fidelity``."""
    ours, theirs = ranking(scores), ranking(reference)
    n, same = len(ours), int((ours[:, 0] == theirs[:, 0]).sum())
    kl, share = divergences(reference, logits), share_interval(same, n)
    if labels is None:
        (kl_interval,) = mean_intervals(kl[:, None])
        return Agreement(same / n, share, float(kl.mean()), kl_interval)
    before, after = theirs[:, 0] == labels, ours[:, 0] == labels
    kl_interval, interval = mean_intervals(np.stack([kl, after.astype(np.float64) - before], axis=1))
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    change = Change((gained - lost) / n, interval, lost, gained, mcnemar(lost, gained))
    accuracies = _accuracy(theirs, labels), _accuracy(ours, labels)
    return Agreement(same / n, share, float(kl.mean()), kl_interval, *accuracies, change)


def _accuracy(ranks: NDArray[np.int64], labels: NDArray[np.int64]) -> Accuracy:
    hits = ranks == labels[:, None]
    return Accuracy(float(hits[:, 0].mean()), float(hits.any(1).mean()))
