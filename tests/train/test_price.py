"""The controllers that lead a network to a size or to a loss of accuracy, on networks that answer at once."""

from __future__ import annotations

import math

import pytest

from dcgen.train.price import FIRST_TO_ACCURACY, AccuracyPrice, SizePrice


def test_the_size_is_led_to_the_goal() -> None:
    price, size = SizePrice(goal=1_000.0, squeeze=0.5), 20_000.0
    for step in range(2_000):
        nats = price.step(size, step / 2_000)
        size += 0.05 * (20_000 / (1 + (nats / 2e-6) ** 0.7) - size)
    assert size == pytest.approx(1_000, rel=0.05)


def test_the_accuracy_is_led_to_its_limit() -> None:
    price, nats = AccuracyPrice(least=0.95), 0.0
    seen = []
    for _ in range(40):
        nats = price.step(10_000.0, 0.0)
        seen.append(accuracy := 1 - 0.05 * (nats / 1e-3) ** 0.5)
        price.judge(accuracy)
    assert FIRST_TO_ACCURACY / 10_000 < nats == pytest.approx(1e-3, rel=0.3)
    held = [accuracy >= 0.95 for accuracy in seen]
    assert held[0] and False in held and True in held[-4:]


def test_a_price_rises_faster_while_the_accuracy_holds_and_turns_slowly() -> None:
    price = AccuracyPrice(nats=1.0, least=0.9)
    price.judge(0.9)
    assert math.log(price.nats) == pytest.approx(1.3 * math.log(2))
    price.judge(0.8)
    assert math.log(price.nats) == pytest.approx(0.65 * math.log(2))


def test_a_price_does_not_fall_below_that_of_the_first_step() -> None:
    price = AccuracyPrice(least=0.9)
    first = price.step(1_000.0, 0.0)
    for _ in range(5):
        price.judge(0.5)
    assert price.step(900.0, 0.5) == first == FIRST_TO_ACCURACY / 1_000


@pytest.mark.parametrize("price", [SizePrice(goal=10.0), AccuracyPrice(least=0.5)])
def test_a_price_goes_on_where_its_state_was_kept(price: SizePrice | AccuracyPrice) -> None:
    price.step(100.0, 0.1)
    price.judge(0.4)
    again = type(price)()
    again.restore(price.state())
    assert again == price and again.step(90.0, 0.2) == price.step(90.0, 0.2)
