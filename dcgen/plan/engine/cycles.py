"""The cycle model: how many cycles the engine takes for a blob, exactly, where no stream makes it wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dcgen.encode.blob import Blob
from dcgen.hw.contract.back_timing import walk
from dcgen.hw.contract.commands import STEP_FIELDS, Op
from dcgen.hw.contract.front_timing import first_word, publisher
from dcgen.plan.engine.plan import EnginePlan
from dcgen.plan.engine.steps import Step
from dcgen.plan.engine.stream_facts import stream_facts
from dcgen.quant.qgraph import QConv, QGraph

CAUSES = ("mac", "list_wait", "drain_wait", "pool", "load", "other")
"""What a cycle is spent on, by the names of the engine's counters; "other" is the rest."""


@dataclass(frozen=True)
class Prediction:
    """Cycles of one picture, from the first blob word accepted to the last score sent, both included.

    steps : cycles of each record of the command list; their sum is ``total``
    causes : cycles by cause, one of ``CAUSES``; their sum is ``total``
    nonzero_macs : multiplications of non-zero weights that the network asks for
    lanes : multipliers of the engine
    """

    total: int
    steps: tuple[int, ...]
    causes: Mapping[str, int]
    nonzero_macs: int
    lanes: int

    @property
    def utilisation(self) -> float:
        """Share of the multipliers' cycles in which they do one of ``nonzero_macs``."""
        return self.nonzero_macs / (self.lanes * self.total)

    def nodes(self, plan: EnginePlan) -> Mapping[int, int]:
        """Cycles of each node by index; those of the picture's load, the tensor table and the end are under -1."""
        found: Counter[int] = Counter()
        for step, cycles in zip(plan.steps, self.steps, strict=True):
            found[step.node] += cycles
        return dict(sorted(found.items()))


def predict(plan: EnginePlan, graph: QGraph, blob: Blob) -> Prediction:
    """The cycles that ``plan`` takes for ``blob``, which encodes ``graph``."""
    facts = stream_facts(blob.data)
    fields = [dict.fromkeys(STEP_FIELDS, 0) | dict(step.fields) for step in plan.steps]
    sections = [facts[step.node] if step.has_section else None for step in plan.steps]
    lengths = [n for step in plan.steps for n in _lengths(step, graph)]
    times = walk(fields, lengths, publisher(zip(fields, sections, strict=True)), plan.parameters)
    # Cycle 0 is the start pulse. The last record before END makes the scores; the engine's own register
    # sends the last one in the cycle in which END begins to be read.
    first, last = first_word(), times[-1].start
    steps = tuple(max(0, min(t.end, last + 1) - max(t.start, first)) for t in times)
    causes = {name: sum(getattr(t, name) for t in times) for name in CAUSES[:-1]}
    total = last + 1 - first
    causes["other"] = total - sum(causes.values())
    return Prediction(total, steps, causes, nonzero_macs(graph), plan.parameters.lanes)


def _lengths(step: Step, graph: QGraph) -> list[int]:
    """How many entries each list of the step has."""
    if step.op in (Op.POOL, Op.SCORES):
        return [1]
    if step.op != Op.CONV:
        return []
    op = graph.nodes[step.node].op
    if isinstance(op, QConv):
        counts = np.count_nonzero(op.indices.reshape(len(op.bias), -1), axis=1)
        return [max(1, int(n)) for n in counts]  # a list without weights has one of zero
    return [len(step.taps)] * step.fields["outputs"]


def nonzero_macs(graph: QGraph) -> int:
    """Multiplications by non-zero weights: for each weight as many as its output has pixels."""
    return sum(weights * pixels for weights, pixels in conv_sizes(graph))


def conv_sizes(graph: QGraph) -> Iterator[tuple[int, int]]:
    """Non-zero weights and output pixels of every convolution."""
    for node in graph.nodes:
        if isinstance(node.op, QConv):
            _, h, w = graph.shape_of(node)
            yield int(np.count_nonzero(node.op.indices)), h * w
