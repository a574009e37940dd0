"""What a network will need of the target, predicted before it is trained: its firmware is planned with stand-ins.

Stand-ins are random weights, rounded so coarsely that they are as many, or take as many bytes, as the last stage
of the training is to leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dcgen.compress.fold import canonical
from dcgen.compress.recipes import Keep
from dcgen.compress.uniform import grid
from dcgen.encode.blob import Blob
from dcgen.errors import PlanError
from dcgen.explore.study import Candidate, Study
from dcgen.integers import as_integers
from dcgen.ir.graph import F32, Graph, Weight
from dcgen.ir.graph import density as density_of
from dcgen.methods.magnitude import Magnitude
from dcgen.methods.rate_aware import RateAware
from dcgen.models.build import build_graph
from dcgen.pictures import Preprocess
from dcgen.pipeline import firmware_plan_for
from dcgen.plan.firmware.needs import predict_needs
from dcgen.progress import Progress
from dcgen.quant.qgraph import QGraph
from dcgen.result import Limits

STEP = RateAware().start
"""Step between levels, in standard deviations of a layer's weights, where nothing says how small the network is to
be: that of rate-aware training at its start."""
COARSEST = 8.0
"""Step at which no stand-in weight is left but a few."""
HALVINGS = 12
"""Steps of the search for the coarseness that gives a number of bytes: the last changes them by 0.1 %."""
CORRECTIONS = 3
"""How often the step is chosen anew by the size that the whole file has come to: code tables and codebooks take
some of its bytes, and how many is not known before."""
PICTURES = 4
"""Random pictures that activation ranges are taken from."""


@dataclass(frozen=True)
class Prediction:
    """What a network takes.

    bytes : of the blob
    density : share of weights that are not zero
    arena_bytes : RAM that the runtime works in
    flash_bytes, instructions : of the firmware and of a picture that leaves no zeros to skip; None where the
        target's needs cannot be predicted
    """

    bytes: int
    density: float
    arena_bytes: int
    flash_bytes: int | None
    instructions: int | None

    def excess(self, limits: Limits) -> dict[str, float]:
        """By how large a share each limit but that of RAM is exceeded, below 0 where it is kept."""
        pairs = {
            "flash": (self.flash_bytes, limits.budget.flash),
            "max_instructions": (self.instructions, limits.budget.instructions),
        }
        return {name: found / most - 1 for name, (found, most) in pairs.items() if found is not None and most}


def predict(study: Study, candidate: Candidate, progress: Progress) -> Prediction:
    """What ``candidate`` will take once it is trained.

    Raises ConfigError where it is no network, and PlanError where no weights make it fit the target's RAM.
    """
    progress("predicting", 0, 1)
    rng = np.random.default_rng(study.settings.seed)
    spec = candidate.spec
    params = {name: _random(shape, rng) for name, shape in spec.parameters().items()}
    order = {1: "grey", 3: "rgb"}.get(spec.channels, "as-is")
    means, deviations = (127.5,) * spec.channels, (64.0,) * spec.channels
    form = Preprocess("stand-in", order, means, deviations, "squash", spec.size, spec.size)  # type: ignore[arg-type]
    graph = canonical(build_graph(spec, params), form)
    pictures = form.centred(rng.integers(0, 256, (PICTURES, spec.size, spec.size, spec.channels), np.uint8))

    def integers(made: Graph) -> tuple[QGraph, Blob]:
        return as_integers(made, pictures, form.camera_mean, Keep(), lambda *_: None, {})[2:]

    limit = candidate.stages[-1].schedule.max_bytes
    density = min((s.method.density for s in candidate.stages if isinstance(s.method, Magnitude)), default=0.0)
    made = _rounded(graph, COARSEST if limit else _step_of_density(graph, density) if density else STEP)
    qgraph, blob = integers(made)
    if limit:
        coded = _coded_bytes(made)
        least = len(blob.data) - round(coded)
        if limit <= least:
            problem = f"is a file of {least:,} bytes without any weight, max_bytes allows {limit:,}"
            raise PlanError(spec.name, problem, "larger files, or networks of fewer layers")
        for _ in range(CORRECTIONS):
            coded += limit - len(blob.data)
            made = _rounded(graph, _step_of_bytes(graph, coded))
            qgraph, blob = integers(made)
    plan = firmware_plan_for(study.limits, study.target, qgraph, blob, {})
    needs = predict_needs(plan, qgraph, blob, study.target, {})
    progress("predicting", 1, 1)
    flash, instructions = (None, None) if needs is None else (needs.flash_bytes, needs.most_instructions.total)
    return Prediction(len(blob.data), density_of(made), plan.arena_bytes, flash, instructions)


def _random(shape: tuple[int, ...], rng: np.random.Generator) -> F32:
    """Normal weights that keep activations of one size (He et al. 2015), OIHW, or biases of zero, [O]."""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)


def _rounded(graph: Graph, step: float) -> Graph:
    """The graph whose weights are multiples of ``step`` deviations of their layer."""
    weights = ((node.name, conv.weight.values) for node, conv in graph.convs())
    return graph.with_weights({name: Weight.of(grid(w, step * _deviation(w))) for name, w in weights})


def _deviation(weight: F32) -> float:
    """The standard deviation of weights whose mean is 0."""
    return float(np.sqrt(np.square(weight, dtype=np.float64).mean()))


def _coded_bytes(graph: Graph) -> float:
    """Bytes of all weights in the codes that suit each layer's histogram."""
    bits = 0.0
    for _, conv in graph.convs():
        assert conv.weight.levels is not None
        counts = np.bincount(conv.weight.levels.indices.ravel())
        counts = counts[counts > 0]
        bits -= float((counts * np.log2(counts / counts.sum())).sum())
    return bits / 8


def _step_of_bytes(graph: Graph, wanted: float) -> float:
    """The step at which the weights take ``wanted`` bytes, at least that of 8 bits."""
    fine, coarse = 0.05, COARSEST
    for _ in range(HALVINGS):
        middle = (fine * coarse) ** 0.5
        fine, coarse = (middle, coarse) if _coded_bytes(_rounded(graph, middle)) > wanted else (fine, middle)
    return coarse


def _step_of_density(graph: Graph, density: float) -> float:
    """The step that leaves a share ``density`` of the weights, those of more than half a step."""
    weights = [c.weight.values for _, c in graph.convs()]
    sizes = np.concatenate([np.abs(w / _deviation(w)).ravel() for w in weights])
    return 2 * float(np.quantile(sizes, 1 - density))
