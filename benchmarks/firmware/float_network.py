"""The time of the float network in onnxruntime, for comparison."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnxruntime

from dcgen.errors import ModelError

MIN_SECONDS = 2.0
"""The network runs until so much time has passed."""


def float_seconds(model: Path) -> float:
    """Seconds that a picture of the model's own size takes on one thread. Raises ModelError where it cannot be
    run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0]
        picture = np.zeros([d if isinstance(d, int) else 1 for d in source.shape], np.float32)
        session.run(None, {source.name: picture})
        started, pictures = time.monotonic(), 0
        while (seconds := time.monotonic() - started) < MIN_SECONDS:
            session.run(None, {source.name: picture})
            pictures += 1
    except Exception as e:  # onnxruntime has no common class
        raise ModelError(model, f"onnxruntime cannot run it: {e}") from e
    return seconds / pictures
