"""The lane mask: the column of every lane in every tile is right, and so are ranges of lanes."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.lane_mask import LaneMask
from dcgen.hw.contract.back_timing import setup_cycles
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs


def parameters(lanes: int) -> EngineParameters:
    return EngineParameters(lanes=lanes, requantizers=1, words=12, picture_bytes=4)


async def answers(b: Bench, p: EngineParameters) -> None:
    for pitch in (1, 2, 3, 5, 48, 113, 60000):
        first = b.rng.randrange(pitch)
        b.set("first_x", first)
        b.set("pitch", pitch)
        b.set("x_advance", p.lanes % pitch)
        b.set("setup", 1)
        await b.tick()
        b.set("setup", 0)
        await b.tick(setup_cycles(p) - 1)
        tile = 0
        for _ in range(40):
            low, high = b.rng.randrange(p.lanes + 1), b.rng.randrange(p.lanes + 1)
            x_low, x_high = b.rng.randrange(min(pitch, 256)), b.rng.randrange(pitch + 2)
            by_column, end, restart = b.rng.random() < 0.8, b.rng.random() < 0.5, b.rng.random() < 0.1
            query = {"low": low, "high": high, "by_column": by_column, "x_low": x_low, "x_high": x_high}
            b.set("query", {**query, "tile_end": end, "list_end": restart})
            await b.tick()
            inside = b.get("inside")
            for lane in range(p.lanes):
                x = (first + tile * p.lanes + lane) % pitch
                wanted = low <= lane < high and (not by_column or x_low <= x < x_high)
                assert inside >> lane & 1 == wanted
            tile = 0 if end and restart else tile + end
        b.set("query", {"tile_end": 0})


CASES = {
    f"{lanes} lanes": Case(partial(LaneMask, parameters(lanes)), partial(answers, p=parameters(lanes)))
    for lanes in (4, 7, 49)
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_lanes_inside(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
