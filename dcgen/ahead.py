"""Work on all cores whose results come in order, as if it were done one after the other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


def one_blas_thread(work: F) -> F:
    """Decorates a function during which BLAS computes on one thread.

    Such a function keeps all cores busy itself, which is faster than splitting each matrix product. Its sums then
    do not depend on the number of cores.
    """
    limited: F = threadpool_limits.wrap(limits=1, user_api="blas")(work)
    return limited


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order, each made by another thread while the one before it is in use.

    An exception of ``items`` is raised when its turn comes. Making an item must not change the item before it.
    """
    iterator = iter(items)

    def following() -> tuple[T, ...]:
        for item in iterator:
            return (item,)
        return ()

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(following)
        while item := coming.result():
            coming = thread.submit(following)
            yield item[0]


def in_turn(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``work`` of each item, in order. As many items are worked on at once as there are cores.

    ``items`` is read no further ahead than that needs. An exception is raised when its turn comes.
    """
    threads = os.cpu_count() or 1
    begun: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) > threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
