"""The activation memory: any P bytes at any offset, against an array of bytes."""

from __future__ import annotations

from collections import deque
from functools import partial

import pytest

from dcgen.hw.back.activation_memory import ActivationMemory
from dcgen.hw.contract.back_timing import READ_AHEAD, read_cycles, write_cycles
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs


def parameters(lanes: int) -> EngineParameters:
    return EngineParameters(lanes=lanes, requantizers=1, words=12, picture_bytes=4)


def cells_at(word0: int, word1: int, lane: int, lanes: int) -> list[tuple[int, int]]:
    """Where consecutive bytes lie: (word, bank) for each of the lanes."""
    return [(word0 if byte < lanes else word1, byte % lanes) for byte in range(lane, lane + lanes)]


async def reads_see_every_earlier_write(b: Bench, p: EngineParameters) -> None:
    lanes = p.lanes
    memory: dict[tuple[int, int], int] = {}
    changed: dict[tuple[int, int], int] = {}  # cycle in which a write to the cell was last requested
    expected: deque[tuple[int, list[int | None]]] = deque()
    for cycle in range(400):
        word0, word1 = b.rng.sample(range(p.words), 2)
        lane, count = b.rng.randrange(lanes), b.rng.randrange(lanes + 1)
        values = [b.rng.randrange(256) for _ in range(lanes)]
        write = b.rng.random() < 0.5
        b.set("write.word0", word0)
        b.set("write.word1", word1)
        b.set("write.lane", lane)
        b.set("write_count", count)
        b.set("write_bytes", values)
        b.set("write_valid", write)
        if write:
            for cell, value in zip(cells_at(word0, word1, lane, lanes)[:count], values, strict=False):
                memory[cell], changed[cell] = value, cycle
        word0, word1 = b.rng.sample(range(p.words), 2)
        lane = b.rng.randrange(lanes)
        b.set("read.word0", word0)
        b.set("read.word1", word1)
        b.set("read.lane", lane)
        # A cell whose write is still under way may give its old byte or its new one.
        known = [
            memory.get(cell, 0) if changed.get(cell, -99) + write_cycles(p) - READ_AHEAD <= cycle else None
            for cell in cells_at(word0, word1, lane, lanes)
        ]
        expected.append((cycle + read_cycles(p), known))
        if expected[0][0] == cycle:
            for found, wanted in zip(b.get("bytes"), expected.popleft()[1], strict=True):
                assert wanted is None or found == wanted
        await b.tick()


CASES = {
    f"{lanes} lanes": Case(
        partial(ActivationMemory, parameters(lanes)), partial(reads_see_every_earlier_write, p=parameters(lanes))
    )
    for lanes in (4, 7, 8, 49)
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_bytes_at_any_offset(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
