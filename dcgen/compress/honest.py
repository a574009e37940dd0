"""Whether a compressed network is still a network: a success that keeps nothing is a failure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcgen.compress.attempts import emptied
from dcgen.compress.evidence import Trial
from dcgen.compress.goals import Goal
from dcgen.errors import NumericError
from dcgen.fidelity import ranking
from dcgen.ir.graph import F32, Graph

HINT = "allow more bytes, a higher density or a smaller loss"


def check_answers(name: str, reference: F32, scores: NDArray[np.int32], classes: bool) -> None:
    """Raise NumericError where the scores int32 [N, S] of a compressed network tell nothing of its inputs: they
    are the same for all, or the first class is that of the float network no more often than by chance.

    reference : float32 [N, S], the float network's outputs
    classes : whether outputs are classes
    """
    n = len(scores)
    if n < 2:
        return
    if not (scores != scores[0]).any():
        raise NumericError(name, f"once compressed gives the same outputs for all {n} held-out samples", HINT)
    if not classes:
        return
    first = [ranking(x, 1)[:, 0] for x in (scores, reference)]
    agreement = float((first[0] == first[1]).mean())
    ours, theirs = (np.bincount(classes, minlength=scores.shape[1]) / n for classes in first)
    if float(theirs.max()) < 1 and agreement <= float((ours * theirs).sum()):
        problem = f"names the float network's class for {100 * agreement:.1f} % of {n} held-out samples: chance"
        raise NumericError(name, problem, HINT)


def doubts(before: Graph, after: Graph, trial: Trial, goal: Goal | None) -> tuple[str, ...]:
    """What a user must know of a network: layers that have lost all weights, default limits that it does not
    keep to.

    before, after : the float network, and with levels
    trial : of the network
    goal : of the recipe, None if it has none
    """
    said = []
    if names := emptied(before, after):
        said.append(f"all weights of {', '.join(names)} are zero: nothing of what they read gets through")
    if goal is not None and goal.name == "fidelity":
        for part in goal.parts(trial):
            # The search judged the loss by what all tries let expect; of one trial only the measured one is known.
            quiet = not part.name.startswith("loss")
            if (quiet and part.value > part.limit) or part.measured > part.allowed:
                figure = f"{part.name} is {part.value:.3g} (measured {part.measured:.3g})"
                said.append(f"no network keeps to the default's limit: {figure}, the limit {part.limit:.3g}")
    return tuple(said)
