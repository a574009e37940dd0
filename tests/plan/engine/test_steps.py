"""The reads of a pool's window cover its columns exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dcgen.plan.engine.steps import window_reads


@given(st.integers(1, 255))
def test_reads_cover_every_column_and_no_other(columns: int) -> None:
    reads, window, step = window_reads(columns)
    covered = {g * step + x for g in range(reads) for x in range(window)}
    assert covered == set(range(columns))
    assert 1 <= window <= 3 and step < 16


def test_small_windows_take_one_read_per_three_columns() -> None:
    assert [window_reads(k)[0] for k in range(1, 8)] == [1, 1, 1, 2, 2, 2, 3]
