"""A quantized network that gradients can move: what is known of its convolutions, and where they stand.

Levels are not trained through a straight-through estimate of rounding. A convolution keeps its levels for a
while, gradients move a small real-valued offset on top of them, and then the levels are chosen anew, by the
same second-order error and price of bits that chose them first, around targets that have moved as far as the
offset: only weights near a threshold change, and the others make up for what that costs (a discrete and a
continuous step in turn: PV-tuning, Malinovskii et al. 2024; the levels' own metric: ``obq``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dcgen.compress.obq import Problem, fitted_step, settle
from dcgen.compress.point import Point
from dcgen.compress.secondorder import Prices, Quantizer
from dcgen.compress.uniform import levels_of
from dcgen.ir.graph import F64, Weight


@dataclass(frozen=True, eq=False)
class Site:
    """What stays as it is of a convolution: G groups of R = O/G outputs and D inputs.

    problem : its Hessian and bounds, and the target that training starts from
    mean : float64 [G, D], mean patch that the quantized network puts there
    basis : float64 [G, D, D], in whose rows offsets of weights are told: the eigenvectors of the Hessian, each
        as long as makes all of them count alike, and as much as the error of the levels does in one of them
    scale : typical deviation of its outputs, the unit of a move of biases
    shape : of the weight, OIHW
    """

    problem: Problem
    mean: F64
    basis: F64
    scale: float
    shape: tuple[int, ...]

    @classmethod
    def of(cls, problem: Problem, mean: F64, weights: np.ndarray, shape: tuple[int, ...]) -> Site:
        """The site of a convolution that has the weights float64 [G, R, D] now."""
        variances, vectors = np.linalg.eigh(problem.hessian)
        error = problem.error(weights) or 1e-9 * problem.error(0 * weights) or 1.0
        unit = np.sqrt(error / weights.size / variances)
        outputs = ((problem.target @ problem.hessian) * problem.target).sum(2)
        scale = float(np.sqrt(outputs.mean())) or 1.0
        return cls(problem, mean, np.asarray((vectors * unit[:, None]).transpose(0, 2, 1)), scale, shape)

    def shift(self, weights: np.ndarray) -> F64:
        """What weights [G, R, D] make of the mean patch: float64 [O]."""
        return np.asarray((weights * self.mean[:, None]).sum(2).reshape(-1))


@dataclass(frozen=True, eq=False)
class Layer:
    """Where a convolution stands.

    target : float64 [G, R, D], the weights that its levels come close to
    integers : int16 [G, R, D], multiples of ``step``
    centre : float64 [O], its mean outputs; the bias is what they and the weights leave of them
    """

    target: F64
    integers: np.ndarray
    step: float
    centre: F64

    def moved(self, offset: F64, stretch: float, centre: np.ndarray) -> Layer:
        """The layer after training: its target goes where the weights went, its levels stay for now.

        offset : float64 [G, R, D], to be added to the weights
        stretch : natural logarithm of the new step over the old one
        centre : float32 [O], to be added
        """
        step = self.step * float(np.exp(stretch))
        went = self.integers * (step - self.step) + offset
        return Layer(self.target + went, self.integers, step, self.centre + centre)


Layers = Mapping[str, Layer]
Sites = Mapping[str, Site]


def student(quantizer: Quantizer, point: Point) -> tuple[dict[str, Site], dict[str, Layer]]:
    """The sites and layers of a network that ``quantizer`` has made, observed once more as it now is."""
    walk = quantizer.walk()
    sites, layers = {}, {}
    for name, seen in quantizer.observed(walk, "observing the student"):
        moments, weight = seen.moments(), point.weights[name]
        problem = quantizer.problem(name, moments)
        levels = weight.levels
        assert levels is not None and levels.step is not None
        integers = levels.multiples[levels.indices].reshape(problem.target.shape)
        # Scores have been given a factor of their own: the target of that step, not the one of least error.
        factor = levels.step / fitted_step(problem, integers.astype(np.float64), levels.step)
        problem = replace(problem, target=factor * problem.target)
        site = Site.of(problem, moments.mean, integers * levels.step, weight.values.shape)
        centre = np.asarray(point.biases[name] + site.shift(integers * levels.step))
        sites[name], layers[name] = site, Layer(problem.target, integers, levels.step, centre)
        walk.weights[name], walk.biases[name] = weight, point.biases[name]
    return sites, layers


def requantized(
    quantizer: Quantizer, sites: Sites, layers: Layers, prices: Prices, sweeps: int
) -> dict[str, Layer]:
    """The layers with their levels chosen anew around their targets."""
    found = {}
    for name, layer in layers.items():
        problem = replace(sites[name].problem, target=layer.target)
        price = quantizer.error_of_a_bit(name, problem, prices)
        choice = settle(problem, layer.integers, layer.step, price, prices.nonzero.get(name, 0.0), sweeps)
        found[name] = replace(layer, integers=choice.integers)
    return found


def point_of(quantizer: Quantizer, sites: Sites, layers: Layers) -> Point:
    """The network as it stands, ready to be written."""
    weights, biases, bits = {}, {}, 0.0
    for name, layer in layers.items():
        site = sites[name]
        integers = layer.integers.reshape(site.shape)
        weights[name] = Weight.of(levels_of(integers, layer.step, quantizer.constraints.symmetric))
        biases[name] = np.asarray(layer.centre - site.shift(layer.integers * layer.step), np.float32)
        bits += settle(site.problem, layer.integers, layer.step, 1.0, 0.0, 0).bits
    return Point(weights, biases, bits)
