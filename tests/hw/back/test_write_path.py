"""The write path: from a place in a ring to the two words that a write may touch."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.write_path import WritePath
from dcgen.hw.contract.back_timing import WRITE_PATH_CYCLES
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs

PARAMETERS = EngineParameters(lanes=4, requantizers=2, words=64, picture_bytes=4)


async def places(b: Bench) -> None:
    assert WRITE_PATH_CYCLES == 1
    for ring in (1, 2, 7, 50):
        b.set("ring", ring)
        await b.tick()
        for _ in range(50):
            base, place = b.rng.randrange(64 - ring), b.rng.choice([0, ring - 1, b.rng.randrange(ring)])
            lane, count, valid, last = (b.rng.randrange(n) for n in (4, 5, 2, 2))
            values = [b.rng.randrange(256) for _ in range(4)]
            write = {"valid": valid, "base": base, "place": place, "lane": lane, "count": count, "last": last}
            b.set("write", write)
            b.set("bytes", values)
            await b.tick()
            assert b.get("memory.word0") == base + place
            assert b.get("memory.word1") == base + (place + 1) % ring
            assert b.get("memory.lane") == lane
            assert b.get("memory_valid") == valid
            assert b.get("memory_count") == count
            assert list(b.get("memory_bytes")) == values
            assert b.get("finished") == (valid and last)


CASES = {"rings": Case(partial(WritePath, PARAMETERS), places)}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_words(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
