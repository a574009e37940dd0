"""Which part of each operation is computed in which strip: the recurrence that both planners cut networks with.

Operations make their outputs in *units*, first to last: rows for the C runtime, tiles of pixels, rows or beats
for the engine. A *segment* is a run of operations. In more than one strip, each operation makes its next units as
soon as the operations that it reads have made what those units consist of, and planes that live inside the segment
are rings of what is still needed, so that nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """Operations ``first .. last - 1``, computed strip by strip.

    ends : how many units of each operation exist after each strip, [strips][operations]
    """

    first: int
    last: int
    ends: tuple[tuple[int, ...], ...]

    def shares(self) -> Iterator[tuple[int, int, int, int]]:
        """In execution order: strip, operation, and the first and the end of the units that it makes then."""
        before = (0,) * (self.last - self.first)
        for strip, ends in enumerate(self.ends):
            for operation, (begin, end) in enumerate(zip(before, ends, strict=True), self.first):
                if begin < end:
                    yield strip, operation, begin, end
            before = ends


@dataclass(frozen=True)
class Recurrence:
    """What the operations of a network need of each other.

    units : of each operation, how many units are its whole output
    readers : of each operation, the operations that read the planes into which it writes, ascending. Where several
        operations write channels of the same planes, a reader may come before a writer
    needed : ``needed(maker, reader, n)`` units of ``maker`` must exist for the first ``n`` units of ``reader``
    undivided : operations that run in the last strip only: the engine sends all scores at once
    """

    units: Sequence[int]
    readers: Sequence[Sequence[int]]
    needed: Callable[[int, int, int], int]
    undivided: frozenset[int] = frozenset()

    def ends(self, first: int, last: int, strips: int) -> tuple[tuple[int, ...], ...]:
        """``Segment.ends`` of operations ``first .. last - 1`` in ``strips`` strips.

        Each strip adds an even share of the outputs that leave the segment; from the last operation back to the
        first follows how much of the others that takes. The last strip completes everything.
        """
        found: list[tuple[int, ...]] = []
        ends = [0] * (last - first)
        for strip in range(1, strips + 1):
            for index in range(last - 1, first - 1, -1):
                units, readers = self.units[index], self.readers[index]
                if strip == strips:
                    ends[index - first] = units
                    continue
                inside = [r for r in readers if index < r < last]
                wanted = [self.needed(index, r, ends[r - first]) for r in inside]
                if index not in self.undivided and (not readers or readers[-1] >= last):
                    wanted.append(units * strip // strips)
                ends[index - first] = max([ends[index - first], *wanted])
            found.append(tuple(ends))
        return tuple(found)


def ring_size(spans: Iterable[tuple[int, int]]) -> int:
    """The size of a ring that keeps whatever is still needed, in the unit of ``spans``.

    spans : after each strip, the end of what has been made and the begin of what later strips need or make
    """
    most = oldest = 0
    for made, needed in spans:
        most, oldest = max(most, made - oldest), needed
    return most
