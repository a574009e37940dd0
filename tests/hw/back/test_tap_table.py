"""The tap table: every tap of a record, read back by its index."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.tap_table import TapTable
from dcgen.hw.contract.back_timing import tap_load_cycles
from dcgen.hw.contract.commands import Tap
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs

PARAMETERS = EngineParameters(lanes=4, requantizers=2, words=64, picture_bytes=4, command_words=256, max_taps=16)


async def loads(b: Bench) -> None:
    for count in (1, 16, 2, 9):
        taps = [
            Tap(
                b.rng.randrange(1 << 16),
                b.rng.randrange(-(1 << 15), 1 << 15),
                b.rng.randrange(256),
                b.rng.randrange(-(1 << 15), 1 << 15),
                b.rng.randrange(-128, 128),
            )
            for _ in range(count)
        ]
        at = b.rng.randrange(200)
        words = dict(enumerate((word for tap in taps for word in tap.pack()), at))
        b.set("taps", count)
        at_rest = b.get("commands.address")
        for _ in range(b.rng.randrange(1, 20)):  # a new count without a start loads nothing
            await b.tick()
            assert not b.get("done")
            assert b.get("commands.address") == at_rest
        b.set("address", at)
        b.set("start", 1)
        asked = b.get("commands.address")
        await b.tick()
        b.set("start", 0)
        for cycle in range(1, tap_load_cycles(count)):
            assert not b.get("done"), cycle
            b.set("commands.data", words.get(asked, 0xDEADBEEF))
            asked = b.get("commands.address")
            await b.tick()
        assert b.get("done")
        for index in b.rng.sample(range(count), count):
            b.set("index", index)
            await b.tick()
            found = b.get("tap")
            assert Tap(found.base, found.words, found.lane, found.row_offset, found.dx) == taps[index]


CASES = {"16 taps": Case(partial(TapTable, PARAMETERS), loads)}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_taps(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
