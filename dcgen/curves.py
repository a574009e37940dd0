"""The course of a training as a drawing."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from dcgen.train.loop import Epoch

WIDTH, HEIGHT = 8.0, 2.4
"""Inches of the drawing, and of each of its parts."""


def curves_png(rows: Sequence[Epoch]) -> bytes | None:
    """Loss, held-out error and estimated size over all epochs; None if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    sized = any(row.bytes for row in rows)
    figure = Figure(figsize=(WIDTH, HEIGHT * (2 + sized)), layout="constrained")
    parts = figure.subplots(2 + sized, 1, sharex=True, squeeze=False)[:, 0]
    x = np.arange(1, len(rows) + 1)
    parts[0].plot(x, [row.loss for row in rows], label="steps")
    parts[0].plot(x, [row.held_out_loss for row in rows], label="held out")
    parts[0].set_ylabel("loss, nats")
    parts[0].legend()
    parts[1].plot(x, [100 * (1 - row.accuracy) for row in rows])
    parts[1].set_ylabel("error held out, %")
    if sized:
        parts[2].plot(x, [row.bytes or np.nan for row in rows])
        parts[2].set_ylabel("coded weights, bytes")
    if sized:
        parts[2].set_yscale("log")
    for part in parts:
        for number in np.flatnonzero(np.diff([row.stage for row in rows])):
            part.axvline(x[number] + 0.5, color="grey", linestyle=":")
    parts[-1].set_xlabel("epochs of all stages")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
