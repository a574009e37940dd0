"""Puts the bytes that the engine wrote to activation memory back into tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from dcgen.hw.contract.model import Writes
from dcgen.plan.engine.plan import EnginePlan
from dcgen.quant.qgraph import QGraph

U8 = NDArray[np.uint8]


def tensors_of(graph: QGraph, plan: EnginePlan, writes: Iterable[Writes]) -> Mapping[str, U8]:
    """Every tensor that is written to memory, as uint8 [C, H, W] by name.

    The picture is among them only where the plan splits it into channels.

    writes : of one picture, in order
    """
    p = plan.parameters
    memory = np.zeros((p.words, p.lanes), np.uint8)
    full = {n: np.zeros((k.channels, k.rows * k.pitch), np.uint8) for n, k in plan.work.planes.items()}
    placed = plan.schedule.placement
    for one in writes:
        one.apply(memory)
        made = plan.steps[one.step].made
        if made is None:
            continue
        n, first = made.view.planes, made.view.channel
        ring = placed.words[n]
        pixels = np.arange(made.start, made.end)
        channels = placed.base[n] + (first + np.arange(made.channels)) * ring
        at = channels[:, None] * p.lanes + pixels % (ring * p.lanes)
        full[n][first : first + made.channels, made.start : made.end] = memory.reshape(-1)[at]
    found = {}
    for name, view in plan.work.tensors.items():
        c, h, w = graph.tensors[name].shape
        planes = plan.work.planes[view.planes]
        pixels_of = full[view.planes][view.channel : view.channel + c].reshape(c, planes.rows, planes.pitch)
        found[name] = pixels_of[:, :h, :w]
    return found
