"""The rotator: any number of lanes, both directions, another rotation in every cycle."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.rotator import Rotator
from dcgen.hw.contract.back_timing import rotate_cycles
from tests.hw.blocks import Bench, Case, play, runs


async def rotates(b: Bench, lanes: int, sign: int) -> None:
    expected: list[list[int]] = []
    for cycle in range(120):
        values = [b.rng.randrange(1 << 9) for _ in range(lanes)]
        amount = b.rng.choice([0, lanes - 1, b.rng.randrange(lanes)])
        b.set("values", values)
        b.set("amount", amount)
        expected.append([values[(lane + sign * amount) % lanes] for lane in range(lanes)])
        if cycle >= rotate_cycles(lanes):
            assert list(b.get("rotated")) == expected[cycle - rotate_cycles(lanes)]
        await b.tick()


CASES = {
    f"{lanes} lanes {'towards' if sign > 0 else 'from'} zero": Case(
        partial(Rotator, lanes, 9, towards_zero=sign > 0), partial(rotates, lanes=lanes, sign=sign)
    )
    for lanes in (4, 7, 49)
    for sign in (1, -1)
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_rotation(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
