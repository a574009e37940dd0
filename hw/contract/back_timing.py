"""Exact cycles of the back end: its pipelines' depths, which the gateware uses, and what follows from them.

Cycle 0 is the start pulse; streams never stall. ``walk`` follows a command list. It asks ``publish`` when
each list is handed over, telling it when that list's buffer became free, so that a model of the front end
and this one advance together, list by list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dcgen.hw.contract.commands import RECORD_WORDS, TAP_WORDS, Op
from dcgen.hw.contract.parameters import EngineParameters

# Depths of pipelines -------------------------------------------------------------------------------

READ_CYCLES = RECORD_WORDS + 2
"""Record reader, start to done: the address register, the memory, the record's registers."""

LEVELS_A_STAGE = 2
"""Multiplexers of a rotator between two registers."""

READ_AHEAD = 2
"""From a read request until the banks are read: choice of address, address register."""

MEMORY_REQUEST = 2
"""From a request with a place in a ring to the read request with its words."""

CONV_REQUEST_CYCLES = 6
"""From an entry's issue to its request: list memory, register, taps, register, place, turn of the ring."""

POOL_REQUEST_CYCLES = 1
SCORES_REQUEST_CYCLES = 1

MULTIPLY_CYCLES = 2
"""A register before and one behind the multiplier."""

REQUANTIZE_CYCLES = MULTIPLY_CYCLES + 7
"""Bias, product, its halves' sum, two of shifting, rounding, saturation, clip."""

WINDOW_CYCLES = 4
"""From a chunk's last bytes to its write: neighbours twice, reads of the chunk, strides."""

WRITE_PATH_CYCLES = 1
"""From a write to the memory's request, which the trace shows."""

SUM_FAN_IN = 4
"""Terms that the adders of SCORES add between two registers."""

QUEUE_CYCLES = 2
"""From a score's push to its place on the stream."""


def ceil_log2(count: int) -> int:
    """Bits of a number below ``count``, at least 1."""
    return max(1, (count - 1).bit_length())


def rotate_cycles(lanes: int) -> int:
    """A rotator, input to output."""
    return -(-ceil_log2(lanes) // LEVELS_A_STAGE)


def read_cycles(p: EngineParameters) -> int:
    """Activation memory, read request to bytes: address, bank, its output register, rotator."""
    return READ_AHEAD + 2 + rotate_cycles(p.lanes)


def write_cycles(p: EngineParameters) -> int:
    """Activation memory, write request until the bytes are there: rotator, bank."""
    return rotate_cycles(p.lanes) + 1


def read_path_cycles(p: EngineParameters) -> int:
    """Request to masked bytes."""
    return MEMORY_REQUEST + read_cycles(p) + 1


def setup_cycles(p: EngineParameters) -> int:
    """Lane mask, setup pulse until the columns of the first tile are right."""
    return ceil_log2(p.lanes) + 3


def tap_load_cycles(taps: int) -> int:
    """Tap table, start to done."""
    return TAP_WORDS * taps + 2


def tree_levels(p: EngineParameters) -> int:
    """Registers from a word's bytes to its sum."""
    levels, terms = 0, p.lanes
    while terms > 1:
        levels, terms = levels + 1, -(-terms // SUM_FAN_IN)
    return levels


def sum_cycles(p: EngineParameters) -> int:
    """Entry's issue to the cycle in which a tile's sums are moved to the shadow accumulators."""
    return CONV_REQUEST_CYCLES + read_path_cycles(p) + MULTIPLY_CYCLES


# Steps ---------------------------------------------------------------------------------------------

Fields = dict[str, int]


def dispatched(start: int) -> int:
    """Cycle in which the record whose reading began at ``start`` is acted on."""
    return start + READ_CYCLES + 1


def skip_end(start: int) -> int:
    """Next record's start after TENSORS or SECTION; END: the first cycle of ``done``."""
    return dispatched(start) + 1


def load_end(start: int, f: Fields, p: EngineParameters) -> int:
    """Next record's start after a LOAD."""
    return dispatched(start) + -(-f["count"] // p.picture_bytes) + WRITE_PATH_CYCLES + 1


def conv_ready(start: int, f: Fields, p: EngineParameters) -> int:
    """First cycle in which an entry can be issued."""
    return dispatched(start) + max(setup_cycles(p), tap_load_cycles(f["taps"]) + 1) + 1


@dataclass(frozen=True)
class ListTimes:
    """One list's replay.

    released : cycle of its last entry's issue
    busy_until : raw steps: cycle in which its last tile's scores have all set out
    list_wait, drain_wait : cycles lost to either
    """

    released: int
    busy_until: int
    list_wait: int
    drain_wait: int


def conv_list(
    ready: int, before: ListTimes | None, published: int, entries: int, f: Fields, p: EngineParameters
) -> ListTimes:
    """Replay of a list published in cycle ``published``; ``before`` is the step's list before it."""
    asked = ready if before is None else before.released + 1
    begun = max(asked, published + 1)
    tiles, groups = f["tiles"], p.groups
    if f["raw"]:
        issue, busy_until = begun - 1, -1 if before is None else before.busy_until
        for tile in range(tiles):
            issue = max(issue + entries, busy_until + 1)
            pixels = max(1, min(p.lanes, f["count"] - tile * p.lanes))
            busy_until = issue + sum_cycles(p) + pixels
        released = issue
    else:
        first = begun + entries - 1
        if before is not None:
            first = max(first, before.released + groups)
        released, busy_until = first + (tiles - 1) * max(entries, groups), -1
    waited = begun - asked
    return ListTimes(released, busy_until, waited, released + 1 - begun - entries * tiles)


def conv_end(last: ListTimes, f: Fields, p: EngineParameters) -> int:
    """Next record's start after a CONV whose last list is ``last``."""
    if f["raw"]:
        return last.busy_until + 1 + QUEUE_CYCLES + 1
    return last.released + sum_cycles(p) + p.groups + REQUANTIZE_CYCLES + WRITE_PATH_CYCLES + 1


def head_taken(start: int, published: int) -> int:
    """Cycle in which a POOL or SCORES step takes, and releases, its list."""
    return max(dispatched(start), published) + 1


def pool_reads(f: Fields) -> int:
    """Reads of a POOL, one a cycle."""
    chunks = -(-f["out_width"] // f["chunk_outputs"])
    return f["outputs"] * f["rows"] * chunks * f["taps"] * f["x_groups"]


def pool_end(taken: int, f: Fields, p: EngineParameters) -> int:
    """Next record's start after a POOL that took its head in cycle ``taken``."""
    last = taken + 1 + pool_reads(f)
    return last + POOL_REQUEST_CYCLES + read_path_cycles(p) + WINDOW_CYCLES + WRITE_PATH_CYCLES + 1


def score_reads(f: Fields, p: EngineParameters) -> int:
    """Reads of a SCORES, one a cycle."""
    return f["outputs"] * (-(-f["count"] // p.lanes) if f["total"] else f["count"])


def scores_push_cycles(p: EngineParameters) -> int:
    """Issue of a score's last read to its push: request, bytes, tree, minus zero points, plane."""
    return SCORES_REQUEST_CYCLES + read_path_cycles(p) + tree_levels(p) + 2


def scores_end(taken: int, f: Fields, p: EngineParameters) -> int:
    """Next record's start after a SCORES that took its head in cycle ``taken``."""
    return taken + 1 + score_reads(f, p) + scores_push_cycles(p) + QUEUE_CYCLES + 1


# Command lists -------------------------------------------------------------------------------------

Publish = Callable[[int, int | None], int]
"""(number of the list, cycle of the release that freed its buffer or None) -> cycle of its publication"""


@dataclass(frozen=True)
class StepTimes:
    """One record.

    start, end : cycles in which its reading and that of the next record begin
    mac, list_wait, drain_wait, pool, load : cycles by cause; the others are neither
    """

    start: int
    end: int
    mac: int = 0
    list_wait: int = 0
    drain_wait: int = 0
    pool: int = 0
    load: int = 0

    @property
    def other(self) -> int:
        """Reading records, setting up, pipelines running empty."""
        return self.end - self.start - self.mac - self.list_wait - self.drain_wait - self.pool - self.load


@dataclass
class _Lists:
    """Numbers the lists and remembers when the last two were released."""

    publish: Publish
    lengths: Sequence[int]
    taken: int = 0
    released: list[int] = field(default_factory=list)

    def next(self) -> tuple[int, int]:
        """(cycle of publication, entries) of the next list."""
        number = self.taken
        self.taken += 1
        free = self.released[number - 2] if number >= 2 else None
        return self.publish(number, free), self.lengths[number]


def walk(
    records: Iterable[Fields], lengths: Sequence[int], publish: Publish, p: EngineParameters
) -> list[StepTimes]:
    """Times of every record up to END, whose ``end`` is the first cycle of ``done``.

    lengths : entries of each list, in order of publication
    """
    lists = _Lists(publish, lengths)
    start, found = 0, []
    for f in records:
        times = _step(start, f, lists, p)
        found.append(times)
        start = times.end
    return found


def _step(start: int, f: Fields, lists: _Lists, p: EngineParameters) -> StepTimes:
    match f["op"]:
        case Op.LOAD:
            return StepTimes(start, load_end(start, f, p), load=-(-f["count"] // p.picture_bytes))
        case Op.CONV:
            return _conv(start, f, lists, p)
        case Op.POOL | Op.SCORES:
            published, _ = lists.next()
            taken = head_taken(start, published)
            lists.released.append(taken)
            wait = taken - dispatched(start) - 1
            if f["op"] == Op.SCORES:
                return StepTimes(start, scores_end(taken, f, p), list_wait=wait)
            return StepTimes(start, pool_end(taken, f, p), list_wait=wait, pool=pool_reads(f))
        case _:
            return StepTimes(start, skip_end(start))


def _conv(start: int, f: Fields, lists: _Lists, p: EngineParameters) -> StepTimes:
    ready = conv_ready(start, f, p)
    mac = list_wait = drain_wait = 0
    last: ListTimes | None = None
    for _ in range(f["outputs"]):
        published, entries = lists.next()
        last = conv_list(ready, last, published, entries, f, p)
        lists.released.append(last.released)
        mac += entries * f["tiles"]
        list_wait += last.list_wait
        drain_wait += last.drain_wait
    assert last is not None, "a CONV has outputs"
    return StepTimes(start, conv_end(last, f, p), mac, list_wait, drain_wait)
