"""Threads that build and run programs, and are all waited for when a signal ends the work."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor


class WorkPool(ThreadPoolExecutor):
    """A thread for each core, all of them running before there is any work.

    A signal that raises while ``submit`` starts a thread would leave one that the pool does not know of and
    does not wait for: it would go on to write into a folder that is being removed. So a pool is made before
    the folder that its threads work in.
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
