"""The search for a price meets its goal closely in few tries, whether figures scatter from price to price or
not."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dcgen.compress import goals
from dcgen.compress.evidence import Trial
from dcgen.compress.goals import DENSE_ENOUGH, Goal, Surcharge, Try, meet, sparse
from dcgen.compress.point import Point
from dcgen.compress.secondorder import Prices
from dcgen.errors import ConfigError

PRICE = 1e-7


def searched(
    monkeypatch: pytest.MonkeyPatch,
    goal: Goal,
    scatter: float,
    first: float,
    seed: int,
    error_scatter: float | None = None,
    bias: float = 1.0,
) -> list[Trial]:
    """The trials of a search over a made-up network, in order, and once more that of the try that is chosen.

    Its divergence is 0.1 nats at the price ``PRICE``, and its size 370,000 bytes there.

    scatter : standard deviation of the logarithm of a measured divergence
    first : price that the search begins at
    error_scatter : standard deviation of the logarithm of the divergence that errors of scores let expect; None:
        no divergence to expect is known
    bias : factor by which the divergence to expect is too large
    """
    rng, tried = np.random.default_rng(seed), []

    def attempt(quantizer, surcharge, bit: float, stage: str) -> Try:
        kl = 0.1 * (bit / PRICE) ** 0.7
        seen = kl * math.exp(scatter * rng.standard_normal())
        tried.append(Trial(round(370_000 * (bit / PRICE) ** -0.2), seen, 0.9, score_error=kl / 0.8))
        of_error = None if error_scatter is None else bias * 0.8 * math.exp(error_scatter * rng.standard_normal())
        return Try(Point({}, {}, 0.0, of_error), None, tried[-1], Prices(bit, {}))

    chosen = met(monkeypatch, goal, attempt, first)
    return [*tried, chosen]


def met(monkeypatch: pytest.MonkeyPatch, goal: Goal, attempt: Callable[..., Try], first: float) -> Trial:
    """The trial of the try that is chosen among those that ``attempt`` makes, ``first`` being the first price."""
    quantizer = SimpleNamespace(work_bits=0.0)
    monkeypatch.setattr(goals, "attempt", attempt)
    monkeypatch.setattr(goals, "first_price", lambda quantizer, goal: first)
    monkeypatch.setattr(goals, "Surcharge", lambda quantizer, density: None)
    return meet(quantizer, goal, 1.0).trial


@pytest.mark.parametrize("first", [PRICE / 5, PRICE / 1.3, PRICE, 1.3 * PRICE, 5 * PRICE])
def test_a_size_is_met_within_a_few_tries(monkeypatch: pytest.MonkeyPatch, first: float) -> None:
    *tried, chosen = searched(monkeypatch, Goal("max_bytes", 365_000), 0.0, first, 0)
    assert 0.99 * 365_000 <= chosen.blob_bytes <= 365_000 and len(tried) <= 5


@pytest.mark.parametrize("first", [PRICE / 2, PRICE / 1.3, PRICE, 1.3 * PRICE, 2 * PRICE])
def test_a_divergence_that_scatters_is_met_at_no_more_than_the_size_it_has_on_average(
    monkeypatch: pytest.MonkeyPatch, first: float
) -> None:
    found = [searched(monkeypatch, Goal("max_kl", 0.1), 0.1, first, seed) for seed in range(40)]
    assert all(chosen.mean_kl <= 0.1 for *_, chosen in found)
    assert np.mean([len(tried) for *tried, _ in found]) <= 5.2
    assert 0.96 * 370_000 <= np.median([chosen.blob_bytes for *_, chosen in found]) <= 1.02 * 370_000


def test_errors_of_scores_say_where_a_divergence_is_met_more_closely_than_the_divergence_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sizes(error_scatter: float | None) -> np.ndarray:
        seeds = range(60)
        found = [searched(monkeypatch, Goal("max_kl", 0.1), 0.06, PRICE / 1.3, s, error_scatter) for s in seeds]
        assert all(chosen.mean_kl <= 0.1 for *_, chosen in found)
        return np.array([chosen.blob_bytes for *_, chosen in found])

    itself, errors = sizes(None), sizes(0.02)
    assert errors.std() < 0.75 * itself.std()
    assert 0.995 * 370_000 <= np.median(errors) <= 1.01 * 370_000


@pytest.mark.parametrize(
    ("bias", "least", "most"), [(0.7, 0.94, 1.06), (0.9, 0.97, 1.04), (1.1, 0.98, 1.04), (1.3, 0.98, 1.08)]
)
def test_a_goal_is_met_also_where_errors_of_scores_let_expect_too_much_or_too_little(
    monkeypatch: pytest.MonkeyPatch, bias: float, least: float, most: float
) -> None:
    goal, seeds = Goal("max_kl", 0.1), range(40)
    found = [searched(monkeypatch, goal, 0.06, PRICE / 1.3, s, 0.03, bias)[-1] for s in seeds]
    assert all(chosen.mean_kl <= 0.1 for chosen in found)
    assert least * 370_000 <= np.median([chosen.blob_bytes for chosen in found]) <= most * 370_000


def test_a_goal_that_one_network_meets_by_chance_is_met_with_that_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(quantizer, surcharge, bit: float, stage: str) -> Try:
        trial = Trial(370_000, next(figures), 0.9, score_error=0.2)
        return Try(Point({}, {}, 0.0, 1.0), None, trial, Prices(bit, {}))

    figures = iter([0.09, *[0.2] * 7])
    assert met(monkeypatch, Goal("max_kl", 0.1), attempt, PRICE).mean_kl == 0.09


def test_a_divergence_far_from_the_first_guess_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    for first in (PRICE / 100, 100 * PRICE):
        assert searched(monkeypatch, Goal("max_kl", 0.1), 0.1, first, 1)[-1].mean_kl <= 0.1


def test_a_goal_that_no_price_meets_is_refused_with_what_was_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"max_kl: 1e-12 cannot be met, .* was reached"):
        searched(monkeypatch, Goal("max_kl", 1e-12), 0.0, PRICE, 0)


class Pruned:
    """A quantizer whose networks are ``ratio`` times as dense as their sketches, and never less dense than
    ``least``."""

    graph, names = None, ("conv",)

    def __init__(self, ratio: float, least: float = 0.0) -> None:
        self.ratio, self.least, self.made, self.work_bits = ratio, least, 0, 0.0
        self.evidence = SimpleNamespace(work={}, trial=lambda graph: Trial(1, 0.1, 0.9))

    def sketch(self, prices: Prices) -> SimpleNamespace:
        return SimpleNamespace(kl=0.1, density=0.8 * math.exp(-prices.nonzero["conv"] / 4))

    def at(self, prices: Prices, stage: str) -> SimpleNamespace:
        self.made += 1
        density = max(self.least, self.ratio * self.sketch(prices).density)
        return SimpleNamespace(density=density, applied=lambda graph: graph)


@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_a_density_is_met_from_below_and_closely(ratio: float) -> None:
    quantizer: Any = Pruned(ratio)
    found = sparse(quantizer, 0.33)
    assert DENSE_ENOUGH * 0.33 <= found.point.density <= 0.33
    assert found.prices.bit == goals.first_price(quantizer, Goal("max_kl", goals.SPARSE_KL))
    assert quantizer.made <= 3


def test_a_network_that_is_sparser_than_asked_for_stays_as_it_is() -> None:
    quantizer: Any = Pruned(1.0)
    assert goals.attempt(quantizer, Surcharge(quantizer, 0.9), PRICE, "").point.density == 0.8
    assert sparse(quantizer, 0.9).point.density == 0.8
    assert quantizer.made == 2


def test_a_density_out_of_reach_is_refused_with_what_was_reached() -> None:
    quantizer: Any = Pruned(1.0, least=0.2)
    with pytest.raises(ConfigError, match=r"density: 0\.1 cannot be met, 0\.2000 was reached"):
        sparse(quantizer, 0.1)
