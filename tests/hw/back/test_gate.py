"""The gate's byte becomes the next entry's weight, its negative that of a later one; others keep theirs."""

from __future__ import annotations

import pytest

from dcgen.hw.back.gate import Gate
from dcgen.hw.contract.commands import Product
from tests.hw.blocks import Bench, Case, play, runs


async def products(b: Bench) -> None:
    for _ in range(60):
        gate = b.rng.randrange(256)
        weights = {entry: b.rng.randrange(-(1 << 16), 1 << 16) for entry in Product}
        expected = weights | {Product.PLANE: gate, Product.OUTSIDE: -gate}
        pause = b.rng.randrange(3)  # of the tile's last entry
        coming = [*Product][: Product.OUTSIDE] + [None] * pause + [Product.OUTSIDE, None]
        before = None
        for entry in coming:
            # In a cycle in which the lanes do GATE they read its byte, else any.
            b.set("byte", gate if before is Product.GATE else b.rng.randrange(256))
            valid = entry is not None
            work = {"valid": valid, "weight": weights[entry] if valid else 5, "entry": entry if valid else 0}
            b.set("coming", work | {"tile_end": entry is Product.OUTSIDE, "list_end": 0})
            await b.tick()
            found = b.get("work")
            assert (found.valid, found.tile_end) == (valid, entry is Product.OUTSIDE)
            if valid:
                assert found.weight == expected[entry]
            before = entry


CASES = {"products": Case(Gate, products)}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_gates(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
