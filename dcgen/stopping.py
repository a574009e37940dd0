"""What a signal does: the process ends at once, wherever it is, and leaves no child, temporary file or traceback.

An exception that a signal handler raises can get lost: in a finaliser, in a callback from C, in an ``except`` of
another package. So the handler raises none. It kills the processes that were started, undoes what was begun on
disk, says so in one line, and ends the process.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
"""Signals that end a run: Ctrl-C, a polite kill, a terminal that closed, Ctrl-backslash."""

ROUNDS, QUIET_ROUNDS, PAUSE = 200, 3, 0.01
"""Other threads run on while the process is ended, and may start a program or write a file once more. So all is
undone again, after a pause in seconds, until several rounds in a row have found nothing to do."""

_undo: list[Callable[[], bool]] = []


@contextmanager
def undone_by_signal(undo: Callable[[], bool]) -> Iterator[None]:
    """Calls ``undo`` where a signal ends the process during the block, the last one begun first.

    It is called in the middle of the block, and again and again as other threads run on. It returns whether there
    was anything to do.
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
    quiet = 0
    for _round in range(ROUNDS):
        busy = _kill_descendants()
        for undo in reversed(_undo):
            with suppress(Exception):
                busy |= undo()
        quiet = 0 if busy else quiet + 1
        if quiet == QUIET_ROUNDS:
            break
        time.sleep(PAUSE)
    cursor = b"\r\x1b[K\x1b[?25h" if _is_terminal(2) else b""  # a progress bar hides the cursor
    with suppress(OSError):
        os.write(2, cursor + b"dcgen: interrupted\n")
    os._exit(128 + number)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _kill_descendants() -> bool:
    """Kill the processes that this one has started, and those that they have, where the system tells (Linux).

    Returns whether there was one that could be killed.
    """
    parents = dict(_parents())
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    for process in found - {os.getpid()}:
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
    return len(found) > 1


def _parents() -> Iterator[tuple[int, int]]:
    """Every process that has not ended, and its parent."""
    with suppress(OSError):
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state not in (b"Z", b"X"):
                    yield int(name), int(parent)
