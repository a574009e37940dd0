"""Proofs about the front end: the bit reader keeps its contract, and decoding ends whatever the bits are.

All of them are inductive, so they hold after any number of cycles, for packets of up to 128 words, tables of up to
4095 symbols, and any number of entries. Only the symbol memory is smaller than an engine's: it has four places.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.formal.properties import BitReaderContract, DecoderEnds, TableEnds
from tests.hw.formal.prove import prove

SMALL = EngineParameters(lanes=4, requantizers=2, words=64, picture_bytes=4, max_symbols=4, list_entries=8)
MOST_SYMBOLS = 4095


def prove_for_ever(design: Any, folder: Path, depth: int, reach: int) -> None:
    """Proves a design's assertions by induction over ``depth`` cycles; shows its Cover within ``reach`` cycles."""
    prove(design(), folder / "base", depth + 1)
    prove(design(), folder / "step", depth, induction=True)
    prove(design(), folder / "cover", reach, cover=True)


def test_bit_reader_neither_loses_nor_doubles_nor_changes_a_bit(tmp_path: Path) -> None:
    prove_for_ever(BitReaderContract, tmp_path, 2, 10)


def test_a_code_table_ends_or_is_malformed_whatever_the_bits(tmp_path: Path) -> None:
    prove_for_ever(lambda: TableEnds(SMALL, MOST_SYMBOLS), tmp_path, 1, 12)


def test_every_code_ends_and_every_entry_arrives_once(tmp_path: Path) -> None:
    prove_for_ever(lambda: DecoderEnds(SMALL), tmp_path, 5, 12)


def test_a_bound_too_tight_is_found_out(tmp_path: Path) -> None:
    """Proofs can fail: a table of two symbols takes more than six cycles."""

    class Hasty(TableEnds):
        bound = 6

    with pytest.raises(AssertionError, match="Assert failed"):
        prove(Hasty(SMALL, 2), tmp_path, 12)
