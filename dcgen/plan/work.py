"""What a weight that is not zero costs on a target besides its bits in the file.

Software and engine skip zeros, so that the work of a convolution is its non-zero weights times what one of
them takes: an instruction or a few for each output pixel, or a cycle for all output pixels that the lanes
serve together. Where an input is mostly zero, software takes its work by the inputs that are not. Beside the
bytes of the file work counts in units of the average weight's, whatever the target's own unit is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dcgen.ir.graph import F32, Conv, Graph
from dcgen.ir.runner import FloatRunner
from dcgen.quant.qgraph import QConv
from dcgen.targets import EngineTarget, Target

EVENT_WORK = 3.5
"""What a weight takes for an input that is not zero where others are skipped, in units of what it takes for any
input where none is: about so much on every core."""


def is_plain(op: Conv | QConv) -> bool:
    """Whether outputs read one position of the input each, their own."""
    return op.kernel == op.stride == (1, 1) and not any(op.pads)


def active_shares(graph: Graph, pictures: F32) -> dict[str, float]:
    """Share of their inputs that is not zero as bytes, of the convolutions that can skip zeros, by Conv node.

    pictures : centred, float32 [N, C, H, W]. A tensor's range is taken from zero to the largest value in them.
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
    """Output pixels (software) or cycles (an engine) that one non-zero weight takes, by Conv node.

    active : ``active_shares``; pixels are those that cost as much
    """
    pixels = {n.name: int(np.prod(graph.shapes[n.name][1:])) for n, _ in graph.convs()}
    if isinstance(target, EngineTarget):
        return {name: -(-count // target.parameters.lanes) for name, count in pixels.items()}
    return {name: count * min(1.0, EVENT_WORK * active.get(name, 1.0)) for name, count in pixels.items()}


def work_of_weights(
    graph: Graph, target: Target | EngineTarget, active: Mapping[str, float]
) -> Mapping[str, float]:
    """The same, 1 for the average weight of the network."""
    work = work_per_weight(graph, target, active)
    sizes = {n.name: c.weight.values.size for n, c in graph.convs()}
    mean = sum(work[name] * size for name, size in sizes.items()) / sum(sizes.values())
    return {name: w / mean for name, w in work.items()}
