"""Cuts the engine's work into segments and strips, so that it fits the activation memory.

``recurrence`` says what segments and strips are; their operations and units are here those of ``ops``. Planes that
live inside a segment in several strips are rings of words, others are held whole. Of all cuts into segments that
fit the memory, dynamic programming finds those whose steps cost the fewest cycles besides their work.

A *word* of activation memory holds ``lanes`` pixels, a byte each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from dcgen.errors import PlanError
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.plan import recurrence
from dcgen.plan.cuts import cheapest_cuts
from dcgen.plan.engine.ops import ConvOp, Operation, Work
from dcgen.plan.places import Block, place
from dcgen.plan.recurrence import Recurrence, ring_size

STEP_COST = 60
"""Cycles between the work of one step and that of the next, roughly."""
TAP_COST = 2
"""Cycles to read a tap of a step."""
SECTION_COST = 200
"""Cycles until the first list of a convolution's section is decoded, roughly."""
MAX_STRIPS = 32
"""Most strips of a segment; with more, most cycles would be overhead."""


@dataclass(frozen=True)
class Segment(recurrence.Segment):
    """Operations ``first .. last - 1``, computed strip by strip, and the memory that this takes.

    words : words of a channel of all planes that must exist during the segment, by the planes' number
    """

    words: Mapping[int, int]


@dataclass(frozen=True)
class Placement:
    """Where planes lie, by their number.

    base : the first word of their first channel
    words : words of a channel, from one channel to the next; a ring if fewer than the plane has
    """

    base: Mapping[int, int]
    words: Mapping[int, int]


@dataclass(frozen=True)
class Schedule:
    """The order of all work, and the memory of planes.

    segments : in execution order
    live_words : most words of planes that exist during one segment
    """

    segments: tuple[Segment, ...]
    placement: Placement
    live_words: int


def schedule(work: Work, parameters: EngineParameters, names: Sequence[str]) -> Schedule:
    """Segments, strips and places for ``work``.

    names : the nodes' names, for error messages

    Raises PlanError with the name of the first node that cannot be computed within the memory.
    """
    search = _Search(work, parameters)
    budget = parameters.words
    while True:
        segments, reached = search.best(budget)
        if reached < len(work.ops):
            raise _does_not_fit(search, names, reached, budget)
        placed = _place(work, segments, parameters.words)
        live = max(search.total(s.words) for s in segments)
        if placed is not None:
            return Schedule(segments, placed, live)
        budget = min(budget, live) * 63 // 64  # places have gaps: look for segments that need less


def _does_not_fit(search: _Search, names: Sequence[str], reached: int, budget: int) -> PlanError:
    p, op = search.p, search.work.ops[reached]
    need = search.total(search.segment(reached, reached + 1, 1).words)
    gaps = "" if budget == p.words else f" ({p.words - budget} of them lost to gaps)"
    return PlanError(
        names[max(op.node, 0)],
        f"needs {need} words of {p.lanes} bytes of memory, with what is kept meanwhile, "
        f"the engine has {p.words}{gaps}",
        "a smaller input picture, or an engine with more words",
    )


class _Search:
    """Finds segments that fit a given number of words.

    whole : words of a channel of each plane
    span : of all planes that any operation uses, the first and the last operation that does
    readers : of planes, the operations that read them, ascending
    units : of each operation
    """

    def __init__(self, work: Work, parameters: EngineParameters) -> None:
        self.work, self.p = work, parameters
        self.whole = {n: planes.words(parameters.lanes) for n, planes in work.planes.items()}
        self.span: dict[int, tuple[int, int]] = {}
        self.readers: dict[int, list[int]] = {}
        for index, op in enumerate(work.ops):
            read = {v.planes for v in op.sources}
            for n in read:
                self.readers.setdefault(n, []).append(index)
            for n in read | ({op.out.planes} if op.out else set()):
                self.span[n] = (self.span.get(n, (index, index))[0], index)
        self.units = [op.units(work.planes, parameters) for op in work.ops]
        self.memo: dict[tuple[int, int, int], Segment] = {}
        self.reads = cache(lambda index, units: work.ops[index].reads(units, work.planes, parameters))
        self.holds = cache(lambda index, units: work.ops[index].holds(units, work.planes, parameters))
        self.made = cache(lambda index, units: work.ops[index].made(units, work.planes, parameters))
        self.units_for = cache(lambda index, pixels: work.ops[index].units_for(pixels, work.planes, parameters))
        self.recurrence = Recurrence(
            self.units,
            [self.readers.get(op.out.planes, []) if op.out else [] for op in work.ops],
            lambda maker, reader, units: self.units_for(maker, self.reads(reader, units)),
            frozenset(index for index, op in enumerate(work.ops) if op.out is None),
        )

    def total(self, words: Mapping[int, int]) -> int:
        """Words of all channels of planes, given the words of one."""
        return sum(self.work.planes[n].channels * w for n, w in words.items())

    def best(self, budget: int) -> tuple[tuple[Segment, ...], int]:
        """The cheapest segments of at most ``budget`` words each, and how many operations they reach."""

        def run(first: int, last: int) -> tuple[float, Segment] | None:
            segment = self.fewest_strips(first, last, budget)
            return None if segment is None else (self.cost(segment), segment)

        segments, _, reached = cheapest_cuts(len(self.work.ops), run)
        return segments, reached

    def fewest_strips(self, first: int, last: int, budget: int) -> Segment | None:
        """The segment in the fewest strips that fit ``budget`` words; None where even ``MAX_STRIPS`` do not
        fit."""
        kept = {n: w for n, w in self.whole.items() if self._outlives(n, first, last)}
        if self.total(kept) > budget:
            return None
        most = min(MAX_STRIPS, max(self.units[first:last]))
        if self.total(self.segment(first, last, 1).words) <= budget:
            return self.segment(first, last, 1)
        low, high = 1, most
        if self.total(self.segment(first, last, most).words) > budget:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.total(self.segment(first, last, middle).words) <= budget
            low, high = (low, middle) if fits else (middle, high)
        return self.segment(first, last, high)

    def cost(self, segment: Segment) -> int:
        """Cycles that the segment's steps cost besides their work, roughly."""
        return sum(_step_cost(self.work.ops[index]) for _, index, _, _ in segment.shares())

    def _meets(self, n: int, first: int, last: int) -> bool:
        """Whether planes ``n`` must exist during operations ``first .. last - 1``."""
        return n in self.span and self.span[n][0] < last and self.span[n][1] >= first

    def _within(self, n: int, first: int, last: int) -> bool:
        """Whether no other operations use planes ``n``."""
        return n in self.span and self.span[n][0] >= first and self.span[n][1] < last

    def _outlives(self, n: int, first: int, last: int) -> bool:
        return self._meets(n, first, last) and not self._within(n, first, last)

    def segment(self, first: int, last: int, strips: int) -> Segment:
        """Operations ``first .. last - 1`` in ``strips`` strips."""
        key = first, last, strips
        if key not in self.memo:
            ends = self.recurrence.ends(first, last, strips)
            self.memo[key] = Segment(first, last, ends, self._words(first, last, ends))
        return self.memo[key]

    def _words(self, first: int, last: int, ends: tuple[tuple[int, ...], ...]) -> dict[int, int]:
        """Words of a channel of all planes that must exist during the segment: whole planes, or rings."""
        words: dict[int, int] = {}
        for n, whole in self.whole.items():
            if self._within(n, first, last):
                words[n] = self._ring(n, first, ends)
            elif self._meets(n, first, last):
                words[n] = whole
        for equal in self.work.equal_rings:
            if all(n in words for n in equal):
                words |= dict.fromkeys(equal, max(words[n] for n in equal))
        return words

    def _ring(self, n: int, first: int, ends: tuple[tuple[int, ...], ...]) -> int:
        """Words of a channel of planes ``n``, which live inside the segment."""
        if len(ends) == 1:
            return self.whole[n]
        return min(max(1, ring_size(self._spans(n, first, ends))), self.whole[n])

    def _spans(self, n: int, first: int, ends: tuple[tuple[int, ...], ...]) -> Iterator[tuple[int, int]]:
        """After each strip, the end of the words made of planes ``n``, and the first word still to be read or
        made."""
        ops, lanes = self.work.ops, self.p.lanes
        start, stop = self.span[n]
        makers = [i for i in range(start, stop + 1) if (out := ops[i].out) is not None and out.planes == n]
        for strip in ends:
            made = max(self.made(i, strip[i - first]) for i in makers)
            held = min((self.holds(i, strip[i - first]) for i in self.readers.get(n, [])), default=0)
            yield -(-made // lanes), min(held, made) // lanes


def _step_cost(op: Operation) -> int:
    """Cycles that one step of ``op`` costs besides its work, roughly."""
    return STEP_COST + (SECTION_COST + TAP_COST * len(op.taps) if isinstance(op, ConvOp) else 0)


def _place(work: Work, segments: tuple[Segment, ...], limit: int) -> Placement | None:
    """Places for all planes during the segments in which they must exist; None if none are found in ``limit``
    words."""
    words: dict[int, int] = {}
    alive: dict[int, list[int]] = {}
    for number, segment in enumerate(segments):
        for n, count in segment.words.items():
            words[n] = max(count, words.get(n, 0))
            alive.setdefault(n, []).append(number)
    numbers = sorted(words)
    blocks = [Block(work.planes[n].channels * words[n], alive[n][0], alive[n][-1]) for n in numbers]
    bases = place(blocks, limit)
    return None if bases is None else Placement(dict(zip(numbers, bases, strict=True)), words)
