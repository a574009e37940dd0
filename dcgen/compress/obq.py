"""Levels for one convolution by second-order error and rate together.

Columns are quantized one after the other and each error is made up for by the weights that are still
free (OBQ: Frantar & Alistarh 2022; in GPTQ's order and blocks: Frantar et al. 2023). A weight does not
round to nearest but takes the level with the least squared error plus price times bits (entropy-
constrained quantization, Choi et al. 2017), so that zeros come from the price. Sweeps of coordinate
descent over the same objective follow, in which every weight answers for all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dcgen.compress.rate import level_costs
from dcgen.compress.uniform import MAX_LEVEL
from dcgen.ir.graph import F64

BLOCK = 64
"""Columns that are finished before the rest is updated by one matrix product."""
START = 2.2
"""Step of a first try over sqrt(price / error of a weight); sqrt(6 / ln 2) = 2.9 where levels are many."""
REACH = 0.6
"""Share of the largest weight that the outermost level reaches at least, in a first try."""
STEP_RATIO = 2**0.25
SWEEPS = 3
"""Sweeps of coordinate descent after a step is chosen; none while steps are compared."""


@dataclass(frozen=True, eq=False)
class Problem:
    """One layer's choice of levels.

    target : float64 [G, R, D], weights to come close to
    hessian : float64 [G, D, D], positive definite
    low, high : least and largest level
    free : bool [G, R, D] or None; where False the weight stays zero
    """

    target: F64
    hessian: F64
    low: int = -MAX_LEVEL
    high: int = MAX_LEVEL
    free: np.ndarray | None = None

    @cached_property
    def factor(self) -> tuple[np.ndarray, F64]:
        """The order of the columns int [G, D], largest variances first, and the upper Cholesky factor of
        H^-1 in that order float64 [G, D, D]."""
        order = _order(self.hessian)
        inverse = np.linalg.inv(_permuted(self.hessian, order))
        lower = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2)
        return order, np.ascontiguousarray(lower.transpose(0, 2, 1))

    def error(self, weights: F64) -> float:
        """tr((T - Q) H (T - Q)^T), summed over the groups."""
        rest = self.target - weights
        return float(((rest @ self.hessian) * rest).sum())


@dataclass(frozen=True, eq=False)
class Choice:
    """Levels int16 [G, R, D], multiples of ``step``, and what they come to.

    error : as ``Problem.error``
    bits : estimated, with the surcharge on non-zero weights
    """

    integers: np.ndarray
    step: float
    error: float
    bits: float


def best_step(problem: Problem, price: float, nonzero: float = 0.0) -> Choice:
    """The levels and the step that make error + price * bits small.

    price : error that a bit is worth
    nonzero : surcharge in bits on every weight that is not zero

    The step starts from what a uniform quantizer of many levels takes at that price and is moved as
    long as that pays.
    """
    step = _first_step(problem, price)

    def cost(step: float) -> float:
        found = _quantize(problem, step, price, nonzero, 0)
        return found.error + price * found.bits

    least = cost(step)
    for ratio in (STEP_RATIO, 1 / STEP_RATIO):
        moved = False
        while (found := cost(step * ratio)) < least:
            step, least, moved = step * ratio, found, True
        if moved:
            break
    return _quantize(problem, step, price, nonzero, SWEEPS)


def rough(problem: Problem, price: float, nonzero: float = 0.0) -> Choice:
    """As ``best_step``, at the step that it starts from and without its sweeps."""
    return _quantize(problem, _first_step(problem, price), price, nonzero, 0)


def settle(
    problem: Problem, integers: np.ndarray, step: float, price: float, nonzero: float, sweeps: int
) -> Choice:
    """Better levels near given ones (int16 [G, R, D]) at a step that stays, by sweeps of coordinate descent."""
    q = _allowed(problem, integers.astype(np.float64))
    for _ in range(sweeps):
        q = _descend(problem, q, step, price, level_costs(q, nonzero))
    return _choice(problem, q, step, nonzero)


def _first_step(problem: Problem, price: float) -> float:
    # The geometric mean of what a weight's error costs once the others have made up for it.
    cost = np.exp(-2 * np.log(np.einsum("gdd->gd", problem.factor[1])).mean())
    # and no less than what the levels need to reach nearly all weights
    reach = float(np.abs(problem.target).max()) / max(problem.high, -problem.low)
    return max(START * float(np.sqrt(price / cost)), REACH * reach)


def _quantize(
    problem: Problem,
    step: float,
    price: float,
    nonzero: float,
    sweeps: int,
) -> Choice:
    q = _allowed(problem, np.rint(problem.target / step))
    for _ in range(2):
        q = _feedback(problem, step, price, level_costs(q, nonzero))
    for _ in range(sweeps):
        q = _descend(problem, q, step, price, level_costs(q, nonzero))
        step = fitted_step(problem, q, step)
    return _choice(problem, q, step, nonzero)


def _choice(problem: Problem, q: F64, step: float, nonzero: float) -> Choice:
    costs = level_costs(q, nonzero)
    bits = float(costs[q.astype(np.int64) + MAX_LEVEL].sum())
    return Choice(q.astype(np.int16), step, problem.error(q * step), bits)


def _allowed(problem: Problem, q: F64) -> F64:
    q = np.clip(q, problem.low, problem.high)
    return q if problem.free is None else q * problem.free


def _best(problem: Problem, x: F64, curvature: F64, costs: F64, free: np.ndarray | None) -> F64:
    """The level near ``x`` with the least curvature * (x - level)^2 + bits; ``x`` [G, R], in steps."""
    near = np.clip(np.rint(x), problem.low, problem.high)
    best = near
    least = curvature * (x - near) ** 2 + costs[near.astype(np.int64) + MAX_LEVEL]
    for other in (near - np.sign(near), np.zeros_like(near)):
        cost = curvature * (x - other) ** 2 + costs[other.astype(np.int64) + MAX_LEVEL]
        better = cost < least
        best, least = np.where(better, other, best), np.where(better, cost, least)
    return best if free is None else best * free


def _feedback(problem: Problem, step: float, price: float, costs: F64) -> F64:
    """One pass of GPTQ with the rate in each choice: levels float64 [G, R, D]."""
    order, upper = problem.factor
    at = order[:, None]
    w = np.take_along_axis(problem.target, at, 2)
    free = None if problem.free is None else np.take_along_axis(problem.free, at, 2)
    q = np.empty_like(w)
    for begin in range(0, w.shape[2], BLOCK):
        end = min(begin + BLOCK, w.shape[2])
        block, errors = w[:, :, begin:end].copy(), np.empty((*w.shape[:2], end - begin))
        for j in range(end - begin):
            d = upper[:, begin + j, begin + j, None]
            x = block[:, :, j] / step
            level = _best(
                problem, x, (step / d) ** 2 / price, costs, None if free is None else free[:, :, begin + j]
            )
            q[:, :, begin + j] = level
            e = (x - level) * step / d
            block[:, :, j + 1 :] -= e[:, :, None] * upper[:, begin + j, None, begin + j + 1 : end]
            errors[:, :, j] = e
        w[:, :, end:] -= errors @ upper[:, begin:end, end:]
    back = np.empty_like(q)
    np.put_along_axis(back, np.broadcast_to(at, q.shape), q, 2)
    return back


def _descend(problem: Problem, q: F64, step: float, price: float, costs: F64) -> F64:
    """One sweep of coordinate descent, largest variances first."""
    h = problem.hessian
    order = _order(h)
    at = order[:, None]
    target, q = (np.take_along_axis(a, at, 2) for a in (problem.target, q))
    free = None if problem.free is None else np.take_along_axis(problem.free, at, 2)
    h = _permuted(h, order)
    pull = (target - q * step) @ h  # minus half the gradient
    for begin in range(0, q.shape[2], BLOCK):
        end = min(begin + BLOCK, q.shape[2])
        block, moves = pull[:, :, begin:end].copy(), np.empty((*q.shape[:2], end - begin))
        for j in range(end - begin):
            d = h[:, begin + j, begin + j, None]
            old = q[:, :, begin + j]
            x = old + block[:, :, j] / (d * step)
            level = _best(problem, x, d * step**2 / price, costs, None if free is None else free[:, :, begin + j])
            move = (level - old) * step
            block -= move[:, :, None] * h[:, begin + j, None, begin:end]
            q[:, :, begin + j] = level
            moves[:, :, j] = move
        pull[:, :, end:] -= moves @ h[:, begin:end, end:]
    back = np.empty_like(q)
    np.put_along_axis(back, np.broadcast_to(at, q.shape), q, 2)
    return back


def fitted_step(problem: Problem, q: F64, step: float) -> float:
    """The step with the least error for given levels; ``step`` where all are zero."""
    pull = q @ problem.hessian
    square = float((pull * q).sum())
    return float((pull * problem.target).sum()) / square if square > 0 else step


def _order(h: F64) -> np.ndarray:
    return np.argsort(-np.einsum("gdd->gd", h), axis=1, kind="stable")


def _permuted(h: F64, order: np.ndarray) -> F64:
    return np.take_along_axis(np.take_along_axis(h, order[:, :, None], 1), order[:, None], 2)
