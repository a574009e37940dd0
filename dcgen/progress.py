"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, steps done, steps in all."""


def counted(progress: Progress, stage: str, total: int) -> Callable[[int], None]:
    """A callback that takes steps newly done and reports the sum of them."""
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, done, total)

    return step
