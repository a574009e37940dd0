"""The read path: reads the bytes at a place in a ring, and replaces those outside the plane."""

from __future__ import annotations

from collections import deque
from functools import partial

import pytest

from dcgen.hw.back.read_path import ReadPath
from dcgen.hw.contract.back_timing import MEMORY_REQUEST, read_cycles, read_path_cycles, setup_cycles
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs


def parameters(lanes: int) -> EngineParameters:
    return EngineParameters(lanes=lanes, requantizers=1, words=64, picture_bytes=4)


async def reads(b: Bench, p: EngineParameters) -> None:
    lanes = p.lanes
    memory = [b.rng.randrange(256) for _ in range(p.words * lanes)]
    asked: deque[list[int]] = deque([[0] * lanes] * read_cycles(p))
    expected: deque[list[int] | None] = deque([None] * read_path_cycles(p))

    async def cycle() -> None:
        """The memory answers after ``read_cycles``."""
        word0, word1, lane = (b.get(f"memory.{name}") for name in ("word0", "word1", "lane"))
        row = memory[word0 * lanes :][:lanes] + memory[word1 * lanes :][:lanes]
        asked.append(row[lane : lane + lanes])
        b.set("memory_bytes", asked.popleft())
        wanted = expected.popleft()
        if wanted is not None:
            assert list(b.get("bytes")) == wanted
        await b.tick()

    for ring, pitch in ((1, 3), (5, 13), (20, 1), (7, 200)):
        first = b.rng.randrange(pitch)
        for name, value in (("ring", ring), ("pitch", pitch), ("first_x", first), ("x_advance", lanes % pitch)):
            b.set(name, value)
        b.set("setup", 1)
        for _ in range(setup_cycles(p) + 1):
            expected.append(None)
            await cycle()
            b.set("setup", 0)
        tile = 0
        for _ in range(60):
            base, place = b.rng.randrange(p.words - ring), b.rng.choice([0, ring - 1, b.rng.randrange(ring)])
            lane, fill = b.rng.randrange(lanes), b.rng.randrange(256)
            low = b.rng.choice([b.rng.randrange(-2 * lanes, 2 * lanes), -(1 << 24), 1 << 24])
            length = b.rng.choice([0, 1, b.rng.randrange(3 * lanes), 1 << 24])
            by_column, end, restart = b.rng.random() < 0.5, b.rng.random() < 0.5, b.rng.random() < 0.2
            x_low, x_high = b.rng.randrange(min(pitch, 200)), b.rng.randrange(pitch + 1)
            request = {"base": base, "place": place, "lane": lane, "low": low, "length": length, "fill": fill}
            request |= {"by_column": by_column, "x_low": x_low, "x_high": x_high}
            b.set("request", request | {"tile_end": end, "list_end": restart})
            words = (base + place, base + (place + 1) % ring)
            row = [byte for word in words for byte in memory[word * lanes :][:lanes]]
            wanted = []
            for number, byte in enumerate(row[lane : lane + lanes]):
                x = (first + tile * lanes + number) % pitch
                inside = low <= number < low + length and (not by_column or x_low <= x < x_high)
                wanted.append(byte if inside else fill)
            expected.append(wanted)
            await cycle()
            tile = 0 if end and restart else tile + end
        b.set("request", {"tile_end": 0})
        for _ in range(read_path_cycles(p) + 1):
            expected.append(None)
            await cycle()
    assert read_path_cycles(p) > MEMORY_REQUEST


CASES = {
    f"{lanes} lanes": Case(partial(ReadPath, parameters(lanes)), partial(reads, p=parameters(lanes)))
    for lanes in (5, 8)
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_bytes_and_fills(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
