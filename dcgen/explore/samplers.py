"""How the points of a study are chosen: Optuna's samplers, seeded anew for each trial, and a grid in order."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

FIRST = 10
"""Trials that are drawn at random before TPE makes its models."""


class Seeded(BaseSampler):
    """A sampler of Optuna's whose draws for a trial depend on the study's seed, the trial's number and the trials
    that have ended: workers that start at once draw different points, and one that goes on draws none again.

    make : makes the sampler of a seed
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._now = make(seed)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._now = self._make(int(np.random.default_rng([self._seed, trial.number]).integers(2**31)))
        self._now.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._now.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._now.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._now.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._now.after_trial(study, trial, state, values)


class Grid(BaseSampler):
    """Takes the points of a grid in order.

    points : parameters of each network by its number
    number_of : the number of the network that a trial is of
    """

    def __init__(
        self, points: Sequence[dict[str, Any]], number_of: Callable[[optuna.Study, FrozenTrial], int]
    ) -> None:
        self._points, self._number_of = points, number_of

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        number = min(self._number_of(study, trial), len(self._points) - 1)  # one beyond the grid is not run
        return self._points[number][param_name]


def sampler(name: str, seed: int) -> BaseSampler:
    """Optuna's sampler of that name, ``tpe``, ``nsga2`` or ``random``, for several workers."""

    def tpe(drawn: int) -> BaseSampler:
        return TPESampler(n_startup_trials=FIRST, multivariate=True, constant_liar=True, seed=drawn)

    makers: dict[str, Callable[[int], BaseSampler]] = {
        "tpe": tpe,
        "nsga2": lambda drawn: NSGAIISampler(seed=drawn),
        "random": lambda drawn: RandomSampler(seed=drawn),
    }
    return Seeded(makers[name], seed)


def hush() -> None:
    """Keep Optuna from printing each trial, and from warning of its functions that are called experimental."""
    optuna.logging.set_verbosity(logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
