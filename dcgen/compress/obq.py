"""Levels for the weights of one convolution that make squared error and coded size small together.

The weights of each output are a row of a matrix, those of one input a column. Columns are quantized one after the
other, and the columns that are not yet quantized are changed so that they make up for the error (OBQ: Frantar &
Alistarh 2022; in GPTQ's order and blocks: Frantar et al. 2023). A weight does not take the nearest level, but
the one with the least squared error plus price times bits (entropy-constrained quantization: Choi et al. 2017).
So weights become zero where the price of their bits is above what they are worth. Sweeps of coordinate descent
over the same objective follow, in which every weight is chosen anew, all others given.

Arrays are of G groups of a convolution, each with R outputs and D inputs, KH * KW for every input channel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dcgen.compress.rate import level_costs
from dcgen.compress.uniform import MAX_LEVEL
from dcgen.ir.graph import F64

BLOCK = 64
"""Columns that are quantized before the columns behind them are updated, by one matrix product for all."""
FIRST_STEP = 2.2
"""The step that the search begins with, over sqrt(price / curvature), the curvature being the error of a weight
that is off by 1. Were all levels in use, step^2 / 12 * curvature - price * log2(step) would be least at sqrt(6 /
ln 2) = 2.9; most weights are zero or close to it, and the step is smaller then."""
FIRST_REACH = 0.6
"""Share of the largest weight that the outermost level reaches at least with the first step."""
STEP_RATIO = 2**0.25
"""Ratio of two steps that are compared."""
STEP_ROWS = 64
"""Outputs of each group that steps are compared on."""
SWEEPS = 3
"""Sweeps of coordinate descent with the step that was chosen; while steps are compared there are none."""


@dataclass(frozen=True, eq=False)
class Problem:
    """One layer's choice of levels.

    target : float64 [G, R, D], weights to come close to
    hessian : float64 [G, D, D], positive definite: the second moments of what the layer reads
    low, high : least and largest level, as multiples of the step
    free : bool [G, R, D], False where a weight stays zero; None: all may have any level
    """

    target: F64
    hessian: F64
    low: int = -MAX_LEVEL
    high: int = MAX_LEVEL
    free: np.ndarray | None = None

    @cached_property
    def factor(self) -> tuple[np.ndarray, F64]:
        """The order in which columns are quantized, int [G, D], largest variances first, and the upper Cholesky
        factor of H^-1 in that order, float64 [G, D, D]."""
        order = _order(self.hessian)
        inverse = np.linalg.inv(_permuted(self.hessian, order))
        lower = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2)
        return order, np.ascontiguousarray(lower.transpose(0, 2, 1))

    def thinned(self, rows: int) -> Problem:
        """The problem of every k-th output alone, so that about ``rows`` of each group are left."""
        step = max(1, self.target.shape[1] // rows)
        if step == 1:
            return self
        free = None if self.free is None else self.free[:, ::step]
        some = replace(self, target=self.target[:, ::step], free=free)
        some.__dict__["factor"] = self.factor  # which depends on the Hessian alone
        return some

    def error(self, weights: F64) -> float:
        """The squared error of ``weights`` Q, float64 [G, R, D], for a mean input: the sum over all groups of
        tr((T - Q) H (T - Q)^T)."""
        rest = self.target - weights
        return float(((rest @ self.hessian) * rest).sum())


@dataclass(frozen=True, eq=False)
class Choice:
    """Levels, and what they cost.

    integers : int16 [G, R, D], the levels as multiples of ``step``
    error : ``Problem.error`` of them
    bits : estimated size of the coded levels, with the surcharge on weights that are not zero
    """

    integers: np.ndarray
    step: float
    error: float
    bits: float


def best_step(problem: Problem, price: float, nonzero: float = 0.0, step: float | None = None) -> Choice:
    """The levels and the step that make ``error + price * bits`` small.

    price : squared error that is accepted for a bit less
    nonzero : surcharge in bits on every weight that is not zero
    step : the step, where it is known; None to find it

    The search begins at ``FIRST_STEP``, and makes the step larger or smaller by ``STEP_RATIO`` as long as that
    pays. The step is then taken from the parabola through the best three, as a step from a coarse row would make
    networks of nearly the same price differ by more than their price does.
    """

    some = problem.thinned(STEP_ROWS)

    def cost(step: float) -> float:
        found = _quantize(some, step, price, nonzero, 0)
        return found.error + price * found.bits

    if step is None:
        step = _least(cost, _first_step(problem, price))
    return _quantize(problem, step, price, nonzero, SWEEPS)


def _least(cost: Callable[[float], float], first: float) -> float:
    """The step of least cost, from ``first`` on."""
    costs = {i: cost(first * STEP_RATIO**i) for i in (0, 1)}
    at, way = 0, 1
    if costs[1] > costs[0]:
        way = -1
        costs[-1] = cost(first / STEP_RATIO)
    while costs[at + way] < costs[at]:
        at += way
        if at + way not in costs:
            costs[at + way] = cost(first * STEP_RATIO ** (at + way))
    before, here, behind = costs.get(at - 1, math.inf), costs[at], costs.get(at + 1, math.inf)
    curvature = before - 2 * here + behind
    if not math.isfinite(curvature) or curvature <= 0:
        return first * STEP_RATIO**at
    return float(first * STEP_RATIO ** (at + 0.5 * (before - behind) / curvature))


def rough(problem: Problem, price: float, nonzero: float = 0.0) -> Choice:
    """As ``best_step``, with the step that it begins at and without its sweeps."""
    return _quantize(problem, _first_step(problem, price), price, nonzero, 0)


def settle(
    problem: Problem, integers: np.ndarray, step: float, price: float, nonzero: float, sweeps: int
) -> Choice:
    """Levels chosen anew from given ones, by sweeps of coordinate descent; the step stays.

    integers : int16 [G, R, D], the given levels as multiples of ``step``
    price, nonzero : as in ``best_step``
    """
    q = _allowed(problem, integers.astype(np.float64))
    for _ in range(sweeps):
        q = _descend(problem, q, step, price, level_costs(q, nonzero))
    return _choice(problem, q, step, nonzero)


def _first_step(problem: Problem, price: float) -> float:
    """The step that the search begins with: as the price asks for, but such that levels reach nearly all
    weights."""
    # The geometric mean over the columns of the error of a weight that is off by 1, after the others made up for
    # it.
    curvature = np.exp(-2 * np.log(np.einsum("gdd->gd", problem.factor[1])).mean())
    reach = float(np.abs(problem.target).max()) / max(problem.high, -problem.low)
    return max(FIRST_STEP * float(np.sqrt(price / curvature)), FIRST_REACH * reach)


def _quantize(problem: Problem, step: float, price: float, nonzero: float, sweeps: int) -> Choice:
    """Levels for a step, which sweeps of coordinate descent fit to the levels again."""
    q = _allowed(problem, np.rint(problem.target / step))
    for _ in range(2):
        q = _feedback(problem, step, price, level_costs(q, nonzero))
    for _ in range(sweeps):
        q = _descend(problem, q, step, price, level_costs(q, nonzero))
        step = fitted_step(problem, q, step)
    return _choice(problem, q, step, nonzero)


def _choice(problem: Problem, q: F64, step: float, nonzero: float) -> Choice:
    """The levels ``q``, float64 [G, R, D], with what they cost."""
    costs = level_costs(q, nonzero)
    bits = float(costs[q.astype(np.int64) + MAX_LEVEL].sum())
    return Choice(q.astype(np.int16), step, problem.error(q * step), bits)


def _allowed(problem: Problem, q: F64) -> F64:
    """The levels ``q`` within the bounds, and 0 where they must be."""
    q = np.clip(q, problem.low, problem.high)
    return q if problem.free is None else q * problem.free


def _best(problem: Problem, x: F64, curvature: F64, costs: F64, free: np.ndarray | None) -> F64:
    """The levels near ``x`` with the least curvature * (x - level)^2 + bits: float64 [G, R].

    Compared are the nearest level, the next one towards zero, and zero.

    x : float64 [G, R], weights of one column in steps
    curvature : bits that a weight costs which is off by one step
    costs : bits of each level (``level_costs``)
    free : bool [G, R], as in ``Problem``
    """
    near = np.minimum(np.maximum(np.rint(x), problem.low), problem.high)
    inner = near - np.sign(near)
    least = curvature * (x - near) ** 2 + costs.take(near.astype(np.intp) + MAX_LEVEL)
    cost = curvature * (x - inner) ** 2 + costs.take(inner.astype(np.intp) + MAX_LEVEL)
    best = np.where(cost < least, inner, near)
    best[curvature * x**2 + costs[MAX_LEVEL] < np.minimum(cost, least)] = 0
    return best if free is None else np.asarray(best * free)


def _feedback(problem: Problem, step: float, price: float, costs: F64) -> F64:
    """Levels by one pass over the columns, each error passed on to the columns behind: float64 [G, R, D]."""
    order, upper = problem.factor
    w = _columns(problem.target, order)
    free = None if problem.free is None else _columns(problem.free, order)
    q = np.empty_like(w)
    for begin in range(0, w.shape[2], BLOCK):
        end = min(begin + BLOCK, w.shape[2])
        block, errors = w[:, :, begin:end].copy(), np.empty((*w.shape[:2], end - begin))
        for j in range(end - begin):
            d = upper[:, begin + j, begin + j, None]
            x = block[:, :, j] / step
            may = None if free is None else free[:, :, begin + j]
            level = _best(problem, x, (step / d) ** 2 / price, costs, may)
            q[:, :, begin + j] = level
            e = (x - level) * step / d
            block[:, :, j + 1 :] -= e[:, :, None] * upper[:, begin + j, None, begin + j + 1 : end]
            errors[:, :, j] = e
        w[:, :, end:] -= errors @ upper[:, begin:end, end:]
    return _columns(q, np.argsort(order, 1))


def _descend(problem: Problem, q: F64, step: float, price: float, costs: F64) -> F64:
    """The levels after one sweep of coordinate descent from ``q``, columns of largest variance first."""
    h = problem.hessian
    order = _order(h)
    target, q = _columns(problem.target, order), _columns(q, order)
    free = None if problem.free is None else _columns(problem.free, order)
    h = _permuted(h, order)
    pull = (target - q * step) @ h  # minus half of the error's gradient
    for begin in range(0, q.shape[2], BLOCK):
        end = min(begin + BLOCK, q.shape[2])
        block, moves = pull[:, :, begin:end].copy(), np.empty((*q.shape[:2], end - begin))
        for j in range(end - begin):
            d = h[:, begin + j, begin + j, None]
            old = q[:, :, begin + j]
            x = old + block[:, :, j] / (d * step)
            may = None if free is None else free[:, :, begin + j]
            level = _best(problem, x, d * step**2 / price, costs, may)
            move = (level - old) * step
            block -= move[:, :, None] * h[:, begin + j, None, begin:end]
            q[:, :, begin + j] = level
            moves[:, :, j] = move
        pull[:, :, end:] -= moves @ h[:, begin:end, end:]
    return _columns(q, np.argsort(order, 1))


def fitted_step(problem: Problem, q: F64, step: float) -> float:
    """The step with the least error for the levels ``q``, float64 [G, R, D]; ``step`` where all are zero."""
    pull = q @ problem.hessian
    square = float((pull * q).sum())
    return float((pull * problem.target).sum()) / square if square > 0 else step


def _order(h: F64) -> np.ndarray:
    """Columns in order of their variances in the Hessian, the largest first: int [G, D]."""
    return np.argsort(-np.einsum("gdd->gd", h), axis=1, kind="stable")


def _columns(a: np.ndarray, order: np.ndarray) -> np.ndarray:
    """An array [G, R, D] with its columns in the order int [G, D]."""
    return np.take_along_axis(a, order[:, None], 2)


def _permuted(h: F64, order: np.ndarray) -> F64:
    """The Hessian with rows and columns in another order."""
    return np.take_along_axis(np.take_along_axis(h, order[:, :, None], 1), order[:, None], 2)
