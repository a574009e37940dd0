"""How a stage reports to people while it works: how far it is, and what they should know of their input."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the stage, the steps that are done, and the steps in all."""

Warn = Callable[[str], None]
"""Called with a sentence that people should read although nothing has failed."""


def unheard(sentence: str) -> None:
    """A ``Warn`` for callers that show no warnings."""


def counted(progress: Progress, stage: str, total: int) -> Callable[[int], None]:
    """A callback that takes the number of steps just done, and reports how many are done so far."""
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, done, total)

    return step
