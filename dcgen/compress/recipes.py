"""Recipes: the ways in which a network can be compressed, each with its settings.

A recipe is an ordered list of passes that give every convolution of a canonical graph its levels. Its settings
are the fields of a dataclass, with their types and bounds; users set them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from dcgen.codings import CodingName
from dcgen.compress.attempts import Try, prices
from dcgen.compress.distill import Distillation, Training, searched
from dcgen.compress.evidence import Evidence
from dcgen.compress.goals import Goal, meet, sparse
from dcgen.compress.point import Point
from dcgen.compress.prune import prune, scan
from dcgen.compress.pruned import meet_pruned
from dcgen.compress.secondorder import Constraints, Quantizer
from dcgen.compress.settings import configured
from dcgen.compress.share import Init, fewest_levels, share
from dcgen.compress.student import Rates
from dcgen.compress.uniform import MAX_LEVEL, grid
from dcgen.errors import ConfigError
from dcgen.extras import Device, import_torch
from dcgen.ir.graph import Conv, Graph, Weight
from dcgen.ir.verify import verify
from dcgen.train.teaching import Lesson

Pass = Callable[[Graph, Evidence], Graph]

SCAN_LOSS = 0.005
"""Loss that pruning one layer alone may cost where nothing is searched and nothing else is said of the layer."""


@dataclass(frozen=True)
class Recipe:
    """The settings that every recipe has.

    coding : how weights are coded in the blob, see ``encode``
    index_bits_conv, index_bits_fc : bits of a gap between non-zero weights in the deep-compression coding, in
        convolutions and in fully connected layers
    ranges : what an activation's range is taken from on calibration pictures: ``percentile`` or ``minmax``
    range_keep : share of the values that a percentile range contains
    pictures : calibration pictures that are used, at most
    held_out : share of these that no statistics are made from, for choosing between networks
    seed : of every random draw
    """

    name: ClassVar[str] = ""
    own_ranges: ClassVar[bool] = False
    """Whether an activation that the source stores as 8-bit integers keeps the interval of real values that these
    stand for. Otherwise, and for all other activations, calibration pictures give the interval."""
    coding: CodingName = "joint"
    index_bits_conv: int = field(default=4, metadata={"min": 1, "max": 8})
    index_bits_fc: int = field(default=5, metadata={"min": 1, "max": 8})
    ranges: Literal["percentile", "minmax"] = "percentile"
    range_keep: float = field(default=0.99999, metadata={"min": 0.5, "max": 1.0})
    pictures: int = field(default=256, metadata={"min": 1, "max": 100_000})
    held_out: float = field(default=0.5, metadata={"min": 0.01, "max": 0.99})
    seed: int = field(default=0, metadata={"min": 0, "max": 2**32 - 1})

    def goal(self) -> Goal | None:
        """The goal of the passes, None if they have none."""
        return None

    def passes(self) -> tuple[Pass, ...]:
        """The passes in order."""
        raise AssertionError("a recipe defines its passes")

    def apply(self, graph: Graph, evidence: Evidence) -> Graph:
        """Run the passes, verifying the graph after each."""
        for step in self.passes():
            graph = verify(step(graph, evidence))
        return graph

    def settings(self) -> dict[str, Any]:
        """Every setting, for the manifest."""
        return {"recipe": self.name, **asdict(self)}


@dataclass(frozen=True)
class Searched(Recipe):
    """The goals of recipes that search: at most one of them is set; 0 is unset.

    max_kl : largest mean divergence, in nats, of the integer network on the held-out pictures
    max_error : largest relative error of any output that is values, on the held-out pictures
        (``fidelity.OutputFigures``)
    max_bytes : largest size of the blob in bytes
    max_top1_drop : most percentage points of accuracy lost on the held-out pictures; needs their labels
    """

    max_kl: float = field(default=0.0, metadata={"min": 0.0, "max": 10.0})
    max_error: float = field(default=0.0, metadata={"min": 0.0, "max": 100.0})
    max_bytes: int = field(default=0, metadata={"min": 0, "max": 2**31 - 1})
    max_top1_drop: float = field(default=0.0, metadata={"min": 0.0, "max": 100.0})

    def asked(self) -> Goal | None:
        """The goal that the user has set, None if none."""
        asked = [
            Goal(name, limit)
            for name in ("max_kl", "max_error", "max_bytes", "max_top1_drop")
            if (limit := float(getattr(self, name)))
        ]
        if len(asked) > 1:
            raise ConfigError(asked[1].name, f"and {asked[0].name} are both goals", "give one of them")
        return asked[0] if asked else None


@dataclass(frozen=True)
class SecondOrder(Searched):
    """Levels by second-order error and rate: the smallest file at a divergence, or the least divergence at a size.

    Without a goal of the user's, the goal is the fidelity that suits the outputs (``goals.Goal``); with a
    ``density`` alone, the price of a bit is that of ``goals.SPARSE_SHARE``.

    density : largest share of weights that are not zero
    levels : most levels of a layer, zero among them
    symmetric : whether a codebook has the negative of each of its levels
    work : bits of the file that the average weight's work on the target is worth; 0: only the file counts
    distill : whether the network that was found is then trained (``distill``); needs PyTorch
    distill_steps, distill_batch : most steps of training, and the pictures of a step
    distill_round : steps between two choices of levels
    distill_patience : rounds in a row without an improvement on held-out pictures after which training ends
    distill_rate : most that a step of training moves weights by, along each eigenvector of what a layer reads and
        relative to the error of its levels there; with 0 only biases and the layers' grids are trained
    distill_scale_rate : most that a step of training moves the natural logarithm of a layer's grid step by
    distill_bias_rate : most that a step of training moves biases by, in standard deviations of the outputs
    distill_augment : strength of augmentation, 0 to 1
    distill_mix : share of the pictures that are mixed with another one, 0 to 1
    distill_features : weight of the error at the ends of blocks, relative to the divergence's weight of 1
    distill_device : what training computes on
    """

    name: ClassVar[str] = "second-order"
    pictures: int = field(default=1000, metadata={"min": 1, "max": 100_000})
    held_out: float = field(default=0.2, metadata={"min": 0.01, "max": 0.99})
    density: float = field(default=1.0, metadata={"min": 0.001, "max": 1.0})
    levels: int = field(default=255, metadata={"min": 2, "max": 255})
    symmetric: bool = False
    work: float = field(default=1.0, metadata={"min": 0.0, "max": 100.0})
    distill: bool = False
    distill_steps: int = field(default=400, metadata={"min": 1, "max": 1_000_000})
    distill_batch: int = field(default=16, metadata={"min": 1, "max": 1024})
    distill_round: int = field(default=80, metadata={"min": 1, "max": 100_000})
    distill_patience: int = field(default=3, metadata={"min": 1, "max": 1000})
    distill_rate: float = field(default=2e-4, metadata={"min": 0.0, "max": 1.0})
    distill_scale_rate: float = field(default=6e-4, metadata={"min": 0.0, "max": 1.0})
    distill_bias_rate: float = field(default=4e-4, metadata={"min": 0.0, "max": 1.0})
    distill_augment: float = field(default=1.0, metadata={"min": 0.0, "max": 1.0})
    distill_mix: float = field(default=1.0, metadata={"min": 0.0, "max": 1.0})
    distill_features: float = field(default=1.0, metadata={"min": 0.0, "max": 100.0})
    distill_device: Device = "cpu"

    def goal(self) -> Goal | None:
        return self.asked() or (Goal("fidelity", 1.0) if self.density == 1 else None)

    def passes(self) -> tuple[Pass, ...]:
        return (self._quantize,)

    def quantizer(self, graph: Graph, evidence: Evidence) -> Quantizer:
        """The quantizer of a network under these constraints, its statistics made."""
        work_bits = self.work if evidence.weighed else 0.0
        return Quantizer(graph, evidence, Constraints(self.levels, self.symmetric), work_bits)

    def _quantize(self, graph: Graph, evidence: Evidence) -> Graph:
        goal = self.goal()
        self._check_distill(evidence)
        quantizer = self.quantizer(graph, evidence)

        def search() -> Try:
            return meet(quantizer, goal, self.density) if goal else sparse(quantizer, self.density)

        if not self.distill:
            return search().graph
        return self._distilled(quantizer, searched(quantizer, search, self), goal)

    def from_point(self, point: Point, graph: Graph, evidence: Evidence) -> Graph:
        """The network of a point, without a search; trained if that is asked for, at the point's size if no goal
        is set.

        graph : the float network that the point was made from
        """
        found = point.applied(graph)
        if not self.distill:
            return found
        self._check_distill(evidence)
        trial = evidence.trial(found)
        quantizer = self.quantizer(graph, evidence)
        start = Try(point, found, trial, prices(quantizer, 0.0, 0.0))  # the price of a bit is not known
        return self._distilled(quantizer, start, self.asked())

    def _check_distill(self, evidence: Evidence) -> None:
        """Raise ToolError where training could not run and ConfigError where there are no classes to train on,
        before minutes are spent on a network to start from."""
        if self.distill and evidence.classes == 0:
            raise ConfigError(
                "distill", "trains on the scores of classes, these outputs are values", "leave it out"
            )
        if self.distill:
            import_torch("for `distill`", self.distill_device)

    def _distilled(self, quantizer: Quantizer, start: Try, goal: Goal | None) -> Graph:
        shown = self.distill_batch, self.distill_augment, self.distill_mix, self.distill_features
        training = Training(
            self.distill_steps,
            self.distill_round,
            self.distill_patience,
            self.seed,
            Rates(self.distill_rate, self.distill_scale_rate, self.distill_bias_rate),
            Lesson(*shown, self.distill_device),
            quantizer.evidence.checkpoint,
        )
        outcome = Distillation(quantizer, start, goal, self.density, training).run()
        quantizer.evidence.tell("distillation", outcome.report)
        return outcome.found.graph


@dataclass(frozen=True)
class DeepCompression(Searched):
    """Han et al. 2016 without retraining: prune by magnitude, share by k-means, gaps and Huffman.

    How far layers are pruned is searched for the goal (``pruned``), by default the fidelity that suits the
    outputs; any of the first three settings says it in its place.

    density : share of every convolution's weights that is kept; 0: each layer's follows from a scan (``prune``)
    densities : the same by layer name, in place of ``density``
    scan_kl : loss, in nats where outputs are classes, that pruning one layer alone may cost in the scan; 0: not
        said, and ``SCAN_LOSS`` for layers that ``densities`` does not name
    conv_bits, fc_bits : bits of a level's index, in convolutions and in fully connected layers
    init : start of k-means: ``linear`` (the paper's choice), ``density`` or ``forgy`` (``share.initial``)
    """

    name: ClassVar[str] = "deep-compression"
    coding: CodingName = "deep-compression"
    density: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    densities: Mapping[str, float] = field(default_factory=dict, metadata={"min": 0.0, "max": 1.0})
    scan_kl: float = field(default=0.0, metadata={"min": 0.0, "max": 10.0})
    conv_bits: int = field(default=8, metadata={"min": 1, "max": 8})
    fc_bits: int = field(default=5, metadata={"min": 1, "max": 8})
    init: Init = "linear"

    def goal(self) -> Goal | None:
        said = next((n for n in ("density", "densities", "scan_kl") if getattr(self, n)), None)
        asked = self.asked()
        if said is not None and asked is not None:
            raise ConfigError(said, f"says how far layers are pruned, and {asked.name} searches it", "give one")
        return asked or (Goal("fidelity", 1.0) if said is None else None)

    def passes(self) -> tuple[Pass, ...]:
        return (self._prune, self._share) if self.goal() is None else (self._search,)

    def _search(self, graph: Graph, evidence: Evidence) -> Graph:
        goal = self.goal()
        assert goal is not None

        def compressed(densities: Mapping[str, float], stage: str) -> Graph:
            return self._share(prune(graph, densities), evidence, stage)

        return meet_pruned(graph, evidence, goal, compressed)

    def _prune(self, graph: Graph, evidence: Evidence) -> Graph:
        names = [n.name for n, _ in graph.convs()]
        unknown = sorted(set(self.densities) - set(names))
        if unknown:
            raise ConfigError("densities", f"names {unknown[0]!r}, but the layers are {', '.join(names)}")
        if self.density:
            found = dict.fromkeys(names, self.density)
        else:
            limit = self.scan_kl or SCAN_LOSS
            found = scan(graph, evidence, limit).densities(limit)
        return prune(graph, {**found, **self.densities})

    def _share(self, graph: Graph, evidence: Evidence, stage: str = "sharing weights") -> Graph:
        rng = np.random.default_rng(self.seed)
        convs = list(graph.convs())
        weights = {}
        for done, (node, conv) in enumerate(convs):
            evidence.progress(stage, done, len(convs))
            bits = self.fc_bits if fully_connected(graph, node.name) else self.conv_bits
            weights[node.name] = Weight.of(share(conv.weight.values, bits, self.init, rng))
        evidence.progress(stage, len(convs), len(convs))
        return graph.with_weights(weights)


@dataclass(frozen=True)
class Keep(Recipe):
    """Keeps the levels, zeros and integers of a network that comes compressed.

    The values of a convolution's weights are its levels if there are at most 256 of them, or their integers where
    these have a scale for each output channel and are fewer. A convolution with more, such as one that an input's
    scales were folded into, gets a uniform grid of 8 bits; but at least one must have come compressed.
    Activations that come as integers of 8 bits keep their scales and zero points, as does the input; biases are
    rounded less than elsewhere then.
    """

    name: ClassVar[str] = "keep"
    own_ranges: ClassVar[bool] = True
    coding: CodingName = "smallest"

    def passes(self) -> tuple[Pass, ...]:
        return (lambda g, _: keep(g),)


DEFAULT = SecondOrder.name

RECIPES: tuple[type[Recipe], ...] = (SecondOrder, DeepCompression, Keep)


def keep(graph: Graph) -> Graph:
    """The graph with the levels that its weights come with (``Keep``). Raises ConfigError if none come with
    any."""
    found = {n.name: c.weight.levels or fewest_levels(c.weight.values) for n, c in graph.convs()}
    if not any(found.values()):
        raise ConfigError(
            graph.name,
            "does not come compressed: no layer has 256 or fewer different weights",
            "use another recipe than keep",
        )
    weights = {}
    for node, conv in graph.convs():
        step = float(np.abs(conv.weight.values).max()) / MAX_LEVEL
        weights[node.name] = Weight.of(found[node.name] or grid(conv.weight.values, step))
    return graph.with_weights(weights)


def fully_connected(graph: Graph, name: str) -> bool:
    """Whether a convolution is a fully connected layer: ungrouped, its kernel as large as its unpadded input."""
    node = graph.by_name[name]
    assert isinstance(node.op, Conv)
    covers = node.op.kernel == graph.shapes[node.inputs[0]][1:]
    return covers and node.op.groups == 1 and not any(node.op.pads)


def recipe(name: str, settings: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of a name, with some settings changed.

    settings : values by name; texts are converted to the setting's type

    Raises ConfigError for an unknown recipe or setting, and for a value out of bounds.
    """
    for kind in RECIPES:
        if kind.name == name:
            return configured(kind(), name, settings or {})
    raise ConfigError(name, f"is not a recipe; there are {', '.join(k.name for k in RECIPES)}")
