"""The default quantizer: second-order error, rate and one price for the whole network.

Convolutions are quantized in order. Each sees the inputs that the layers quantized before it give, and
comes as close as it can to the outputs of the float network, at a price per bit (``obq``). What an
error of a layer weighs is measured: one layer at a time is quantized and the divergence of the
network's output observed, so that one price of bits in nats serves all layers (Shoham & Gersho 1988).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dcgen.compress.evidence import Divergence, Evidence
from dcgen.compress.hessian import PLACES, Moments, Observation, observe
from dcgen.compress.obq import Choice, Problem, best_step, rough
from dcgen.compress.point import Point
from dcgen.compress.readout import fitted, readout
from dcgen.compress.sections import Mirrored, Walk, groups
from dcgen.compress.uniform import MAX_LEVEL, levels_of
from dcgen.errors import NumericError
from dcgen.ir.graph import F32, Conv, Graph, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.progress import counted

PROBE_ERROR = 0.01
"""Share of a layer's output energy at which its probe's price is set."""
PROBE_PICTURES = 64
"""Held-out ones: moments of few pictures would flatter themselves on those they are from."""
SPARSE = 0.2
"""Share of exact zeros from which on a layer counts as pruned, and its zeros stay."""
MIRROR_ALIKE = 0.6
"""Share of pictures of which the mirror image is of the same class to a network that mirror images suit."""


@dataclass(frozen=True)
class Constraints:
    """What every layer's levels must keep to.

    levels : most levels of a layer, zero among them, 2..255
    symmetric : with a level its negative is in the codebook, used or not
    """

    levels: int = 2 * MAX_LEVEL + 1
    symmetric: bool = False

    @property
    def low(self) -> int:
        return -((self.levels - 1) // 2 if self.symmetric else self.levels // 2)

    @property
    def high(self) -> int:
        return (self.levels - 1) // 2


@dataclass(frozen=True)
class Prices:
    """What a solution pays for.

    bit : nats that a bit of the file is worth
    nonzero : bits on top for each weight that is not zero, by Conv node
    """

    bit: float
    nonzero: Mapping[str, float]


@dataclass(frozen=True)
class Sketch:
    """A prediction: nats, estimated bits of the weights, share of weights that are not zero."""

    kl: float
    bits: float
    density: float


class Quantizer:
    """What all operating points of a network share: its float moments and its sensitivities.

    Mirror images are further pictures to a network that mostly knows them for what they are, held-out ones tell.

    work_bits : bits of the file that the work of the average weight is worth, 0: none
    """

    def __init__(self, graph: Graph, evidence: Evidence, constraints: Constraints, work_bits: float = 0.0) -> None:
        self.graph, self.evidence, self.constraints, self.work_bits = graph, evidence, constraints, work_bits
        self._problems: dict[str, Problem] = {}  # of the float network
        self._sensitivity: dict[str, float] = {}
        self._known: dict[str, F32] = {}  # that walks share
        alike = _agreement_with_mirrored(graph, evidence.held_out)
        self._mirrored = alike >= MIRROR_ALIKE
        evidence.tell("mirrored", {"agreement": alike, "measured": self._mirrored})
        # What a layer's error weighs shows without mirror images.
        plain = Walk(graph, evidence.measure) if self._mirrored else self.walk()
        self._probe(self.observed(plain, "observing inputs"))

    def at(self, prices: Prices, stage: str) -> Point:
        """The network quantized at the given prices, layer after layer."""
        graph = self.graph
        walk, bits, kl_of_error = self.walk(), 0.0, None
        for name, seen in self.observed(walk, stage):
            m = seen.moments()
            problem = self.problem(name, m)
            price = self.error_of_a_bit(name, problem, prices)
            choice = best_step(problem, price, prices.nonzero.get(name, 0.0))
            walk.weights[name], walk.biases[name] = self._applied(name, m, choice)
            bits += choice.bits
        if (last := readout(graph)) is not None:
            weight, bias = walk.weights.pop(last), walk.biases.pop(last)
            batches = walk.visit((last,))
            found = fitted(graph, last, batches, weight, bias)
            walk.weights[last], walk.biases[last], kl_of_error = found.weight, found.bias, found.kl_of_error
        return Point(walk.weights, walk.biases, bits, kl_of_error)

    @property
    def names(self) -> tuple[str, ...]:
        """The convolutions in order."""
        return tuple(self._sensitivity)

    def sketch(self, prices: Prices) -> Sketch:
        """What ``at`` would come to, if every layer saw its float inputs: within seconds, and coarser."""
        kl, bits, nonzeros, total = 0.0, 0.0, 0, 0
        for name, problem in self._problems.items():
            choice = rough(problem, self.error_of_a_bit(name, problem, prices), prices.nonzero.get(name, 0.0))
            kl += self._sensitivity[name] * choice.error
            bits += choice.bits
            nonzeros += int(np.count_nonzero(choice.integers))
            total += choice.integers.size
        return Sketch(kl, bits, nonzeros / total)

    def walk(self) -> Walk:
        """Over ``measure``, from the begin; what the float network's part of it computes is kept for others."""
        measure = self.evidence.measure
        return Walk(self.graph, Mirrored(measure) if self._mirrored else measure, self._known)

    def observed(self, walk: Walk, stage: str) -> Iterator[tuple[str, Observation]]:
        """What the convolutions read in order, of a walk over ``measure``. Each one's quantized weights and biases
        are put into the walk, if it has any, before the next is asked for."""
        order = groups(self.graph)
        done = counted(self.evidence.progress, stage, len(order) * walk.count)
        places = PLACES * len(self.evidence.measure) // walk.count
        for group in order:
            yield from observe(self.graph, group, walk.visit(group), done, places).items()

    def _probe(self, observations: Iterable[tuple[str, Observation]]) -> None:
        """Quantize one layer alone and see how far the output moves: the nats that a unit of error costs."""
        divergence = Divergence(self.graph, self.evidence.held_out[:PROBE_PICTURES])
        for name, seen in observations:
            divergence.advance(name)
            m = seen.moments()
            if not np.isfinite(m.hessian).all():
                raise NumericError(name, "reads values that are not finite on calibration pictures")
            problem = self.problem(name, m)
            energy = problem.error(np.zeros_like(problem.target))
            choice = rough(problem, PROBE_ERROR * energy / problem.target.size or 1.0)
            weight, bias = self._applied(name, m, choice)
            moved = divergence({name: weight}, {name: bias})
            self._problems[name] = problem
            self._sensitivity[name] = moved / choice.error if choice.error > 0 else 0.0

    def _conv(self, name: str) -> Conv:
        conv = self.graph.by_name[name].op
        assert isinstance(conv, Conv)
        return conv

    def problem(self, name: str, m: Moments) -> Problem:
        """What is asked of a convolution whose inputs have these moments."""
        conv = self._conv(name)
        target = m.targets(conv)
        free = conv.weight.values != 0
        pruned = free.mean() < 1 - SPARSE
        return Problem(
            target,
            m.hessian,
            self.constraints.low,
            self.constraints.high,
            free.reshape(target.shape) if pruned else None,
        )

    def error_of_a_bit(self, name: str, problem: Problem, prices: Prices) -> float:
        """Squared error of the layer that a bit is worth; finite even where its errors do no harm."""
        energy = problem.error(np.zeros_like(problem.target))
        least = 1e-9 * prices.bit * problem.target.size / max(energy, 1e-30)
        return prices.bit / max(self._sensitivity[name], least)

    def _applied(self, name: str, m: Moments, choice: Choice) -> tuple[Weight, F32]:
        conv = self._conv(name)
        integers = choice.integers.reshape(conv.weight.values.shape)
        levels = levels_of(integers, choice.step, self.constraints.symmetric)
        return Weight.of(levels), m.bias(conv, choice.integers * choice.step)


def _agreement_with_mirrored(graph: Graph, pictures: F32) -> float:
    runner = FloatRunner(graph)
    one, two = (runner.run(x).argmax(1) for x in (pictures, np.ascontiguousarray(pictures[..., ::-1])))
    return float((one == two).mean())
