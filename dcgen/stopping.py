"""What a signal does: the process ends at once, wherever it is, and leaves no child, temporary file or traceback.

An exception that a signal handler raises can get lost: in a finaliser, in a callback from C, in an ``except`` of
another package. So the handler raises none. It kills the processes that were started, undoes what was begun on
disk, says so in one line, and ends the process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
"""Signals that end a run: Ctrl-C, a polite kill, a terminal that closed, Ctrl-backslash."""

_undo: list[Callable[[], object]] = []


@contextmanager
def undone_by_signal(undo: Callable[[], object]) -> Iterator[None]:
    """Calls ``undo`` where a signal ends the process during the block, the last one begun first.

    It is called in the middle of the block, whose state on disk may be any.
    """
    _undo.append(undo)
    try:
        yield
    finally:
        _undo.remove(undo)


def install() -> None:
    """End the process so on every signal of ``SIGNALS`` that whoever started it does not ignore."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, _: FrameType | None) -> None:
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # a second signal must not interrupt the cleaning up
    for _attempt in range(2):  # a thread may start or write something after the first
        _kill_descendants()
        for undo in reversed(_undo):
            with suppress(Exception):
                undo()
    cursor = b"\r\x1b[K\x1b[?25h" if _is_terminal(2) else b""  # a progress bar hides the cursor
    with suppress(OSError):
        os.write(2, cursor + b"dcgen: interrupted\n")
    os._exit(128 + number)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _kill_descendants() -> None:
    """Kill the processes that this one has started, and those that they have, where the system tells (Linux)."""
    parents = dict(_parents())
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    for process in found - {os.getpid()}:
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)


def _parents() -> Iterator[tuple[int, int]]:
    """Every process and its parent."""
    with suppress(OSError):
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                yield int(name), int(file.read().rpartition(b")")[2].split()[1])
