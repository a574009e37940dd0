"""Results come in order, whatever is computed meanwhile, and an exception arrives when its turn comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dcgen.ahead import ahead, in_turn


def failing(at: int) -> Iterator[int]:
    yield from range(at)
    raise ValueError(f"item {at}")


@pytest.mark.parametrize("n", [0, 1, 5])
def test_order_is_kept(n: int) -> None:
    assert list(ahead(range(n))) == list(range(n))
    assert list(in_turn(lambda x: x * x, range(n))) == [x * x for x in range(n)]


def test_the_next_item_is_made_while_one_is_in_use() -> None:
    begun = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        begun.set()
        yield 1

    for item in ahead(items()):
        assert item == 1 or begun.wait(10)


def test_no_more_than_the_cores_are_begun_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    asked: list[int] = []

    def items() -> Iterator[int]:
        for i in range(10):
            asked.append(i)
            yield i

    next(in_turn(lambda x: x, items()))
    assert len(asked) <= 3


def test_errors_arrive_where_their_turn_is() -> None:
    seen: list[int] = []
    with pytest.raises(ValueError, match="item 2"):
        seen.extend(ahead(failing(2)))
    with pytest.raises(ZeroDivisionError):
        for found in in_turn(lambda x: 1 // (3 - x), range(10)):
            seen.append(found)
    assert seen == [0, 1, 0, 0, 1]
