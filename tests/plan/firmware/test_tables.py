"""Decoding tables: as large as the runtime lays them out, and entered with the bits that suit a network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgen.encode.blob import encode
from dcgen.encode.huffman import CodeTable
from dcgen.encode.schema import MAX_CODE_BITS
from dcgen.models.catalogue import DIGITS, V1_1
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.plan.firmware.tables import TABLE_BITS, bit_choices, capacity, fastest_bits, table_words
from tests.firmware.nets import every_operator
from tests.squeezenets import squeezenet

COUNTS = st.lists(st.integers(0, 1000) | st.integers(0, 10**6), min_size=2, max_size=600).filter(any)


def counted_words(table: CodeTable, bits: int) -> int:
    """Words of a table, counted code by code: the first level, and a second level for each prefix of longer
    codes."""
    longest: dict[int, int] = {}
    for code, length in zip(table.sent.tolist(), table.all_lengths.tolist(), strict=True):
        if length > bits:
            first = code & ((1 << bits) - 1)
            longest[first] = max(longest.get(first, 0), length)
    return (1 << bits) + sum(1 << (length - bits) for length in longest.values())


@given(COUNTS, st.sampled_from(TABLE_BITS))
def test_words_of_complete_codes(counts: list[int], bits: int) -> None:
    table = CodeTable.from_counts(np.array(counts, np.int64))
    assert table_words(table.n_symbols, bits) == counted_words(table, bits)


@given(st.lists(st.integers(0, MAX_CODE_BITS), min_size=1, max_size=40), st.sampled_from(TABLE_BITS))
def test_words_of_any_code_are_enough(lengths: list[int], bits: int) -> None:
    """A blob's code may be incomplete: the last second level then has room for codes of any length."""
    if sum(1 << (MAX_CODE_BITS - n) for n in lengths if n) > 1 << MAX_CODE_BITS:
        lengths = [MAX_CODE_BITS] * len(lengths)
    table = CodeTable(np.array(lengths, np.uint8))
    spare = table_words(table.n_symbols, bits) - counted_words(table, bits)
    assert 0 <= spare <= 1 << (MAX_CODE_BITS - bits)


@pytest.mark.parametrize("seed", range(3))
def test_fewer_bits_make_smaller_tables_at_first(seed: int) -> None:
    blob = encode(every_operator(seed))
    choices = bit_choices(blob)
    assert choices[0] == fastest_bits(blob)
    assert list(choices) == sorted(set(choices), reverse=True)
    sizes = [capacity(blob, bits) for bits in choices]
    assert sizes == sorted(set(sizes), reverse=True)


def test_codes_that_are_read_often_ask_for_larger_tables() -> None:
    """A small network reads few codes from each table that it fills, a large network many."""
    small, large = (encode(squeezenet(spec, density=0.5, mean=10.0)) for spec in (DIGITS, V1_1))
    assert fastest_bits(small) + 1 < fastest_bits(large)


@pytest.mark.parametrize("bits", TABLE_BITS)
def test_a_plan_has_room_for_the_tables_that_are_asked_for(bits: int) -> None:
    graph = every_operator(0)
    blob = encode(graph)
    scratch = plan_firmware(graph, blob, table_bits=bits).scratch
    assert (scratch.table_bits, scratch.table_words) == (bits, capacity(blob, bits))
    assert scratch.levels - scratch.tables >= 4 * scratch.n_tables * scratch.table_words
