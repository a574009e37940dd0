"""The plan that takes the fewest instructions within a given RAM.

Layer after layer takes the fewest where it fits, with larger packed inputs where RAM is left and that is faster.
Where it does not fit, the picture is streamed, row by row, and the network is cut into segments that are
computed in strips. With fewer strips, filters are decoded and halos packed fewer times, but more rows are held.
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
from dcgen.plan.firmware.segments import Cut, Cutter, Schedule, conv_steps
from dcgen.plan.firmware.tables import bit_choices
from dcgen.quant.qgraph import QGraph
from dcgen.targets import Target

STATIC_BYTES = 128
"""RAM that a program needs besides arena, picture, scores and stack: a dcg_net, and gaps between variables."""
SCORE_BYTES = 4
TRIES = 12
"""Schedules that are planned in full; the fastest of them is taken."""


def plan_within(
    graph: QGraph, blob: Blob, ram: int, target: Target, active: Active, table_bits: int | None = None
) -> FirmwarePlan:
    """The plan of the fewest predicted instructions that fits ``ram``.

    What must fit are the arena, the picture (one row of it if it is streamed), the scores, static data and the
    stack.

    ram : bytes
    target : a microcontroller
    active : how much of the tensors is not zero in the average picture; the plan is the fastest for that
    table_bits : how many bits of a code decoding tables are entered with, 4..12. By default the segments are
        chosen with the smallest tables, and then the tables that are fastest with these segments in the room that
        is left

    Raises PlanError that says how much RAM would be enough, and which layers need it.
    """
    assert target.stack_bytes is not None
    c, _, w = graph.input.shape
    choices = bit_choices(blob) if table_bits is None else (table_bits,)
    wholes = [plan_firmware(graph, blob, table_bits=n) for n in choices]
    reserved = SCORE_BYTES * graph.n_scores + STATIC_BYTES + target.stack_bytes

    def fastest(plans: Iterable[FirmwarePlan]) -> FirmwarePlan:
        return min(plans, key=lambda plan: predict_instructions(plan, graph, blob, target, active).total)

    for whole in wholes:
        if whole.arena_bytes + whole.picture_bytes + reserved <= ram:
            room = ram - reserved - whole.picture_bytes - whole.scratch.size
            return fastest((whole, plan_firmware(graph, blob, None, room, whole.scratch.table_bits)))
    reserved += c * w

    rooms = {whole.scratch.table_bits: ram - reserved - whole.scratch.size for whole in wholes}
    search, bits = _Search(graph), max(rooms, key=lambda n: rooms[n])

    def plan(schedule: Schedule, bits: int) -> FirmwarePlan:
        return plan_firmware(graph, blob, schedule, rooms[bits], bits)

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
    """The plan of the least memory that the search finds, going up from the bytes that every choice of cuts
    needs."""
    memory = search.least_memory()
    while (schedule := next(search.schedules(memory), None)) is None:
        memory += max(ALIGNMENT, memory // 64)
    return plan_firmware(graph, blob, schedule, memory, table_bits)


def _peaks(plan: FirmwarePlan, count: int = 3) -> str:
    """The names of the ``count`` layers during which the most memory is in use, with their bytes."""
    schedule = plan.schedule
    live = [sum(align(b.size) for b in schedule.buffers if b.first <= i <= b.last) for i in range(len(plan.nodes))]
    for i, node in enumerate(plan.nodes):
        live[i] += node.conv.packing.size if node.conv and node.conv.packing else 0
    largest = sorted(range(len(live)), key=lambda i: (-live[i], i))[:count]
    return ", ".join(f"{plan.nodes[i].name} {live[i]:,}" for i in largest)


@dataclass(frozen=True)
class _Strips:
    """What a segment asks for before kernels are chosen.

    live : bytes of tensors that are alive while its nodes run
    steps : of each convolution by node index: output rows of a step -> how many steps compute so many
    """

    live: int
    steps: Mapping[int, Counter[int]]


class _Search:
    """Finds cuts of a streamed network that fit a given memory."""

    def __init__(self, graph: QGraph) -> None:
        self.graph = graph
        self.cutter = Cutter(graph, streamed=True)
        self._memo: dict[Cut, _Strips] = {}
        self._roomy: dict[tuple[int, frozenset[tuple[int, int]]], ConvPlan] = {}

    def schedules(self, memory: int) -> Iterator[Schedule]:
        """Up to ``TRIES`` schedules whose tensors and packed inputs fit ``memory`` bytes.

        The first has the fewest instructions by estimate. But when its tensors are placed, gaps remain between
        them, which may leave its packed inputs less room than estimated, so that a schedule may turn out faster
        that was made for less memory; the others are made for ever less.
        """
        budget, seen, made = memory, set[tuple[Cut, ...]](), 0
        while made < TRIES and (cuts := self.fewest_instructions(budget)) is not None:
            if cuts not in seen and tensor_places(schedule := self.cutter.schedule(cuts), memory) is not None:
                yield schedule
                made += 1
            seen.add(cuts)
            budget -= max(ALIGNMENT, budget // 64)

    def fewest_instructions(self, memory: int) -> tuple[Cut, ...] | None:
        """The cuts whose convolutions take the fewest instructions by estimate, None if no cuts fit.

        memory : bytes for tensors and packed inputs
        """

        def run(first: int, last: int) -> tuple[float, Cut] | None:
            cuts = self._cuts(first, last)
            if not cuts or self._strips(cuts[-1]).live > memory:  # the cut with the most strips needs the least
                return None
            fitting = [cut for cut in cuts if self._strips(cut).live <= memory]
            return min((self._instructions(self._strips(cut), memory), cut) for cut in fitting)

        cuts, _, reached = cheapest_cuts(len(self.graph.nodes), run)
        return cuts if reached == len(self.graph.nodes) else None

    def least_memory(self) -> int:
        """Bytes of tensors that every choice of cuts needs; packed inputs are not counted."""
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
        """The ways to compute nodes ``first .. last - 1``, with ever more strips.

        A node alone is computed whole. Several are computed in strips: one way for each height that a strip of the
        last node's rows can have.
        """
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
            live = sum(align(b.size) for b in alive)
            self._memo[cut] = _Strips(live, conv_steps(self.graph, [segment]))
        return self._memo[cut]

    def _instructions(self, strips: _Strips, memory: int) -> float:
        """Estimated instructions of a segment's convolutions; those of other nodes do not depend on strips.

        memory : bytes for tensors and packed inputs
        """
        room = memory - strips.live
        return sum(self._kernel(i, rows, room).instructions for i, rows in strips.steps.items())

    def _kernel(self, i: int, rows: Counter[int], room: int) -> ConvPlan:
        """The kernel of node ``i`` with ``room`` bytes for its packed input.

        It is chosen without a limit first, once for all rooms, which suffices where that fits.
        """
        key = i, frozenset(rows.items())
        if key not in self._roomy:
            self._roomy[key] = choose_kernel(self.graph, self.graph.nodes[i], rows, MAX_ARENA_BYTES, frugal=True)
        roomy = self._roomy[key]
        if roomy.packing is None or roomy.packing.size <= room:
            return roomy
        return choose_kernel(self.graph, self.graph.nodes[i], rows, room, frugal=True)
