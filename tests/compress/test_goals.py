"""The search for a price whose figure scatters, and for one whose figure does not."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from dcgen.compress import goals
from dcgen.compress.evidence import Trial
from dcgen.compress.goals import Goal, Try, meet
from dcgen.errors import ConfigError

PRICE = 1e-7


def searched(monkeypatch: pytest.MonkeyPatch, goal: Goal, scatter: float, first: float, seed: int) -> list[Trial]:
    """The tries of a search over a made-up network: the one that is chosen comes last."""
    rng, tried = np.random.default_rng(seed), []

    def attempt(quantizer, surcharge, bit: float, stage: str) -> Try:
        kl = 0.1 * (bit / PRICE) ** 0.7 * math.exp(scatter * rng.standard_normal())
        tried.append(Trial(round(370_000 * (bit / PRICE) ** -0.2), kl, 0.9))
        return Try(None, None, tried[-1])

    free = SimpleNamespace(evidence=SimpleNamespace(nonzero_bits={}))  # of any price but that of a bit
    monkeypatch.setattr(goals, "attempt", attempt)
    monkeypatch.setattr(goals, "first_price", lambda quantizer, goal: first)
    monkeypatch.setattr(goals, "Surcharge", lambda quantizer, density: None)
    chosen = meet(free, goal, 1.0).trial
    return [*tried, chosen]


@pytest.mark.parametrize("first", [PRICE / 5, PRICE / 1.3, PRICE, 1.3 * PRICE, 5 * PRICE])
def test_a_size_is_met_within_a_few_tries(monkeypatch: pytest.MonkeyPatch, first: float) -> None:
    *tried, chosen = searched(monkeypatch, Goal("max_bytes", 365_000), 0.0, first, 0)
    assert 0.99 * 365_000 <= chosen.blob_bytes <= 365_000 and len(tried) <= 5


@pytest.mark.parametrize("first", [PRICE / 2, PRICE / 1.3, PRICE, 1.3 * PRICE, 2 * PRICE])
def test_a_divergence_that_scatters_is_met_at_about_the_size_it_has_on_average(
    monkeypatch: pytest.MonkeyPatch, first: float
) -> None:
    found = [searched(monkeypatch, Goal("max_kl", 0.1), 0.1, first, seed) for seed in range(40)]
    assert all(chosen.mean_kl <= 0.1 for *_, chosen in found)
    assert np.mean([len(tried) for *tried, _ in found]) <= 4
    assert 0.97 * 370_000 <= np.median([chosen.blob_bytes for *_, chosen in found]) <= 1.03 * 370_000


def test_a_divergence_far_from_the_first_guess_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    for first in (PRICE / 100, 100 * PRICE):
        assert searched(monkeypatch, Goal("max_kl", 0.1), 0.1, first, 1)[-1].mean_kl <= 0.1


def test_what_no_price_gives_is_refused_with_what_was_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"max_kl: 1e-12 cannot be met, .* was reached"):
        searched(monkeypatch, Goal("max_kl", 1e-12), 0.0, PRICE, 0)
