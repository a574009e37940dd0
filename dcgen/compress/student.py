"""A quantized network in the form in which it is distilled: what is known of its convolutions, and their state.

Levels are not trained through a straight-through estimate of rounding. During a round of training a convolution
keeps its levels, and gradients move a small real-valued offset on top of them. Then the levels are chosen anew,
by the same second-order error and price of bits that chose them first, around targets that have moved by that
offset. So only weights near a threshold change their level, and the others make up for the error. (Discrete and
continuous steps in turn: PV-tuning, Malinovskii et al. 2024; the error by which levels are chosen: ``obq``.)

Of a convolution with O outputs in G groups, R = O/G are the outputs and D the inputs of a group, KH * KW times its
input channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dcgen.compress.obq import Problem, fitted_step, settle
from dcgen.compress.point import Point
from dcgen.compress.secondorder import Prices, Quantizer
from dcgen.compress.uniform import levels_of
from dcgen.ir.graph import F32, F64, Weight
from dcgen.train.parametrized import Parameter, Parametrized

if TYPE_CHECKING:
    from torch import Tensor


class Rates(NamedTuple):
    """The most that a step of training moves the parameters of a convolution by.

    offset : of weights, in the coordinates of ``Site.basis``
    stretch : of the natural logarithm of the step between levels
    shift : of mean outputs, in units of ``Site.scale``
    """

    offset: float
    stretch: float
    shift: float


@dataclass(frozen=True, eq=False)
class Site:
    """What does not change about a convolution while it is distilled.

    problem : its Hessian, the bounds of its levels, and its target before training
    mean : float64 [G, D], mean patch that the quantized network puts before it
    basis : float64 [G, D, D], rows are the eigenvectors of the Hessian, scaled: an offset of coordinates of mean
        square 1 costs as much squared error as the levels do, in whichever directions it lies
    scale : root mean square over the outputs of their standard deviations, the unit of ``Rates.shift``
    shape : of the weights, OIHW
    """

    problem: Problem
    mean: F64
    basis: F64
    scale: float
    shape: tuple[int, ...]

    @classmethod
    def of(cls, problem: Problem, mean: F64, weights: np.ndarray, shape: tuple[int, ...]) -> Site:
        """The site of a convolution whose quantized weights are ``weights``, float64 [G, R, D]."""
        variances, vectors = np.linalg.eigh(problem.hessian)
        error = problem.error(weights) or 1e-9 * problem.error(0 * weights) or 1.0
        unit = np.sqrt(error / weights.size / variances)
        outputs = ((problem.target @ problem.hessian) * problem.target).sum(2)
        scale = float(np.sqrt(outputs.mean())) or 1.0
        return cls(problem, mean, np.asarray((vectors * unit[:, None]).transpose(0, 2, 1)), scale, shape)

    def mean_outputs(self, weights: np.ndarray) -> F64:
        """The outputs of ``weights``, [G, R, D], for the mean patch, without a bias: float64 [O]."""
        return np.asarray((weights * self.mean[:, None]).sum(2).reshape(-1))


@dataclass(frozen=True, eq=False)
class Layer:
    """The state of a convolution.

    target : float64 [G, R, D], the real weights that its levels come close to
    integers : int16 [G, R, D], its levels as multiples of ``step``
    centre : float64 [O], its mean outputs; its bias is what the weights leave of them
    """

    target: F64
    integers: np.ndarray
    step: float
    centre: F64

    def moved(self, offset: F64, stretch: float, shift: np.ndarray) -> Layer:
        """The layer with other weights and means: the target moves as far as the weights, the levels stay.

        offset : float64 [G, R, D], added to the weights
        stretch : natural logarithm of the new step over the old one
        shift : [O], added to the mean outputs
        """
        step = self.step * float(np.exp(stretch))
        change = self.integers * (step - self.step) + offset
        return Layer(self.target + change, self.integers, step, self.centre + shift)


Layers = Mapping[str, Layer]
Sites = Mapping[str, Site]


def student(quantizer: Quantizer, point: Point) -> tuple[dict[str, Site], dict[str, Layer]]:
    """The sites and layers of a network that ``quantizer`` has made, its inputs observed once more."""
    walk = quantizer.walk()
    sites, layers = {}, {}
    for name, seen in quantizer.observed(walk, "observing the student"):
        moments, weight = seen.moments(), point.weights[name]
        problem = quantizer.problem(name, moments)
        levels = weight.levels
        assert levels is not None and levels.step is not None
        integers = levels.multiples[levels.indices].reshape(problem.target.shape)
        # The step of the last convolution is not the one of least squared error, as ``readout`` has multiplied it.
        # With the target multiplied as well, the step is that of least error again, and training starts at rest.
        factor = levels.step / fitted_step(problem, integers.astype(np.float64), levels.step)
        problem = replace(problem, target=factor * problem.target)
        site = Site.of(problem, moments.mean, integers * levels.step, weight.values.shape)
        centre = np.asarray(point.biases[name] + site.mean_outputs(integers * levels.step))
        sites[name], layers[name] = site, Layer(problem.target, integers, levels.step, centre)
        walk.weights[name], walk.biases[name] = weight, point.biases[name]
    return sites, layers


def parametrized(site: Site, layer: Layer, rates: Rates) -> Parametrized:
    """The convolution as it is trained from where ``layer`` stands: its parameters are those of ``Rates``, all
    0."""

    def make(of: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        weight = of["integers"] * (layer.step * of["stretch"].exp()) + of["offset"] @ of["basis"]
        means = of["centre"] + site.scale * of["shift"]
        return weight.reshape(site.shape), means - (weight * of["mean"][:, None]).sum(2).reshape(-1)

    shapes = layer.integers.shape, (), layer.centre.shape
    moved = {
        name: Parameter(np.zeros(shape, np.float32), rate)
        for name, shape, rate in zip(rates._fields, shapes, rates, strict=True)
    }
    arrays = {"integers": layer.integers, "centre": layer.centre, "mean": site.mean, "basis": site.basis}
    return Parametrized(moved, {k: np.asarray(a, np.float32) for k, a in arrays.items()}, make)


def trained(sites: Sites, layers: Layers, parameters: Mapping[str, Mapping[str, F32]]) -> dict[str, Layer]:
    """The layers after training, their levels as before.

    parameters : by convolution, the values of the parameters of ``parametrized`` after training
    """
    return {
        name: layers[name].moved(
            found["offset"] @ sites[name].basis, float(found["stretch"]), sites[name].scale * found["shift"]
        )
        for name, found in parameters.items()
    }


def requantized(
    quantizer: Quantizer, sites: Sites, layers: Layers, prices: Prices, sweeps: int
) -> dict[str, Layer]:
    """The layers with their levels chosen anew around their targets, by ``sweeps`` of coordinate descent."""
    found = {}
    for name, layer in layers.items():
        problem = replace(sites[name].problem, target=layer.target)
        price = quantizer.error_of_a_bit(name, problem, prices)
        choice = settle(problem, layer.integers, layer.step, price, prices.nonzero.get(name, 0.0), sweeps)
        found[name] = replace(layer, integers=choice.integers)
    return found


def point_of(quantizer: Quantizer, sites: Sites, layers: Layers) -> Point:
    """The network of these layers, ready to be written."""
    weights, biases, bits = {}, {}, 0.0
    for name, layer in layers.items():
        site = sites[name]
        integers = layer.integers.reshape(site.shape)
        weights[name] = Weight.of(levels_of(integers, layer.step, quantizer.constraints.symmetric))
        biases[name] = np.asarray(layer.centre - site.mean_outputs(layer.integers * layer.step), np.float32)
        bits += settle(site.problem, layer.integers, layer.step, 1.0, 0.0, 0).bits
    return Point(weights, biases, bits)
