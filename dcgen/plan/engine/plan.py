"""The engine's plan: command list, memory map, and the order in which sections are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from dcgen.encode.blob import Blob
from dcgen.errors import PlanError
from dcgen.hw.contract import commands
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.plan.engine.limits import check_engine_limits
from dcgen.plan.engine.lower import lower
from dcgen.plan.engine.ops import Work
from dcgen.plan.engine.steps import Step, StepMaker
from dcgen.plan.engine.strips import Schedule, schedule
from dcgen.quant.qgraph import QGraph

TENSORS = -1
"""Stands for the tensor table in ``EnginePlan.program``, in place of a node's index."""


@dataclass(frozen=True)
class BufferPlan:
    """Planes in activation memory.

    label : what they hold, for people
    base : their first word
    words : words of a channel
    ring : whether a channel holds only a part of its plane at a time
    first, last : numbers of the first and the last segment during which they exist
    """

    label: str
    channels: int
    base: int
    words: int
    ring: bool
    first: int
    last: int


@dataclass(frozen=True)
class EnginePlan:
    """Everything that the engine needs beside the blob.

    topology_hash : of the network; the driver refuses a blob that has another
    steps : the records of the command list, in order
    program : the blob's sections in the order in which they are sent: TENSORS, or a node's index
    work, schedule : what the steps are made from
    """

    topology_hash: int
    parameters: EngineParameters
    steps: tuple[Step, ...]
    program: tuple[int, ...]
    work: Work
    schedule: Schedule

    @cached_property
    def commands(self) -> tuple[int, ...]:
        """The command list's 32-bit words."""
        return tuple(word for step in self.steps for word in step.words())

    @property
    def words_used(self) -> int:
        """Words of activation memory up to the last one used."""
        return max((b.base + b.channels * b.words for b in self.buffers), default=0)

    @cached_property
    def buffers(self) -> tuple[BufferPlan, ...]:
        """The memory map, in the order in which planes are first needed."""
        placed = self.schedule.placement
        found = []
        for n, planes in self.work.planes.items():
            alive = [i for i, s in enumerate(self.schedule.segments) if n in s.words]
            if alive:
                base, words = placed.base[n], placed.words[n]
                ring = words < planes.words(self.parameters.lanes)
                found.append(BufferPlan(planes.label, planes.channels, base, words, ring, alive[0], alive[-1]))
        return tuple(sorted(found, key=lambda b: (b.first, b.base)))


def plan_engine(graph: QGraph, blob: Blob, parameters: EngineParameters) -> EnginePlan:
    """Plan ``graph``, which ``blob`` encodes, for an engine built with ``parameters``.

    Raises PlanError, with the name of the node or the network, for what the engine cannot do or hold.
    """
    check_engine_limits(graph, blob, parameters)
    work = lower(graph)
    found = schedule(work, parameters, [n.name for n in graph.nodes])
    maker = StepMaker(work, found.placement, parameters)
    c, _, _ = graph.input.shape
    first = {"op": commands.Op.TENSORS, "outputs": len(graph.nodes), "channels": c}
    steps = [Step(-1, first)]
    for segment in found.segments:
        steps += [maker.step(work.ops[index], begin, end) for _, index, begin, end in segment.shares()]
    steps.append(Step(-1, {"op": commands.Op.END}))
    _check_fields(graph, steps, parameters)
    program = (TENSORS, *(s.node for s in steps if s.has_section))
    return EnginePlan(blob.topology_hash, parameters, tuple(steps), program, work, found)


def _check_fields(graph: QGraph, steps: list[Step], parameters: EngineParameters) -> None:
    """Raise PlanError for a value beyond its field of a record, and for more records than the engine holds."""
    size = 0
    for step in steps:
        name = graph.nodes[step.node].name if step.node >= 0 else graph.name
        try:
            size += len(step.words())
        except ValueError as error:
            raise PlanError(name, f"cannot be put into a command: {error}") from None
    if size > parameters.command_words:
        raise PlanError(graph.name, f"takes {size} words of commands, the engine holds {parameters.command_words}")


def summary(plan: EnginePlan) -> Mapping[str, int]:
    """Figures of a plan for reports, by name."""
    return {
        "lanes": plan.parameters.lanes,
        "memory_words": plan.parameters.words,
        "memory_words_used": plan.words_used,
        "command_words": plan.parameters.command_words,
        "command_words_used": len(plan.commands),
        "steps": len(plan.steps),
        "segments": len(plan.schedule.segments),
        "sections_sent": len(plan.program),
    }
