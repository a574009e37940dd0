"""What a weight that is not zero costs on a target besides its bits in the file.

Software and engine skip zeros, so that the work of a convolution is its non-zero weights times what one of
them takes: an instruction or a few for each output pixel, or a cycle for all output pixels that the lanes
serve together. Beside the bytes of the file it counts in units of the average weight's work, whatever the
target's own unit is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dcgen.ir.graph import Graph
from dcgen.targets import EngineTarget, Target


def work_per_weight(graph: Graph, target: Target | EngineTarget) -> dict[str, int]:
    """Output pixels (software) or cycles (an engine) that one non-zero weight takes, by Conv node."""
    lanes = target.parameters.lanes if isinstance(target, EngineTarget) else 1
    return {n.name: -(-int(np.prod(graph.shapes[n.name][1:])) // lanes) for n, _ in graph.convs()}


def work_of_weights(graph: Graph, target: Target | EngineTarget) -> Mapping[str, float]:
    """The same, 1 for the average weight of the network."""
    work = work_per_weight(graph, target)
    sizes = {n.name: c.weight.values.size for n, c in graph.convs()}
    mean = sum(work[name] * size for name, size in sizes.items()) / sum(sizes.values())
    return {name: w / mean for name, w in work.items()}
