"""Exact cycles of the back end, streams never stalling: depths of its pipelines, and what follows from them.

The gateware is built with the same depths. Cycle 0 is that of the start pulse. ``walk`` follows a command list;
for each list of weights it asks when the front end publishes it, and says when the list's half of the list memory
became free, so that this model and one of the front end advance together, list by list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dcgen.hw.contract.commands import RECORD_WORDS, TAP_WORDS, Op
from dcgen.hw.contract.parameters import EngineParameters

# Depths of pipelines -------------------------------------------------------------------------------

READ_CYCLES = RECORD_WORDS + 2
"""Cycles of the record reader from ``start`` to ``done``: address register, memory, the record's registers."""

LEVELS_A_STAGE = 2
"""Multiplexers that a rotator has between two registers."""

READ_AHEAD = 2
"""Cycles from a request to the activation memory until its banks are read: choice of address, address register."""

MEMORY_REQUEST = 2
"""Cycles of the read path from a request with a place in a ring to one with the words that hold it."""

CONV_REQUEST_CYCLES = 6
"""Cycles from the issue of a list's entry to its request: list memory, register, taps, register, place, ring."""

POOL_REQUEST_CYCLES = 1
SCORES_REQUEST_CYCLES = 1
"""Cycles from the issue of a read of a POOL, of a SCORES, to its request."""

MULTIPLY_CYCLES = 2
"""Cycles of a multiplier: a register before it and one behind it."""

REQUANTIZE_CYCLES = MULTIPLY_CYCLES + 7
"""Cycles of a requantizer: bias, product, sum of its halves, two of shifting, rounding, saturation, clip."""

WINDOW_CYCLES = 4
"""Cycles from a chunk's last bytes to its write: neighbours twice, reads of the chunk, stride."""

WRITE_PATH_CYCLES = 1
"""Cycles from a step's write to the request to the activation memory, which is what the trace shows."""

SUM_FAN_IN = 4
"""Terms that an adder of SCORES adds between two registers."""

QUEUE_CYCLES = 2
"""Cycles of the score queue from ``push`` to ``scores``."""


def ceil_log2(count: int) -> int:
    """Width of a number below ``count``, at least 1."""
    return max(1, (count - 1).bit_length())


def rotate_cycles(lanes: int) -> int:
    """Cycles of a rotator."""
    return -(-ceil_log2(lanes) // LEVELS_A_STAGE)


def read_cycles(p: EngineParameters) -> int:
    """Cycles of the activation memory from a read's request to its bytes: address, bank, its register, rotator."""
    return READ_AHEAD + 2 + rotate_cycles(p.lanes)


def write_cycles(p: EngineParameters) -> int:
    """Cycles of the activation memory from a write's request until its bytes are there: rotator, bank."""
    return rotate_cycles(p.lanes) + 1


def read_path_cycles(p: EngineParameters) -> int:
    """Cycles of the read path from a request to the masked bytes."""
    return MEMORY_REQUEST + read_cycles(p) + 1


def setup_cycles(p: EngineParameters) -> int:
    """Cycles of the lane mask from ``setup`` until it knows the columns of the first tile."""
    return ceil_log2(p.lanes) + 3


def tap_load_cycles(taps: int) -> int:
    """Cycles of the tap table from ``start`` to ``done``."""
    return TAP_WORDS * taps + 2


def tree_levels(p: EngineParameters) -> int:
    """Cycles of the adders of SCORES from the bytes of a word to their sum."""
    levels, terms = 0, p.lanes
    while terms > 1:
        levels, terms = levels + 1, -(-terms // SUM_FAN_IN)
    return levels


def sum_cycles(p: EngineParameters) -> int:
    """Cycles from the issue of a tile's last entry until its sums move to the shadow accumulators."""
    return CONV_REQUEST_CYCLES + read_path_cycles(p) + MULTIPLY_CYCLES


# Steps ---------------------------------------------------------------------------------------------

Fields = dict[str, int]


def dispatched(start: int) -> int:
    """Cycle in which the sequencer acts on the record whose reading began in cycle ``start``."""
    return start + READ_CYCLES + 1


def skip_end(start: int) -> int:
    """Cycle in which the reading of the record behind a TENSORS or SECTION begins; of END, first with ``done``."""
    return dispatched(start) + 1


def load_end(start: int, f: Fields, p: EngineParameters) -> int:
    """Cycle in which the reading of the record behind a LOAD begins."""
    return dispatched(start) + -(-f["count"] // p.picture_bytes) + WRITE_PATH_CYCLES + 1


def conv_ready(start: int, f: Fields, p: EngineParameters) -> int:
    """First cycle in which a CONV can issue an entry."""
    return dispatched(start) + max(setup_cycles(p), tap_load_cycles(f["taps"]) + 1) + 1


@dataclass(frozen=True)
class ListTimes:
    """The replay of one list.

    released : cycle in which its last entry is issued
    busy_until : in a raw step, cycle in which the last score of its last tile sets out; else -1
    list_wait, drain_wait : cycles in which nothing was issued, by their cause
    """

    released: int
    busy_until: int
    list_wait: int
    drain_wait: int


def conv_list(
    ready: int, before: ListTimes | None, published: int, entries: int, f: Fields, p: EngineParameters
) -> ListTimes:
    """The replay of a CONV's list.

    ready : first cycle in which the step can issue an entry
    before : the replay of the step's list before this one, None for the first
    published : cycle in which the list is published
    entries : its length
    f : the step's record
    """
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
    """Cycle in which the reading of the record behind a CONV begins, ``last`` being its last list's replay."""
    if f["raw"]:
        return last.busy_until + 1 + QUEUE_CYCLES + 1
    return last.released + sum_cycles(p) + p.groups + REQUANTIZE_CYCLES + WRITE_PATH_CYCLES + 1


def head_taken(start: int, published: int) -> int:
    """Cycle in which a POOL or SCORES takes its list and releases it."""
    return max(dispatched(start), published) + 1


def pool_reads(f: Fields) -> int:
    """Reads of a POOL; it issues one a cycle."""
    chunks = -(-f["out_width"] // f["chunk_outputs"])
    return f["outputs"] * f["rows"] * chunks * f["taps"] * f["x_groups"]


def pool_end(taken: int, f: Fields, p: EngineParameters) -> int:
    """Cycle in which the reading of the record behind a POOL begins that took its head in cycle ``taken``."""
    last = taken + 1 + pool_reads(f)
    return last + POOL_REQUEST_CYCLES + read_path_cycles(p) + WINDOW_CYCLES + WRITE_PATH_CYCLES + 1


def score_reads(f: Fields, p: EngineParameters) -> int:
    """Reads of a SCORES; it issues one a cycle."""
    return f["outputs"] * (-(-f["count"] // p.lanes) if f["total"] else f["count"])


def scores_push_cycles(p: EngineParameters) -> int:
    """Cycles from the issue of a score's last read to its push: request, bytes, adders, zero points, plane."""
    return SCORES_REQUEST_CYCLES + read_path_cycles(p) + tree_levels(p) + 2


def scores_end(taken: int, f: Fields, p: EngineParameters) -> int:
    """Cycle in which the reading of the record behind a SCORES begins that took its head in ``taken``."""
    return taken + 1 + score_reads(f, p) + scores_push_cycles(p) + QUEUE_CYCLES + 1


# Command lists -------------------------------------------------------------------------------------

Publish = Callable[[int, int | None], int]
"""Given the number of a list, and the cycle of the release that freed its half of the list memory (None for the
first two lists): the cycle in which the list is published."""


@dataclass(frozen=True)
class StepTimes:
    """The cycles of one record.

    start, end : cycles in which its reading begins, and that of the next record
    mac, list_wait, drain_wait, pool, load : how many cycles in between each cause takes, as the counters count
        them
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
        """Cycles of no such cause: reading the record, setting up, pipelines running empty."""
        return self.end - self.start - self.mac - self.list_wait - self.drain_wait - self.pool - self.load


@dataclass
class _Lists:
    """Numbers the lists, and remembers when each was released."""

    publish: Publish
    lengths: Sequence[int]
    taken: int = 0
    released: list[int] = field(default_factory=list)

    def next(self) -> tuple[int, int]:
        """Cycle of publication and number of entries of the next list."""
        number = self.taken
        self.taken += 1
        free = self.released[number - 2] if number >= 2 else None
        return self.publish(number, free), self.lengths[number]


def walk(
    records: Iterable[Fields], lengths: Sequence[int], publish: Publish, p: EngineParameters
) -> list[StepTimes]:
    """The cycles of every record; ``end`` of the last one, END, is the first cycle with ``done``.

    records : the command list's, in their order
    lengths : number of entries of each list, in the order of publication
    publish : the front end
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
