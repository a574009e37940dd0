"""LOAD: the picture's beats go into a ring, also when they come with pauses."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.loader import Loader
from dcgen.hw.contract.commands import pack_step
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs

PARAMETERS = EngineParameters(lanes=7, requantizers=1, words=64, picture_bytes=4)


async def loads(b: Bench, p: EngineParameters) -> None:
    for count, ring, place, lane in ((1, 1, 0, 0), (29, 3, 2, 6), (40, 9, 0, 1), (4, 2, 1, 3)):
        fields = {"count": count, "out_base": 11, "out_words": ring, "out_place": place, "out_lane": lane}
        b.set("record", pack_step(fields))
        await b.tick(2)
        b.set("start", 1)
        await b.tick()
        b.set("start", 0)
        at, left = place * p.lanes + lane, count
        while left:
            assert b.get("active")
            assert b.get("picture.ready")
            valid = b.rng.random() < 0.6
            b.set("picture.valid", valid)
            await b.settle()
            write = b.get("write")
            assert write.valid == valid
            if valid:
                taken = min(left, p.picture_bytes)
                found = (write.base, write.place, write.lane, write.count, write.last)
                assert found == (11, at // p.lanes % ring, at % p.lanes, taken, left == taken)
                at, left = at + taken, left - taken
            await b.tick()
        b.set("picture.valid", 1)
        await b.settle()
        assert not b.get("active")
        assert not b.get("picture.ready")
        assert not b.get("write").valid
        b.set("picture.valid", 0)


CASES = {"7 lanes": Case(partial(Loader, PARAMETERS), partial(loads, p=PARAMETERS))}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_beats(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
