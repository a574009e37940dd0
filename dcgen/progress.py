"""How a stage that takes long reports how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the stage, the steps that are done, and the steps in all."""


def counted(progress: Progress, stage: str, total: int) -> Callable[[int], None]:
    """A callback that takes the number of steps just done, and reports how many are done so far."""
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, done, total)

    return step
