"""What a weight that is not zero costs on a target besides its bits in the file.

Software and engine skip zeros, so the work of a convolution is its non-zero weights times the work of one. In
software a weight takes some instructions for each output pixel, or where most of the input is zero, for each input
that is not. In an engine a weight takes a cycle for all output pixels that the lanes serve together. Compression
weighs this work against bytes of the file; for that it is stated relative to the average weight of the network.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dcgen.ir.graph import F32, Conv, Graph
from dcgen.ir.runner import FloatRunner
from dcgen.quant.qgraph import QConv
from dcgen.targets import EngineTarget, Target

EVENT_WORK = 3.5
"""Work of a weight for one input that is not zero where zeros are skipped, in units of its work for one input
where they are not; about the same on every core."""


def is_plain(op: Conv | QConv) -> bool:
    """Whether each output reads one position of the input, its own: a 1x1 kernel without stride and padding."""
    return op.kernel == op.stride == (1, 1) and not any(op.pads)


def active_shares(graph: Graph, pictures: F32) -> dict[str, float]:
    """For each convolution that can skip zeros, by Conv node, the share of its input bytes that will not be zero.

    pictures : centred, float32 [N, C, H, W]. A tensor's bytes are taken to span zero to the largest value that
        these pictures give it, and values below half a step of that to become zero.
    """
    inputs = {n.name: n.inputs[0] for n, c in graph.convs() if is_plain(c) and c.groups == 1}
    tensors = sorted(set(inputs.values()) - {i.name for i in graph.inputs})
    if not tensors:
        return {}
    batches = list(FloatRunner(graph, tensors).batches(pictures))
    most = {t: max(float(b[t].max()) for b in batches) for t in tensors}
    shares = {t: float(np.mean([np.mean(np.abs(b[t]) > most[t] / 510) for b in batches])) for t in tensors}
    return {name: shares[tensor] for name, tensor in inputs.items() if tensor in shares}


def work_per_weight(graph: Graph, target: Target | EngineTarget, active: Mapping[str, float]) -> dict[str, float]:
    """The work of one non-zero weight by Conv node: output pixels in software, cycles in an engine.

    active : from ``active_shares``. Where zeros are skipped, as many output pixels are counted as cost the same.
    """
    pixels = {n.name: int(np.prod(graph.shapes[n.name][1:])) for n, _ in graph.convs()}
    if isinstance(target, EngineTarget):
        return {name: -(-count // target.parameters.lanes) for name, count in pixels.items()}
    return {name: count * min(1.0, EVENT_WORK * active.get(name, 1.0)) for name, count in pixels.items()}


def work_of_weights(
    graph: Graph, target: Target | EngineTarget, active: Mapping[str, float]
) -> Mapping[str, float]:
    """``work_per_weight`` relative to the average weight of the network, for which it is 1."""
    work = work_per_weight(graph, target, active)
    sizes = {n.name: c.weight.values.size for n, c in graph.convs()}
    mean = sum(work[name] * size for name, size in sizes.items()) / sum(sizes.values())
    return {name: w / mean for name, w in work.items()}
