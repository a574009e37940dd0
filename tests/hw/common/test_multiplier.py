"""The portable multiplier and the vendor's give the same products in the same cycles."""

from __future__ import annotations

import gc
import warnings
from functools import partial

import pytest

from dcgen.hw.common.ecp5 import MULT18X18D_MODEL
from dcgen.hw.common.multiplier import Multiplier
from dcgen.hw.contract.back_timing import MULTIPLY_CYCLES
from tests.hw.blocks import Bench, Case, play, runs


async def multiplies(b: Bench, a_bits: int, b_bits: int) -> None:
    expected: list[int] = []
    edges = [(-(1 << n - 1), (1 << n - 1) - 1, 0, -1, 1) for n in (a_bits, b_bits)]
    for cycle in range(300):
        factors = [
            b.rng.choice(edge) if b.rng.random() < 0.4 else b.rng.randrange(edge[0], edge[1] + 1) for edge in edges
        ]
        b.set("a", factors[0])
        b.set("b", factors[1])
        expected.append(factors[0] * factors[1])
        if cycle >= MULTIPLY_CYCLES:
            assert b.get("product") == expected[cycle - MULTIPLY_CYCLES]
        await b.tick()


CASES = {
    f"{kind} {a}x{b}": Case(
        partial(Multiplier, a, b, kind),
        partial(multiplies, a_bits=a, b_bits=b),
        extra=MULT18X18D_MODEL if kind == "ecp5" else "",
    )
    for kind in ("portable", "ecp5")
    for a, b in ((9, 17), (17, 17), (18, 18))
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_products(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)


def test_factors_of_more_than_eighteen_bits_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that what was refused is never elaborated
        with pytest.raises(ValueError) as caught:
            Multiplier(19, 4)
        assert str(caught.value) == "factors of 19 and 4 bits, expected at most 18"
        del caught
        gc.collect()
