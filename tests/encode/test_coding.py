"""Weights become entries and back, and streams are read back from their bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.encode import stream
from dcgen.encode.gaps import code_gaps
from dcgen.encode.joint import code_joint
from dcgen.encode.schema import Coding
from dcgen.encode.stream import CodedStream, read_entries, stream_size
from dcgen.encode.symbols import Entries, frequency_order
from dcgen.errors import BlobError

SPARSE = st.builds(
    lambda n, seed, density, levels: np.where(
        np.random.default_rng(seed).random((1, n, 1, 1)) < density,
        np.random.default_rng(seed + 1).integers(0, levels, (1, n, 1, 1)),
        0,
    ).astype(np.uint8),
    st.integers(1, 5000),
    st.integers(0, 1000),
    st.sampled_from((0.0, 0.001, 0.05, 0.3, 1.0)),
    st.sampled_from((1, 2, 16, 256)),
)


def read(coded: CodedStream) -> Entries:
    return read_entries(coded.data, coded.bits, coded.n_entries, coded.code)


def test_entries_go_by_output_channel_kernel_position_and_input_channel() -> None:
    indices = np.zeros((2, 3, 2, 2), np.uint8)
    indices[0, 1, 0, 1] = 5
    indices[1, 2, 1, 0] = 7
    entries = Entries.of(indices)
    assert entries.positions.tolist() == [0 * 12 + 1 * 3 + 1, 1 * 12 + 2 * 3 + 2]
    assert entries.levels.tolist() == [5, 7]
    assert entries.per_filter((2, 3, 2, 2)).tolist() == [1, 1]
    np.testing.assert_array_equal(entries.indices((2, 3, 2, 2)), indices)


@given(SPARSE, st.integers(0, 5))
def test_fillers_change_no_weight(indices: np.ndarray, bits: int) -> None:
    entries = Entries.of(indices)
    limited = entries.limited((1 << bits) - 1)
    assert limited.runs.max(initial=0) < 1 << bits
    assert len(limited) == entries.n_limited((1 << bits) - 1)
    np.testing.assert_array_equal(limited.indices(indices.shape), indices)


@settings(deadline=None)
@given(SPARSE, st.integers(1, 8))
def test_streams_come_back(indices: np.ndarray, gap_bits: int) -> None:
    entries = Entries.of(indices)
    for coded in (code_joint(entries, 256), code_gaps(entries, 256, gap_bits)):
        assert len(coded.data) == stream_size(coded.bits)
        found = read(coded)
        assert len(found) == coded.n_entries
        np.testing.assert_array_equal(found.indices(indices.shape), indices)


def test_streams_longer_than_one_piece_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHAIN_BITS", 64)
    rng = np.random.default_rng(5)
    indices = rng.integers(0, 20, (1, 3000, 1, 1)).astype(np.uint8) * (rng.random((1, 3000, 1, 1)) < 0.3)
    entries = Entries.of(indices.astype(np.uint8))
    for coded in (code_joint(entries, 20), code_gaps(entries, 20, 3)):
        np.testing.assert_array_equal(read(coded).indices(indices.shape), indices)


def test_runs_beyond_twelve_bits_take_fillers() -> None:
    indices = np.zeros((1, 3, 100, 100), np.uint8)
    indices[0, 2, 99, 99] = 1
    coded = code_joint(Entries.of(indices), 2)
    assert coded.code.run_bits <= 12 and coded.n_entries >= 29999 // 4096
    np.testing.assert_array_equal(read(coded).indices(indices.shape), indices)


def test_rare_symbols_are_escaped_where_that_is_smaller() -> None:
    """Common levels keep their codes; 200 levels that occur once are not worth a table."""
    rng = np.random.default_rng(6)
    levels = np.concatenate([rng.integers(1, 5, 4000), np.arange(5, 205)])
    entries = Entries(rng.integers(0, 3, len(levels)), rng.permutation(levels).astype(np.uint8))
    coded = code_joint(entries, 256)
    (table,) = coded.code.tables
    assert table.escape_length > 0
    assert np.count_nonzero(table.lengths) < 40


def test_the_joint_code_keeps_every_symbol_within_its_bounds() -> None:
    """Run 15 with level 255 would be symbol 4095, which is the escape."""
    entries = Entries(np.full(50, 15), np.full(50, 255, np.uint8))
    coded = code_joint(entries, 256)
    assert coded.code.coding is Coding.JOINT and coded.code.level_bits == 8
    np.testing.assert_array_equal(read(coded).levels[read(coded).levels > 0], entries.levels)


def test_levels_are_ordered_from_frequent_to_rare_behind_zero() -> None:
    assert frequency_order(np.array([0, 3, 3, 1, 4, 4, 4], np.uint8), 5).tolist() == [0, 4, 3, 1, 2]


def test_a_stream_and_its_numbers_must_agree() -> None:
    rng = np.random.default_rng(7)
    for coded in (
        code_joint(Entries.of(rng.integers(0, 3, (1, 99, 1, 1)).astype(np.uint8)), 3),
        code_gaps(Entries.of(rng.integers(0, 3, (1, 99, 1, 1)).astype(np.uint8)), 3, 4),
    ):
        for bits, entries in ((-1, 0), (0, 1), (0, -1)):
            with pytest.raises(BlobError, match=r"stream: \d+ entries end at bit \d+, expected") as caught:
                read_entries(coded.data, coded.bits + bits, coded.n_entries + entries, coded.code)
            assert caught.value.code == "STREAM"


def test_a_code_that_no_symbol_has() -> None:
    coded = code_gaps(Entries.of(np.full((1, 9, 1, 1), 1, np.uint8)), 2, 4)
    with pytest.raises(BlobError, match="stream: no code matches entry 2") as caught:
        read_entries(b"\x10" + coded.data[1:], coded.bits, coded.n_entries, coded.code)
    assert caught.value.code == "CODE"


@pytest.mark.slow
def test_a_million_weights_are_read_in_seconds() -> None:
    import time

    rng = np.random.default_rng(8)
    indices = (rng.integers(1, 17, (1, 3_600_000, 1, 1)) * (rng.random((1, 3_600_000, 1, 1)) < 0.33)).astype(
        np.uint8
    )
    start = time.perf_counter()
    coded = code_joint(Entries.of(indices), 17)
    found = read(coded)
    assert time.perf_counter() - start < 20
    np.testing.assert_array_equal(found.indices(indices.shape), indices)
