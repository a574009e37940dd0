"""The lanes: sums of products wrap at 32 bits; one tile is drained while the next is summed."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.mac_lanes import MacLanes
from dcgen.hw.common.ecp5 import MULT18X18D_MODEL
from dcgen.hw.contract.back_timing import MULTIPLY_CYCLES
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs


def signed32(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def parameters(lanes: int, requantizers: int) -> EngineParameters:
    return EngineParameters(lanes=lanes, requantizers=requantizers, words=12, picture_bytes=4)


async def drains_while_summing(b: Bench, p: EngineParameters) -> None:
    expected: list[list[int]] = []
    left, drained, seen = 0, list[int](), 0

    async def cycle() -> None:
        """One cycle of the drain, at the end of which the feeder's values are taken."""
        nonlocal left, drained, seen
        b.set("shift", left > 0)
        if left:
            drained += list(b.get("front"))
            left -= 1
            if not left:
                assert drained == expected[seen]
                seen, drained = seen + 1, []
        if b.get("loading"):
            assert not left
            left = p.groups
        await b.tick()

    since = p.groups
    for _ in range(30):
        sums = [0] * p.lanes
        entries = b.rng.choice([1, p.groups, 2 * p.groups])
        for number in range(entries):
            end = number == entries - 1
            while b.rng.random() < 0.3 or (end and since < p.groups):
                b.set("work", {"valid": 0, "tile_end": 1})
                await cycle()
                since += 1
            weight = b.rng.choice([-(1 << 16), (1 << 16) - 1, b.rng.randrange(-99, 99)])
            values = [b.rng.randrange(256) for _ in range(p.lanes)]
            sums = [total + weight * value for total, value in zip(sums, values, strict=True)]
            b.set("bytes", values)
            b.set("work", {"valid": 1, "weight": weight, "tile_end": end, "list_end": 0})
            if end:
                expected.append([signed32(total) for total in sums])
                since = 0
            await cycle()
            since += 1
    b.set("work", {"valid": 0})
    for _ in range(MULTIPLY_CYCLES + p.groups + 2):
        await cycle()
    assert seen == len(expected)


CASES = {
    f"{kind} {lanes}/{requantizers}": Case(
        partial(MacLanes, parameters(lanes, requantizers), kind),
        partial(drains_while_summing, p=parameters(lanes, requantizers)),
        extra=MULT18X18D_MODEL if kind == "ecp5" else "",
    )
    for kind, lanes, requantizers in (("portable", 4, 2), ("portable", 8, 8), ("portable", 7, 1), ("ecp5", 6, 2))
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_tiles(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
