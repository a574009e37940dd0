"""Scores of many pictures through the emitted C, compiled for this computer and run on all its cores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcgen.errors import ToolError
from dcgen.files import temporary_folder
from dcgen.quant.qgraph import I32, U8
from dcgen.targets import HOST
from dcgen.verify.build import build
from dcgen.verify.machines import run
from dcgen.verify.pool import WorkPool
from dcgen.verify.records import read_results
from dcgen.verify.toolchain import require

CHUNK = 16
"""Pictures that one process is given: few, so that progress is seen often; starting a process takes no time."""


def host_scores(out_dir: Path, pictures: U8, progress: Callable[[int], None] = lambda _: None) -> I32:
    """Scores int32 [N, S] of pictures uint8 [N, H, W, C], N >= 1.

    out_dir : what ``dcgen compile`` wrote
    progress : called with the number of pictures done since its last call

    Raises ToolError where the firmware cannot be built or refuses its blob.
    """
    require(HOST)
    stop = threading.Event()
    starts = range(0, len(pictures), CHUNK)
    with WorkPool() as pool, temporary_folder("dcgen-eval-") as folder:
        program = build(out_dir / "firmware", HOST, folder / "build", optimise="-O3")

        def chunk_scores(start: int) -> I32:
            place = folder / str(start)
            place.mkdir()
            chunk = pictures[start : start + CHUNK]
            return _scores(program, chunk, place, stop)

        parts = []
        try:
            for part in pool.map(chunk_scores, starts):
                parts.append(part)
                progress(len(part))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return np.concatenate(parts)


def _scores(program: Path, pictures: U8, folder: Path, stop: threading.Event) -> I32:
    """The scores of one process's pictures."""
    finished = run(HOST, program, pictures, folder, measured=len(pictures), traced=0, stop=stop)
    scores = [outcome.scores for outcome in read_results(finished.results)]
    good = [s for s in scores if s is not None]
    if len(good) != len(pictures):
        raise ToolError(HOST.check_name, "the emitted C refuses its blob", "dcgen verify says more")
    return np.stack(good)
