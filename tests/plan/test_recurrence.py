"""The recurrence of strips: what is made suffices, nothing is made too early, rings hold what is still needed."""

from __future__ import annotations

from dcgen.plan.recurrence import Recurrence, Segment, ring_size

UNITS = (12, 10, 8, 4)
"""Three windows of three rows, one after the other, and an operation that halves the rows."""
NEEDED = (3, 3, 2)
"""Units of the operation before that the first unit takes."""


def needed(maker: int, reader: int, units: int) -> int:
    assert reader == maker + 1
    step = 2 if reader == 3 else 1
    return min(max(0, (units - 1) * step + NEEDED[maker]) if units else 0, UNITS[maker])


CHAIN = Recurrence(UNITS, [[1], [2], [3], []], needed)


def test_each_strip_makes_what_the_last_operations_share_consists_of() -> None:
    assert CHAIN.ends(0, 4, 4) == ((6, 4, 2, 1), (8, 6, 4, 2), (10, 8, 6, 3), UNITS)


def test_one_strip_is_everything() -> None:
    assert CHAIN.ends(1, 3, 1) == (UNITS[1:3],)


def test_what_later_segments_read_is_shared_evenly() -> None:
    assert CHAIN.ends(0, 2, 5) == ((4, 2), (6, 4), (8, 6), (10, 8), (12, 10))


def test_what_comes_at_once_comes_in_the_last_strip() -> None:
    undivided = Recurrence(UNITS, CHAIN.readers, needed, frozenset([3]))
    assert undivided.ends(2, 4, 2) == ((0, 0), UNITS[2:])


def test_a_reader_before_the_maker_asks_for_nothing() -> None:
    """Operation 0 makes the first channels of planes, 2 the others; 1 reads the former, 3 both."""
    joined = Recurrence((4, 4, 4, 4), [[1, 3], [2], [1, 3], []], lambda maker, reader, units: units)
    assert joined.ends(2, 4, 2) == ((2, 2), (4, 4))
    assert joined.ends(2, 3, 2) == ((2,), (4,))


def test_shares_name_what_is_made_and_leave_out_what_is_not() -> None:
    segment = Segment(5, 7, ((2, 0), (4, 3)))
    assert list(segment.shares()) == [(0, 5, 0, 2), (1, 5, 2, 4), (1, 6, 0, 3)]


def test_a_ring_holds_the_rows_from_the_oldest_needed_to_the_newest() -> None:
    assert ring_size([(3, 1), (6, 4), (7, 7)]) == 5
    assert ring_size([]) == 0
