"""The requantizer against the formula, bit for bit."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.requantizer import Requantizer
from dcgen.hw.common.ecp5 import MULT18X18D_MODEL
from dcgen.hw.contract.back_timing import REQUANTIZE_CYCLES
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs

PARAMETERS = EngineParameters(lanes=6, requantizers=3, words=12, picture_bytes=4)
EDGES = [0, 1, -1, (1 << 31) - 1, -(1 << 31), 0x8000, 0xFFFF, 0x10000, -0x10000, -0x8001]


def signed32(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def requantized(acc: int, c: dict[str, int]) -> int:
    scaled = (acc * c["mult"] + (1 << c["shift"] - 1)) >> c["shift"]
    return min(max(c["zero_out"] + scaled, c["lo"]), c["hi"])


async def follows_the_formula(b: Bench) -> None:
    expected: list[list[int]] = []
    for cycle in range(3000):
        lo, hi = sorted((b.rng.randrange(256), b.rng.randrange(256)))
        constants = {
            "bias": b.rng.choice([0, b.rng.randrange(-(1 << 31), 1 << 31)]),
            "mult": b.rng.choice([0, 1, 0xFFFF, 0x8000, b.rng.randrange(1 << 16)]),
            "shift": b.rng.randrange(17, 33),
            "lo": b.rng.choice([0, lo]),
            "hi": b.rng.choice([255, hi]),
            "zero_out": b.rng.randrange(256),
        }
        unit = (1 << constants["shift"]) // max(constants["mult"], 1)
        near = [b.rng.randrange(-(1 << 9), 1 << 9) * unit - constants["bias"] for _ in range(2)]
        sums = [signed32(b.rng.choice([*EDGES, *near, b.rng.randrange(-(1 << 31), 1 << 31)])) for _ in range(3)]
        b.set("constants", constants)
        b.set("sums", sums)
        expected.append([requantized(signed32(total + constants["bias"]), constants) for total in sums])
        if cycle >= REQUANTIZE_CYCLES:
            assert list(b.get("bytes")) == expected[cycle - REQUANTIZE_CYCLES]
        await b.tick()


CASES = {
    "portable": Case(partial(Requantizer, PARAMETERS), follows_the_formula),
    "ecp5": Case(partial(Requantizer, PARAMETERS, "ecp5"), follows_the_formula, MULT18X18D_MODEL),
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_formula(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
