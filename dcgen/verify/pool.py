"""Threads that build and run programs. When an exception ends the work, all of them are waited for."""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from dcgen.stopping import undone_by_signal


class WorkPool(ThreadPoolExecutor):
    """A thread for each core. All of them run when the constructor returns, before there is any work.

    The pool has to be made before the folder that its threads write into. If ``submit`` started threads, an
    exception meanwhile could leave one that the pool does not know and does not wait for, and it would write into
    a folder that is being removed. Where a signal ends the process, no further work is begun.
    """

    def __init__(self) -> None:
        count = os.cpu_count() or 1
        super().__init__(count)
        self._on_signal = ExitStack()
        started = threading.Barrier(count + 1)
        try:
            for _ in range(count):
                self.submit(started.wait)
            started.wait()
        except BaseException:
            started.abort()
            self.shutdown(wait=False)
            raise
        self._on_signal.enter_context(undone_by_signal(self._forget_work))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As that of the base, after which the pool is none of a signal's business."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        self._on_signal.close()

    def _forget_work(self) -> bool:
        """Take work that nobody has begun out of the queue, which a signal handler may do at any time."""
        try:
            while True:
                self._work_queue.get_nowait()
        except queue.Empty:
            return False
