"""Threads that build and run programs. When a signal ends the work, all of them are waited for."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor


class WorkPool(ThreadPoolExecutor):
    """A thread for each core. All of them run when the constructor returns, before there is any work.

    The pool has to be made before the folder that its threads write into. If ``submit`` started threads, a signal
    that raises meanwhile could leave one that the pool does not know and does not wait for, and it would write
    into a folder that is being removed.
    """

    def __init__(self) -> None:
        count = os.cpu_count() or 1
        super().__init__(count)
        started = threading.Barrier(count + 1)
        try:
            for _ in range(count):
                self.submit(started.wait)
            started.wait()
        except BaseException:
            started.abort()
            self.shutdown(wait=False)
            raise
