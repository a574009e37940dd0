"""The default quantizer: levels by second-order error and rate, at one price of a bit for the whole network.

Convolutions are quantized in order. Each reads what the quantized layers before it give, and its levels make
``error + price * bits`` small (``obq``), the error being the squared one of its outputs against the float
network's. What a layer's error does to the network is measured first: with that layer alone quantized, the
divergence of the network's output in nats, over the layer's error, is its sensitivity. By it one price of a bit
in nats becomes a price in each layer's own errors, so that bits are spent where they prevent most divergence
(Shoham & Gersho 1988).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dcgen.compress.evidence import Divergence, Evidence
from dcgen.compress.hessian import PLACES, Moments, Observation, observe
from dcgen.compress.obq import Choice, Problem, best_step, rough
from dcgen.compress.point import Point
from dcgen.compress.readout import fitted, readout
from dcgen.compress.sections import Mirrored, Room, Walk, groups
from dcgen.compress.uniform import MAX_LEVEL, levels_of
from dcgen.errors import NumericError
from dcgen.ir.graph import F32, Conv, Graph, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.progress import counted

LARGE = 200_000
"""Weights from which on a network is large: its tries take long, and what is said of large networks below and in
``goals`` was measured on SqueezeNet."""
PROBE_ERRORS = ((0.01,), (0.006, 0.0085, 0.012, 0.017))
"""For small and for large networks: shares of the energy of a layer's outputs, per weight, that are the prices of
a bit when the layer's sensitivity is measured, once at each of them. The errors are then large enough to stand out
from rounding and small enough to be in proportion to their divergence. Errors of one size, but of other levels,
differ in what they do by a fifth (docs/decisions/0006)."""
LAST = (1.0, 1.7)
"""For small and for large networks: sensitivity of a convolution that no other one follows, over the measured one.
Errors of the others are made up for in part by those behind them, which is not measured (docs/decisions/0006)."""
PROBE_PICTURES = 64
"""Held-out pictures that sensitivities are measured on. On pictures that the levels were made from, errors would
do less harm than elsewhere."""
PROBE_MEASURED = 1000
"""Most measured pictures from which the moments for probes and sketches are taken. From 256, layers of many inputs
look too sensitive (docs/decisions/0006)."""
SKETCH_ROWS = 64
"""Outputs of each group of a layer that sketches are made of, for which its others are like them."""
SAME_STEP = 0.7
"""Difference of the logarithms of two prices up to which the step of a layer at the one follows from its step at
the other, by ``STEP_POWER``."""
STEP_POWER = 0.4
"""Power of the price of a bit that the step is in proportion to; at prices so low that all levels are in use it
would be 1/2."""
PRUNED = 0.2
"""Share of exact zeros among a layer's weights from which on it counts as pruned, and its zeros stay zero."""
MIRROR_ALIKE = 0.6
"""Share of the held-out pictures that a network must give the class of their mirror image, for mirror images to be
measured as well. SqueezeNet trained on photographs reaches 0.77 and more, a network for digits 0.35."""


MIRROR_PICTURES = 100
"""Held-out pictures that this is found out on."""


@dataclass(frozen=True)
class Constraints:
    """What the levels of every layer must keep to.

    levels : most levels of a layer, zero among them, 2 to 255
    symmetric : whether a codebook has the negative of each of its levels, also where no weight uses it
    """

    levels: int = 2 * MAX_LEVEL + 1
    symmetric: bool = False

    @property
    def low(self) -> int:
        """Least level, as a multiple of the step."""
        return -((self.levels - 1) // 2 if self.symmetric else self.levels // 2)

    @property
    def high(self) -> int:
        """Largest level, as a multiple of the step."""
        return (self.levels - 1) // 2


@dataclass(frozen=True)
class Prices:
    """What the levels of a network cost when they are chosen.

    bit : loss that is accepted for making the file one bit smaller
    nonzero : by Conv node, bits that each weight that is not zero costs on top of its bits in the file
    """

    bit: float
    nonzero: Mapping[str, float]


@dataclass(frozen=True)
class Sketch:
    """A coarse prediction of a quantized network.

    loss : of the metric
    bits : size of the coded levels, surcharges included
    density : share of weights that are not zero
    """

    loss: float
    bits: float
    density: float


class Quantizer:
    """Quantizes one network at any prices. What all prices share is computed once: the second moments of what each
    layer of the float network reads, and the layers' sensitivities.

    The mirror images of the pictures are measured as well, if the network gives enough of them the class of the
    picture itself (``MIRROR_ALIKE``).

    constraints : what all levels keep to
    work_bits : bits of the file that the target's work of the average weight is worth; 0: only the file counts
    """

    def __init__(self, graph: Graph, evidence: Evidence, constraints: Constraints, work_bits: float = 0.0) -> None:
        self.graph, self.evidence, self.constraints, self.work_bits = graph, evidence, constraints, work_bits
        self._problems: dict[str, Problem] = {}  # by Conv node, for the inputs of the float network
        self._sensitivity: dict[str, float] = {}  # by Conv node, loss for each unit of squared error
        self._steps: dict[str, tuple[float, float]] = {}  # by Conv node, the last error of a bit, and its step
        self._room = Room()
        self._known: dict[int, dict[str, F32]] = {}  # by number of pictures, the float tensors that walks share
        alike = _agreement_with_mirrored(graph, evidence.held_out[:MIRROR_PICTURES]) if evidence.classes else 0.0
        self._mirrored = alike >= MIRROR_ALIKE
        evidence.tell("mirrored", {"agreement": alike, "measured": self._mirrored})
        # Sensitivities are measured without mirror images: they hardly differ with them, and take less time.
        self._probe(
            self.observed(Walk(graph, evidence.measure[:PROBE_MEASURED], room=self._room), "observing inputs")
        )

    def at(self, prices: Prices, stage: str, share: float = 1.0) -> Point:
        """The network quantized at the given prices, layer after layer.

        stage : what progress is reported as
        share : of the measured pictures, which are used: with few of them, the network is a draft
        """
        graph = self.graph
        walk, bits, loss_of_error = self.walk(share), 0.0, None
        for name, seen in self.observed(walk, stage):
            moments = seen.moments()
            problem = self.problem(name, moments)
            price = self.error_of_a_bit(name, problem, prices)
            choice = best_step(problem, price, prices.nonzero.get(name, 0.0), self._step(name, price))
            self._steps[name] = price, choice.step
            walk.weights[name], walk.biases[name] = self._applied(name, moments, choice)
            bits += choice.bits
        if (last := readout(graph)) is not None:
            weight, bias = walk.weights.pop(last), walk.biases.pop(last)
            batches = walk.visit((last,))
            found = fitted(graph, last, batches, weight, bias, self.evidence.metric)
            walk.weights[last], walk.biases[last], loss_of_error = found.weight, found.bias, found.loss_of_error
        return Point(walk.weights, walk.biases, bits, loss_of_error)

    @property
    def weights(self) -> int:
        """Number of weights of all convolutions."""
        return sum(conv.weight.values.size for _, conv in self.graph.convs())

    @property
    def names(self) -> tuple[str, ...]:
        """The convolutions in order."""
        return tuple(self._sensitivity)

    def sketch(self, prices: Prices) -> Sketch:
        """A prediction of what ``at`` gives, from each layer alone on the float network's inputs: it takes
        seconds."""
        loss, bits, nonzeros, total = 0.0, 0.0, 0, 0
        for name, problem in self._problems.items():
            some = problem.thinned(SKETCH_ROWS)
            choice = rough(some, self.error_of_a_bit(name, problem, prices), prices.nonzero.get(name, 0.0))
            factor = problem.target.size / some.target.size
            loss += self._sensitivity[name] * choice.error * factor
            bits += choice.bits * factor
            nonzeros += int(np.count_nonzero(choice.integers) * factor)
            total += problem.target.size
        return Sketch(loss, bits, nonzeros / total)

    def walk(self, share: float = 1.0) -> Walk:
        """A new walk over a share of the measured pictures; over all of them, with their mirror images where these
        count. Walks over the same pictures share what the float network's half of them computes."""
        count = math.ceil(share * len(self.evidence.measure))
        measure = self.evidence.measure[:count]
        pictures = Mirrored(measure) if self._mirrored and share == 1 else measure
        return Walk(self.graph, pictures, self._known.setdefault(count, {}), self._room)

    def forget(self) -> None:
        """Release what walks over parts of the pictures share."""
        count = len(self.evidence.measure)
        self._known = {count: self._known.get(count, {})}

    def observed(self, walk: Walk, stage: str) -> Iterator[tuple[str, Observation]]:
        """The convolutions in order, each with the observation of what it reads.

        walk : over the measured pictures; the caller puts the quantized weights and biases of a convolution into
            it before asking for the next one; without, the walk goes on with the float ones
        stage : what progress is reported as
        """
        order = groups(self.graph)
        done = counted(self.evidence.progress, stage, len(order) * walk.count)
        places = PLACES // (2 if walk.mirrored else 1)
        for group in order:
            yield from observe(self.graph, group, walk.visit(group), done, places).items()

    def _probe(self, observations: Iterable[tuple[str, Observation]]) -> None:
        """Measure the sensitivities: quantize one layer alone, and divide the divergence of the output by the
        layer's squared error."""
        divergence = Divergence(self.graph, self.evidence.held_out[:PROBE_PICTURES], self.evidence.metric)
        large = self.weights >= LARGE
        for name, seen in observations:
            divergence.advance(name)
            moments = seen.moments()
            if not np.isfinite(moments.hessian).all():
                raise NumericError(name, "reads values that are not finite on calibration pictures")
            problem = self.problem(name, moments)
            energy = problem.error(np.zeros_like(problem.target))
            loss = error = 0.0
            for share in PROBE_ERRORS[large]:
                choice = rough(problem, share * energy / problem.target.size or 1.0)
                weight, bias = self._applied(name, moments, choice)
                loss += divergence({name: weight}, {name: bias})
                error += choice.error
            self._problems[name] = problem
            self._sensitivity[name] = loss / error if error > 0 else 0.0
        for name in groups(self.graph)[-1]:
            self._sensitivity[name] *= LAST[large]

    def _step(self, name: str, price: float) -> float | None:
        """The step of a layer at a price of a bit in its own errors, None where it is not known from a price close
        to that."""
        if (last := self._steps.get(name)) is None:
            return None
        change = math.log(price / last[0])
        return last[1] * math.exp(STEP_POWER * change) if abs(change) <= SAME_STEP else None

    def _conv(self, name: str) -> Conv:
        conv = self.graph.by_name[name].op
        assert isinstance(conv, Conv)
        return conv

    def problem(self, name: str, moments: Moments) -> Problem:
        """The choice of levels for a convolution whose inputs have these moments."""
        conv = self._conv(name)
        target = moments.targets(conv)
        free = conv.weight.values != 0
        pruned = free.mean() < 1 - PRUNED
        return Problem(
            target,
            moments.hessian,
            self.constraints.low,
            self.constraints.high,
            free.reshape(target.shape) if pruned else None,
        )

    def error_of_a_bit(self, name: str, problem: Problem, prices: Prices) -> float:
        """The price of a bit for one convolution, in squared error of its outputs.

        It is finite even where errors do no harm: at most 1e9 times the energy of the outputs, per weight.
        """
        energy = problem.error(np.zeros_like(problem.target))
        least = 1e-9 * prices.bit * problem.target.size / max(energy, 1e-300)
        return prices.bit / max(self._sensitivity[name], least)

    def _applied(self, name: str, moments: Moments, choice: Choice) -> tuple[Weight, F32]:
        """The weights of a choice, and the bias with which they keep the mean outputs."""
        conv = self._conv(name)
        integers = choice.integers.reshape(conv.weight.values.shape)
        levels = levels_of(integers, choice.step, self.constraints.symmetric)
        return Weight.of(levels), moments.bias(conv, choice.integers * choice.step)


def _agreement_with_mirrored(graph: Graph, pictures: F32) -> float:
    """Share of the pictures that the network gives the class of their mirror image; 0 where they are one column
    wide, and their own mirror images."""
    if pictures.shape[-1] == 1:
        return 0.0
    runner = FloatRunner(graph)
    one, two = (runner.run(x).argmax(1) for x in (pictures, np.ascontiguousarray(pictures[..., ::-1])))
    return float((one == two).mean())
