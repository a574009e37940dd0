"""The search for a price meets its goal closely in few tries, whether figures scatter from price to price or
not, and takes the best of its tries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dcgen.compress import attempts, goals
from dcgen.compress.attempts import DENSE_ENOUGH, RANGE, Surcharge, Try
from dcgen.compress.evidence import Trial
from dcgen.compress.goals import DEFAULT_CHANGES, DEFAULT_LOSS, Goal, judged, meet, sparse
from dcgen.compress.point import Point
from dcgen.compress.secondorder import Prices
from dcgen.errors import ConfigError

PRICE = 1e-7
OF_CLASSES = Trial(
    blob_bytes=370_000,
    pictures=200,
    classes=1000,
    relative_error=0.2,
    loss=0.1,
    score_error=0.125,
    mean_kl=0.1,
    agreement=0.9,
    expected_changes=0.1,
)
OF_VALUES = Trial(
    blob_bytes=370_000, pictures=200, classes=0, relative_error=0.1, loss=0.005, score_error=0.005
)  # no figure of classes


def made(trial: Trial, price: float = PRICE, of_error: float | None = 0.8, emptied: tuple[str, ...] = ()) -> Try:
    """A try that measured this."""
    graph: Any = None
    return Try(Point({}, {}, 0.0, of_error), graph, trial, Prices(price, {}), emptied)


def searched(
    monkeypatch: pytest.MonkeyPatch,
    goal: Goal,
    scatter: float,
    first: float,
    seed: int,
    error_scatter: float | None = None,
    bias: float = 1.0,
    large: bool = True,
) -> list[Trial]:
    """The trials of a search over a made-up network, in order, and once more that of the try that is chosen.

    Its divergence is 0.1 nats at the price ``PRICE``, and its size 370,000 bytes there.

    scatter : standard deviation of the logarithm of a measured divergence
    first : price that the search begins at
    error_scatter : standard deviation of the logarithm of the divergence that errors of scores let expect; None:
        no divergence to expect is known
    bias : factor by which the divergence to expect is too large
    large : whether a try takes long
    """
    rng, tried = np.random.default_rng(seed), []

    def attempt(quantizer, surcharge, bit: float, stage: str) -> Try:
        kl = 0.1 * (bit / PRICE) ** 0.7
        seen = kl * math.exp(scatter * rng.standard_normal())
        size = round(370_000 * (bit / PRICE) ** -0.2)
        tried.append(replace(OF_CLASSES, blob_bytes=size, loss=seen, mean_kl=seen, score_error=kl / 0.8))
        of_error = None if error_scatter is None else bias * 0.8 * math.exp(error_scatter * rng.standard_normal())
        return made(tried[-1], bit, of_error)

    chosen = met(monkeypatch, goal, attempt, first, large)
    return [*tried, chosen]


def met(
    monkeypatch: pytest.MonkeyPatch, goal: Goal, attempt: Callable[..., Try], first: float, large: bool = True
) -> Trial:
    """The trial of the try that is chosen among those that ``attempt`` makes, ``first`` being the first price."""
    quantizer: Any = SimpleNamespace(work_bits=0.0, weights=goals.LARGE if large else 1000)
    monkeypatch.setattr(goals, "attempt", attempt)
    monkeypatch.setattr(goals, "_first_price", lambda quantizer, goal: first)
    monkeypatch.setattr(goals, "_drafted", lambda quantizer, goal, price: price)
    monkeypatch.setattr(goals, "Surcharge", lambda quantizer, density: None)
    return meet(quantizer, goal, 1.0).trial


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("first", [PRICE / 5, PRICE / 1.3, PRICE, 1.3 * PRICE, 5 * PRICE])
def test_a_size_is_met_within_a_few_tries(monkeypatch: pytest.MonkeyPatch, first: float, large: bool) -> None:
    *tried, chosen = searched(monkeypatch, Goal("max_bytes", 365_000), 0.0, first, 0, large=large)
    assert 0.99 * 365_000 <= chosen.blob_bytes <= 365_000 and len(tried) <= 5


def test_of_files_of_about_one_size_the_better_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(quantizer, surcharge, bit: float, stage: str) -> Try:
        size, error = next(figures)
        return made(replace(OF_CLASSES, blob_bytes=size, score_error=error), bit)

    figures = iter([(364_000, 0.4)])  # a single one ends the search
    assert met(monkeypatch, Goal("max_bytes", 365_000), attempt, PRICE).score_error == 0.4
    figures = iter([(360_000, 0.1), (380_000, 0.05), (364_000, 0.2)])
    assert met(monkeypatch, Goal("max_bytes", 365_000), attempt, PRICE).score_error == 0.1
    figures = iter([(340_000, 0.1), (380_000, 0.05), (364_000, 0.2)])
    assert met(monkeypatch, Goal("max_bytes", 365_000), attempt, PRICE).score_error == 0.2


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
    assert 0.995 * 370_000 <= np.median(errors) <= 1.015 * 370_000


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
        kl = next(figures)
        return made(replace(OF_CLASSES, loss=kl, mean_kl=kl, score_error=0.2), bit)

    figures = iter([0.09, *[0.2] * 7])
    assert met(monkeypatch, Goal("max_kl", 0.1), attempt, PRICE).mean_kl == 0.09


@pytest.mark.parametrize("large", [False, True])
def test_a_divergence_far_from_the_first_guess_is_met(monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    for first in (PRICE / 100, 100 * PRICE):
        found = searched(monkeypatch, Goal("max_kl", 0.1), 0.1, first, 1, large=large)[-1]
        assert found.mean_kl <= 0.1 and found.blob_bytes < 1.1 * 370_000


def test_a_goal_that_no_price_meets_is_refused_with_what_was_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    message = r"max_kl: 1e-12 cannot be met, .* was reached with .* bytes at mean KL .*, agreement 90\.0 %"
    with pytest.raises(ConfigError, match=message):
        searched(monkeypatch, Goal("max_kl", 1e-12), 0.0, PRICE, 0)
    with pytest.raises(ConfigError, match=r"max_error: 0\.05 .*, 0\.1 was .* bytes at relative error 0\.1000 \("):
        met(monkeypatch, Goal("max_error", 0.05), lambda *_: made(OF_VALUES), PRICE)


def test_before_a_goal_is_refused_the_lowest_price_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []

    def attempt(quantizer, surcharge, bit: float, stage: str) -> Try:
        tried.append(bit)
        return made(replace(OF_CLASSES, mean_kl=0.1 if bit > 2 * RANGE[0] else 0.01))  # flat down to the last

    assert met(monkeypatch, Goal("max_kl", 0.099), attempt, PRICE).mean_kl == 0.01
    assert tried[-1] == pytest.approx(RANGE[0]) and len(tried) == goals.TRIES[1]


def test_what_nobody_asked_for_is_never_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The closest network is taken, and one without empty layers before all others."""

    def attempt(quantizer, surcharge, bit: float, stage: str) -> Try:
        loss, emptied = next(figures)
        return made(replace(OF_CLASSES, loss=loss), bit, None, emptied)

    figures = iter([(0.3, ()), (0.2, ("conv",)), *[(0.25, ())] * 20])
    assert met(monkeypatch, Goal("fidelity", 1.0), attempt, PRICE).loss == 0.25


def test_a_network_with_an_empty_layer_meets_no_goal_but_a_size() -> None:
    """Its figures are within every limit by chance, or because they see nothing."""
    tries = [made(OF_CLASSES), made(OF_CLASSES, emptied=("conv",))]
    for goal in (Goal("max_kl", 1.0), Goal("fidelity", 1.0), Goal("max_error", 1.0)):
        assert [v.meets for v in judged(tries, goal)] == [True, False], goal
    assert all(v.meets for v in judged(tries, Goal("max_bytes", 400_000)))


# The limits


def names(trial: Trial) -> list[str]:
    return [part.name for part in Goal("fidelity", 1.0).parts(trial)]


def test_the_limits_of_a_user_who_asks_for_nothing_suit_the_outputs() -> None:
    assert names(OF_VALUES) == ["relative_error"]
    assert names(OF_CLASSES) == ["loss", "changes"]
    labelled = replace(OF_CLASSES, top1_drop=0.4, expected_drop=(0.2, 0.4))
    assert names(labelled) == ["loss", "changes", "top1_drop"]


@pytest.mark.parametrize(("pictures", "share"), [(10, 0.791), (100, 0.89), (200, 1.0), (5000, 1.0)])
def test_few_held_out_pictures_allow_less(pictures: int, share: float) -> None:
    loss, changes = Goal("fidelity", 1.0).parts(replace(OF_CLASSES, classes=10, pictures=pictures))[:2]
    assert (loss.limit, changes.limit) == pytest.approx((share * DEFAULT_LOSS, share * DEFAULT_CHANGES))


@pytest.mark.parametrize(
    ("classes", "loss", "changes"), [(2, 0.011, 0.025), (100, 0.011, 0.025), (1000, 0.11, 0.25)]
)
def test_limits_of_many_classes_grow_with_their_number(classes: int, loss: float, changes: float) -> None:
    parts = Goal("fidelity", 1.0).parts(replace(OF_CLASSES, classes=classes))
    assert [p.limit for p in parts] == pytest.approx([loss, changes], rel=1e-3)


def test_a_count_of_changes_may_be_above_the_limit_by_what_chance_adds() -> None:
    """Of 200 pictures with an expected share of 2.5 %, 5.1 % change once in a hundred times, and one picture more
    is allowed."""
    few = replace(OF_CLASSES, classes=10, loss=0.001, expected_changes=0.025)
    for agreement, meets in ((0.945, True), (0.94, False)):
        (verdict,) = judged([made(replace(few, agreement=agreement), of_error=None)], Goal("fidelity", 1.0))
        assert verdict.meets == meets
    (verdict,) = judged([made(replace(few, expected_changes=0.05), of_error=None)], Goal("fidelity", 1.0))
    assert not verdict.meets and verdict.strain == pytest.approx(math.log(2))


def test_the_strain_is_that_of_the_tightest_limit() -> None:
    trial = replace(OF_CLASSES, classes=10, loss=0.0055, expected_changes=0.05)
    (verdict,) = judged([made(trial, of_error=None)], Goal("fidelity", 1.0))
    assert verdict.strain == pytest.approx(math.log(2)) and not verdict.meets
    assert Goal("fidelity", 1.0).figure(trial) == pytest.approx(2)


@pytest.mark.parametrize(("pictures", "limit"), [(1000, 0.3), (100, 1.0), (50, 2.0)])
def test_the_accuracy_that_is_expected_to_be_lost_is_three_tenths_of_a_point_or_one_picture(
    pictures: int, limit: float
) -> None:
    trial = replace(OF_CLASSES, pictures=pictures, top1_drop=0.4, expected_drop=(0.2, 0.4))
    part = Goal("fidelity", 1.0).parts(trial)[-1]
    assert (part.name, part.limit, part.value) == ("top1_drop", limit, 0.4) and part.allowed > limit
    (asked,) = Goal("max_top1_drop", 0.3).parts(trial)  # who asks for a limit gets it of what is measured, too
    assert (asked.value, asked.measured, asked.allowed) == (0.2, 0.4, 0.3)


def test_goals_that_do_not_suit_the_outputs_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"max_kl: needs outputs that are classes, these are values .*`max_error`"
    ):
        Goal("max_kl", 0.1).figure(OF_VALUES)
    with pytest.raises(ConfigError, match=r"max_top1_drop: needs labels of the calibration pictures"):
        Goal("max_top1_drop", 1.0).figure(OF_CLASSES)
    assert Goal("max_error", 0.1).figure(OF_CLASSES) == 0.2 and Goal("max_error", 0.1).figure(OF_VALUES) == 0.1


# Densities


class Pruned:
    """A quantizer whose networks are ``ratio`` times as dense as their sketches, and never less dense than
    ``least``. The loss of sketches is in proportion to the price, on top of what ``levels`` cost."""

    graph, names = None, ("conv",)

    def __init__(self, ratio: float, least: float = 0.0, levels: float = 0.0) -> None:
        self.levels = levels
        self.ratio, self.least, self.made, self.work_bits, self.weights = ratio, least, 0, 0.0, 1000
        self.evidence = SimpleNamespace(work={}, classes=10, trial=lambda graph: OF_CLASSES)

    def sketch(self, prices: Prices) -> SimpleNamespace:
        return SimpleNamespace(
            loss=self.levels + 1e3 * prices.bit, density=0.8 * math.exp(-prices.nonzero["conv"] / 4)
        )

    def at(self, prices: Prices, stage: str) -> SimpleNamespace:
        self.made += 1
        density = max(self.least, self.ratio * self.sketch(prices).density)
        graph = SimpleNamespace(convs=lambda: [])
        return SimpleNamespace(density=density, applied=lambda _: graph)


@pytest.fixture(autouse=True)
def _no_layer_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up networks have no layers."""
    monkeypatch.setattr(attempts, "emptied", lambda before, after: ())


@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_a_density_is_met_from_below_and_closely(ratio: float) -> None:
    quantizer: Any = Pruned(ratio)
    found = sparse(quantizer, 0.33)
    assert DENSE_ENOUGH * 0.33 <= found.point.density <= 0.33
    loss = 1e3 * found.prices.bit
    assert 0.7 <= loss / (goals.SPARSE_SHARE * goals.DEFAULT_LOSS) <= 1.01
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


def test_where_few_levels_lose_more_than_the_default_a_price_still_makes_a_network_sparse() -> None:
    """At the lowest price, a surcharge in bits is worth nothing."""
    quantizer: Any = Pruned(1.0, levels=0.1)
    assert sparse(quantizer, 0.33).prices.bit * 1e3 == pytest.approx((goals.ROOM - 1) * 0.1, rel=0.3)
