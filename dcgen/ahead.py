"""Work on all cores at once, where order matters: results come one by one, as if one after the other."""

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
    """Decorates what keeps the cores busy by itself: matrix products share their work out less well, and sums
    shall not depend on how many cores there are."""
    limited: F = threadpool_limits.wrap(limits=1, user_api="blas")(work)
    return limited


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order, each made by another thread while the one before it is in use.

    What ``items`` raises is raised here, where its turn comes. No item may change what the one before it is.
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
    """``work`` of each item in order, of as many at once as there are cores. No more are begun ahead."""
    threads = os.cpu_count() or 1
    begun: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) > threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
