"""Exact cycles of the front end, streams never stalling: constants that the gateware shares, and formulas.

Cycle 0 is that of the start pulse, and a blob word is there whenever one is wanted. While an entry that has
reached the list memory finds no half of it free, everything on the way to the memory stands still, decoder and
walker included. So such a wait delays all that comes behind it by its own length, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgen.hw.contract.blob_format import Kind
from dcgen.hw.contract.commands import RECORD_WORDS, Op

I64 = NDArray[np.int64]
Fields = dict[str, int]

READ_RECORD = RECORD_WORDS + 2
"""Cycles of the record reader from ``start`` to ``done``."""
ZERO_POINTS = 4
"""Cycles in which the zero points of a step's tensors are looked up."""
STEP = 1 + READ_RECORD + ZERO_POINTS
"""Cycles from the state that starts the reading of a record to the one that acts on it."""
FIRST_BITS = 3
"""Cycles from there to the section's first bits."""
NODE_WORDS, CONV_WORDS = 6, 13
"""Words of a node's header, and of this header with a convolution's behind it."""
CHECK = 2
"""Cycles of the states that check a header."""
SECTION_END = 2
"""Cycles of the states that end a section: its last word is counted, then length and check sum are compared."""
DECODE_LATENCY = 3
"""Cycles from the bits of an entry's last code to the entry."""
COMMIT_LATENCY = 3
"""Cycles from an entry to the list memory."""
GUARD_WORDS = 2
"""Words of zeros that guard the end of a coded stream."""
AFTER_LAST_LIST = 3
"""Cycles from a step's last publication to the next record."""
BYTE, UNIT_BITS = 8, 24
"""Bits of a zero point, and of an average's unit; each takes a cycle, as the arithmetic goes bit by bit."""
PRODUCT = BYTE + 1
"""Cycles of a product with a zero point."""
ADD_CYCLES = PRODUCT
AVERAGE_CYCLES = UNIT_BITS + 1 + 1 + 2 * PRODUCT
"""Cycles from the checked header of an addition, of an average, to its constants."""


@dataclass(frozen=True, eq=False)
class StreamFacts:
    """What the cycles of a convolution's section depend on.

    levels : levels of the codebook, zero included
    per_channel : whether each output channel has a multiplier and a shift of its own
    tables : for each code table, the cycles in which its lengths are read, and the number of its coded symbols
    gaps : whether an entry is two codes, one for its run and one for its level
    runs : int64 [E], zeros in front of each entry
    kept : bool [E], whether each entry is a weight, not a filler zero
    """

    levels: int
    per_channel: bool
    tables: tuple[tuple[int, int], ...]
    gaps: bool
    runs: I64
    kept: NDArray[np.bool_]


def length_cycles(nibbles: Sequence[int], symbols: int) -> int:
    """Cycles in which the code lengths of a packed table are read.

    A group of nibbles takes a cycle, each repetition of a length other than 0 another, and the end one more.

    nibbles : of the packed table, behind its head
    symbols : how many lengths the table lists
    """
    cycles, at, listed, previous = 1, 0, 0, 0
    while listed < symbols:
        nibble = nibbles[at]
        cycles += 1
        if nibble <= 12:
            previous, at, listed = nibble, at + 1, listed + 1
        elif nibble == 15:
            previous, at, listed = 0, at + 3, listed + nibbles[at + 1] + 16 * nibbles[at + 2] + 19
        else:
            repeats = nibbles[at + 1] + 3
            previous = 0 if nibble == 13 else previous
            cycles += repeats - 1 if previous else 0
            at, listed = at + 2, listed + repeats
    return cycles


def table_cycles(lengths: int, coded: int) -> int:
    """Cycles of a code table: start, head, lengths, tail, places.

    lengths : cycles in which its lengths are read
    coded : symbols that have a code
    """
    return 1 + 1 + lengths + 1 + coded + 1


@dataclass(frozen=True, eq=False)
class Schedule:
    """When the lists of a step would pass the walker if none ever waited; -1 stands for never.

    first : int64 [lists], cycle of the list's first weight or, if it has none, of its publication
    last : int64 [lists], cycle of its publication; -1 where it waits for the flush at the section's end
    end : first cycle in which nothing is on its way to the list memory
    """

    first: I64
    last: I64
    end: int


def conv_schedule(facts: StreamFacts, f: Fields, begin: int) -> Schedule:
    """The schedule of a convolution, whose decoding begins in cycle ``begin``."""
    outputs, taps, channels = f["outputs"], f["taps"], f["channels"]
    first, last = np.full(outputs, -1, np.int64), np.full(outputs, -1, np.int64)
    n = len(facts.runs)
    if not n:
        return Schedule(first, last, begin)
    period = 2 if facts.gaps else 1
    position = np.cumsum(facts.runs + 1) - 1
    # The tap, numbered through all filters, in which the walker is before and behind each entry.
    behind = (position + 1) // channels
    before = np.concatenate([[0], behind[:-1]])
    wraps = position // channels - before
    taken = begin + DECODE_LATENCY + period - 1 + np.cumsum(wraps) + period * np.arange(n)

    # A filter ends with the entry at its last position, or while the walker goes to the next entry past it.
    borders = np.arange(1, outputs) * taps
    ender = np.searchsorted(behind, borders)
    ended = int(np.searchsorted(ender, n))
    ender, borders = ender[:ended], borders[:ended]
    crossing = taken[ender] - wraps[ender] + borders - before[ender] - 1
    last[:ended] = np.minimum(crossing, taken[ender])

    kept = np.flatnonzero(facts.kept)
    filters, at = np.unique(position[kept] // (channels * taps), return_index=True)
    first[filters] = taken[kept[at]]
    first = np.where(first < 0, last, first)
    token = max(int(last.max()), int(taken[kept[-1]]) if len(kept) else -1)
    return Schedule(first, last, max(int(taken[-1]) + 1, token + COMMIT_LATENCY + 1))


def plain_schedule(f: Fields, begin: int) -> Schedule:
    """The schedule of an addition or an average, which has a weight a cycle from cycle ``begin`` on."""
    first = begin + np.arange(f["outputs"]) * f["taps"]
    last = first + f["taps"] - 1
    end = int(last[-1]) + COMMIT_LATENCY + 1
    last[-1] = -1
    return Schedule(first, last, end)


Lists = Generator[int, int, int]
"""For each list, yields -1, is sent the first cycle in which a half of the list memory is free, and yields the
cycle in which the list is published. What it returns at its end is said by the function that makes it."""


def _publish(schedule: Schedule, to_flush: int) -> Lists:
    """Publishes all lists of a step. Returns the cycle of the last publication.

    to_flush : cycles from ``schedule.end`` to the flush of the first list that waits for it
    """
    waited, flush, published = 0, -1, -1
    for first, last in zip(schedule.first.tolist(), schedule.last.tolist(), strict=True):
        free = yield -1
        begun = first >= 0
        if begun:
            waited += max(0, free - (first + COMMIT_LATENCY + waited))
        if last >= 0:
            published = last + COMMIT_LATENCY + waited
        else:
            flush = flush + 1 if flush >= 0 else schedule.end + waited + to_flush
            published = flush + COMMIT_LATENCY
            if not begun:
                published = max(published, free)
            flush = published - COMMIT_LATENCY
        yield published
    return published


def step_lists(f: Fields, facts: StreamFacts | None, record: int) -> Lists:
    """Publishes the lists of a step. Returns the cycle in which the next record starts; of END, that of its act.

    f : the step's record
    facts : of its section, for a convolution
    record : cycle in which the record starts
    """
    op, kind = f["op"], f.get("kind", 0)
    act = record + STEP
    checked = act + FIRST_BITS + NODE_WORDS + CHECK - 1
    if op == Op.END:
        return act
    if op == Op.LOAD:
        return act + 2
    if op == Op.TENSORS:
        words = 2 * f["outputs"] + (f["channels"] + 3) // 4
        return act + FIRST_BITS + words + 1 + SECTION_END + 1
    if op == Op.SECTION:
        return checked + 1 + SECTION_END + 1
    none = np.full(1, -1, np.int64)
    if kind == Kind.CONV:
        assert facts is not None, "a convolution's section has a stream"
        arrays = facts.levels - 1 + f["outputs"] * (3 if facts.per_channel else 1)
        align = checked + CONV_WORDS - NODE_WORDS + 1 + arrays + sum(table_cycles(*t) for t in facts.tables)
        schedule = conv_schedule(facts, f, align + 1)
        # The ends of the stream and of the section, then the state that flushes.
        to_flush = 1 + GUARD_WORDS + 1 + SECTION_END + 1 + 1
    elif kind in (Kind.ADD, Kind.AVG_POOL):
        constants = ADD_CYCLES if kind == Kind.ADD else AVERAGE_CYCLES
        schedule, to_flush = plain_schedule(f, checked + constants + 1), 2
    elif kind:
        schedule, to_flush = Schedule(none, none, checked), 1 + SECTION_END + 1
    else:
        schedule, to_flush = Schedule(none, none, act), 2
    last = yield from _publish(schedule, to_flush)
    return last + AFTER_LAST_LIST


def publisher(steps: Iterable[tuple[Fields, StreamFacts | None]]) -> Callable[[int, int | None], int]:
    """The ``publish`` of ``back_timing.walk``, for these steps: their records, with the facts of convolutions."""

    def all_lists() -> Lists:
        start = 1
        for fields, facts in steps:
            start = yield from step_lists(fields, facts, start)
        return start

    lists = all_lists()

    def publish(number: int, freed: int | None) -> int:
        next(lists)
        return lists.send(-1 if freed is None else freed + 1)

    return publish


def first_word(start: int = 1) -> int:
    """Cycle in which the blob's first word is accepted, where the command list begins with TENSORS.

    start : cycle in which the front end starts the first record
    """
    return start + STEP + 1
