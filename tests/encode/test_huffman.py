"""Length-limited canonical codes and their packed tables."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dcgen.encode.huffman import CodeTable, code_lengths
from dcgen.encode.schema import ESCAPE
from dcgen.errors import BlobError

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=300)


@cache
def cheapest(counts: tuple[int, ...], limit: int) -> int:
    """The fewest bits that any code with lengths 1..limit takes in all, found by trying all Kraft budgets."""

    @cache
    def best(i: int, budget: int) -> float:
        if i == len(counts):
            return 0
        return min(
            (
                counts[i] * bits + best(i + 1, budget - (1 << limit - bits))
                for bits in range(1, limit + 1)
                if budget >= 1 << limit - bits
            ),
            default=float("inf"),
        )

    return int(best(0, 1 << limit))


@given(st.lists(st.integers(1, 200), min_size=2, max_size=8), st.integers(3, 6))
@example([1, 1, 2, 3, 5, 8, 13, 21], 3)
@example([1, 1, 2, 3, 5, 8, 13, 21], 4)
def test_lengths_are_optimal_within_the_limit(counts: list[int], limit: int) -> None:
    lengths = code_lengths(np.array(counts), limit)
    assert lengths.max() <= limit
    assert (np.array(counts) * lengths).sum() == cheapest(tuple(counts), limit)


@given(COUNTS)
def test_codes_are_complete_and_prefix_free(counts: list[int]) -> None:
    table = CodeTable.from_counts(np.array(counts))
    assert [n > 0 for n in code_lengths(np.array(counts))] == [c > 0 for c in counts]
    codes = [
        f"{code:0{length}b}"
        for code, length in zip(table.codes.tolist(), table.all_lengths.tolist(), strict=True)
        if length
    ]
    assert len(codes) == sum(c > 0 for c in counts)
    for a, b in zip(sorted(codes), sorted(codes)[1:], strict=False):
        assert not b.startswith(a)
    if len(codes) > 1:
        assert sum(2.0 ** -len(c) for c in codes) == 1


def test_codes_are_those_of_deflate() -> None:
    """The example of RFC 1951, 3.2.2."""
    table = CodeTable(np.array([3, 3, 3, 3, 3, 2, 4, 4], np.uint8))
    assert table.codes.tolist()[:8] == [0b010, 0b011, 0b100, 0b101, 0b110, 0b00, 0b1110, 0b1111]
    assert table.sent.tolist()[:8] == [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111]


@given(COUNTS, st.integers(0, 50))
def test_look_up_finds_each_code_whatever_follows(counts: list[int], escapes: int) -> None:
    table = CodeTable.from_counts(np.array(counts), escapes)
    rng = np.random.default_rng(0)
    for index in np.flatnonzero(table.all_lengths):
        length = int(table.all_lengths[index])
        window = int(table.sent[index]) | int(rng.integers(0, 4096)) << length
        symbol = ESCAPE if index == len(table.lengths) else index
        assert table.lookup[window & (len(table.lookup) - 1)] == symbol << 4 | length


def test_one_symbol_takes_one_bit_and_none_take_nothing() -> None:
    assert CodeTable.from_counts(np.array([0, 7])).lengths.tolist() == [0, 1]
    assert CodeTable.from_counts(np.array([0]), 3).escape_length == 1
    empty = CodeTable.from_counts(np.zeros(5, np.int64))
    assert (empty.max_bits, empty.lookup.tolist(), empty.pack()) == (0, [0], bytes(4))


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 300)), max_size=12),
    st.integers(0, 12),
)
def test_packed_tables_come_back(runs: list[tuple[int, int]], escape: int) -> None:
    lengths = np.array([v for value, n in runs for v in [value] * n], np.uint8)[:4095]
    try:
        table = CodeTable(lengths, escape)
    except BlobError:
        return
    packed = table.pack()
    assert len(packed) == table.packed_bytes
    found = CodeTable.unpack(packed, 4095, True)
    np.testing.assert_array_equal(found.lengths, lengths)
    assert found.escape_length == escape


@given(COUNTS)
def test_tables_of_real_codes_come_back(counts: list[int]) -> None:
    table = CodeTable.from_counts(np.array(counts))
    np.testing.assert_array_equal(CodeTable.unpack(table.pack(), 300, False).lengths, table.lengths)


def test_runs_are_packed_short() -> None:
    lengths = np.zeros(4000, np.uint8)
    lengths[[0, -1]] = 1
    assert len(CodeTable(lengths).pack()) == 4 + (1 + 15 * 3 + 1 + 1) // 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\0\0\0", "of 3 bytes is shorter than its head"),
        (b"\x03\0\0\0\x11\x01", "is over-full, Kraft sum 6144/4096"),
        (b"\x04\0\0\0\x11", "ends after 2 of 4 symbols"),
        (b"\x02\0\0\0\xd1\x00", "of 6 bytes does not end with its 2 symbols"),
        (b"\x02\0\0\0\x11\x00", "of 6 bytes does not end with its 2 symbols"),
        (b"\x01\0\0\0\x11", "of 5 bytes does not end with its 1 symbols"),
        (b"\x04\0\0\0\x0e\x00", "ends after 0 of 4 symbols"),
        (b"\x00\0\x0d\0", "escape of 13 bits"),
        (b"\x00\0\0\x01", "lists 0 symbols"),
        (b"\xff\xff\0\0", "lists 65535 symbols of 4095"),
    ],
)
def test_malformed_tables_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(BlobError, match=problem) as caught:
        CodeTable.unpack(data, 4095, True)
    assert caught.value.code == "TABLE"


@given(st.binary(max_size=40))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    try:
        CodeTable.unpack(data, 4095, True)
    except BlobError as error:
        assert error.code == "TABLE"
