"""The plan of the fewest instructions within so much RAM.

Layer after layer is best where it fits. Where it does not, the picture's rows are pushed and segments are
computed in strips: the fewer strips, the fewer times filters are decoded and halos packed, and the more rows
are held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dcgen.encode.blob import Blob
from dcgen.errors import PlanError
from dcgen.plan.cuts import cheapest_cuts
from dcgen.plan.firmware.arena import ALIGNMENT, align
from dcgen.plan.firmware.instructions import Active, predict_instructions
from dcgen.plan.firmware.kernels import ConvPlan, choose_kernel
from dcgen.plan.firmware.limits import MAX_ARENA_BYTES
from dcgen.plan.firmware.plan import FirmwarePlan, plan_firmware, tensor_places
from dcgen.plan.firmware.segments import Cut, Cutter, Schedule
from dcgen.plan.firmware.tables import bit_choices
from dcgen.quant.qgraph import QConv, QGraph
from dcgen.targets import Target

STATIC_BYTES = 128
"""What a program holds beside arena, picture, scores and stack: a dcg_net, and gaps between variables."""
SCORE_BYTES = 4
TRIES = 12
"""Schedules of which the fastest is taken."""


def plan_within(
    graph: QGraph, blob: Blob, ram: int, target: Target, active: Active, table_bits: int | None = None
) -> FirmwarePlan:
    """The plan whose arena, picture (a row of it, where rows are pushed), scores, static data and stack take
    ``ram`` bytes of ``target``, a microcontroller, at most.

    active : of a usual picture, that is to be fast
    table_bits : that decoding tables are entered with, 4..12; by default the fastest of those that make the
        tables smaller, for the best schedule that the smallest tables leave room for

    Raises PlanError that says what would be enough, and which layers it is for.
    """
    assert target.stack_bytes is not None
    c, _, w = graph.input.shape
    choices = bit_choices(blob) if table_bits is None else (table_bits,)
    wholes = [plan_firmware(graph, blob, table_bits=n) for n in choices]
    reserved = SCORE_BYTES * graph.n_scores + STATIC_BYTES + target.stack_bytes
    for whole in wholes:
        if whole.arena_bytes + whole.picture_bytes + reserved <= ram:
            return whole
    reserved += c * w

    rooms = {whole.scratch.table_bits: ram - reserved - whole.scratch.size for whole in wholes}
    search, bits = _Search(graph), max(rooms, key=lambda n: rooms[n])

    def plan(schedule: Schedule, bits: int) -> FirmwarePlan:
        return plan_firmware(graph, blob, schedule, rooms[bits], bits)

    def fastest(plans: Iterable[FirmwarePlan]) -> FirmwarePlan:
        return min(plans, key=lambda plan: predict_instructions(plan, graph, blob, target, active).total)

    if plans := [plan(schedule, bits) for schedule in search.schedules(rooms[bits])]:
        schedule = fastest(plans).schedule
        return fastest(plan(schedule, n) for n, room in rooms.items() if tensor_places(schedule, room) is not None)
    smallest = _smallest(graph, blob, search, bits)
    raise PlanError(
        graph.name,
        f"needs {smallest.arena_bytes + reserved:,} bytes of RAM, `ram` gives {ram:,}: "
        f"{smallest.scratch.size:,} of scratch, {smallest.activation_bytes:,} for tensors and packed inputs "
        f"({_peaks(smallest)}), {c * w:,} for a row of the picture, {SCORE_BYTES * graph.n_scores:,} for scores, "
        f"{target.stack_bytes:,} of stack, {STATIC_BYTES} static",
        "more RAM or a smaller input picture",
    )


def _smallest(graph: QGraph, blob: Blob, search: _Search, table_bits: int) -> FirmwarePlan:
    """The plan of the least memory that is found."""
    memory = search.least_memory()
    while (schedule := next(search.schedules(memory), None)) is None:
        memory += max(ALIGNMENT, memory // 64)
    return plan_firmware(graph, blob, schedule, memory, table_bits)


def _peaks(plan: FirmwarePlan, count: int = 3) -> str:
    """The layers during which the most memory is in use."""
    schedule = plan.schedule
    live = [sum(align(b.size) for b in schedule.buffers if b.first <= i <= b.last) for i in range(len(plan.nodes))]
    for i, node in enumerate(plan.nodes):
        live[i] += node.conv.packing.size if node.conv and node.conv.packing else 0
    largest = sorted(range(len(live)), key=lambda i: (-live[i], i))[:count]
    return ", ".join(f"{plan.nodes[i].name} {live[i]:,}" for i in largest)


@dataclass(frozen=True)
class _Strips:
    """A segment before kernels are chosen.

    live : bytes of tensors while any of its nodes runs
    steps : of each convolution, how many steps compute so many rows
    """

    live: int
    steps: Mapping[int, Counter[int]]


class _Search:
    def __init__(self, graph: QGraph) -> None:
        self.graph = graph
        self.cutter = Cutter(graph, streamed=True)
        self._memo: dict[Cut, _Strips] = {}
        self._roomy: dict[tuple[int, frozenset[tuple[int, int]]], ConvPlan] = {}

    def schedules(self, memory: int) -> Iterator[Schedule]:
        """Some whose tensors and packed inputs fit ``memory`` bytes, ``TRIES`` at most.

        The first one seems best, but between the places of its tensors are gaps, and its packed inputs may have to
        do with less room than there is in all. Others are made as if there were less memory.
        """
        budget, seen, made = memory, set[tuple[Cut, ...]](), 0
        while made < TRIES and (cuts := self.fewest_instructions(budget)) is not None:
            if cuts not in seen and tensor_places(schedule := self.cutter.schedule(cuts), memory) is not None:
                yield schedule
                made += 1
            seen.add(cuts)
            budget -= max(ALIGNMENT, budget // 64)

    def fewest_instructions(self, memory: int) -> tuple[Cut, ...] | None:
        """Cuts that fit ``memory`` bytes of tensors and packed inputs, None if none do."""

        def run(first: int, last: int) -> tuple[float, Cut] | None:
            cuts = self._cuts(first, last)
            if not cuts or self._strips(cuts[-1]).live > memory:  # the least, with the most strips
                return None
            fitting = [cut for cut in cuts if self._strips(cut).live <= memory]
            return min((self._instructions(self._strips(cut), memory), cut) for cut in fitting)

        cuts, _, reached = cheapest_cuts(len(self.graph.nodes), run)
        return cuts if reached == len(self.graph.nodes) else None

    def least_memory(self) -> int:
        """Bytes that no cuts can undercut, packed inputs left out."""
        least = [0]
        for last in range(1, len(self.graph.nodes) + 1):
            least.append(
                min(
                    max(least[first], self._strips(cuts[-1]).live)
                    for first in range(last)
                    if (cuts := self._cuts(first, last))
                )
            )
        return least[-1]

    def _cuts(self, first: int, last: int) -> tuple[Cut, ...]:
        """The ways to do these nodes: alone whole, together in strips of every height of the last one's rows."""
        if last - first == 1:
            return ((first, last, 1),)
        rows = self.cutter.heights[last - 1]
        return tuple((first, last, n) for n in sorted({-(-rows // height) for height in range(1, rows)}))

    def _strips(self, cut: Cut) -> _Strips:
        if cut not in self._memo:
            segment = self.cutter.segment(*cut)
            alive = [b for b in self.cutter.whole if b.meets_nodes(segment.first, segment.last)]
            if cut[2] > 1:
                alive = [self.cutter.within(b, segment) for b in alive]
            steps: dict[int, Counter[int]] = {}
            for _, i, begin, end in segment.shares():
                if isinstance(self.graph.nodes[i].op, QConv):
                    steps.setdefault(i, Counter())[end - begin] += 1
            self._memo[cut] = _Strips(sum(align(b.size) for b in alive), steps)
        return self._memo[cut]

    def _instructions(self, strips: _Strips, memory: int) -> float:
        """Of its convolutions; the others' do not depend on strips."""
        room = memory - strips.live
        return sum(self._kernel(i, rows, room).instructions for i, rows in strips.steps.items())

    def _kernel(self, i: int, rows: Counter[int], room: int) -> ConvPlan:
        """A convolution's; often there is as much room as it can use."""
        key = i, frozenset(rows.items())
        if key not in self._roomy:
            self._roomy[key] = choose_kernel(self.graph, self.graph.nodes[i], rows, MAX_ARENA_BYTES, frugal=True)
        roomy = self._roomy[key]
        if roomy.packing is None or roomy.packing.size <= room:
            return roomy
        return choose_kernel(self.graph, self.graph.nodes[i], rows, room, frugal=True)
