"""The writer of convolutions: every group of bytes goes to its place, whenever it comes."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.conv_writer import ConvWriter
from dcgen.hw.contract.commands import pack_step
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs


def parameters(lanes: int, requantizers: int) -> EngineParameters:
    return EngineParameters(lanes=lanes, requantizers=requantizers, words=64, picture_bytes=4)


async def places(b: Bench, p: EngineParameters) -> None:
    for outputs, tiles, ring, first in ((1, 1, 1, 0), (3, 2, 5, 4), (2, 4, 4, 1), (2, 1, 3, 2)):
        fields = {"outputs": outputs, "tiles": tiles, "out_words": ring, "out_place": first, "out_base": 9}
        b.set("record", pack_step(fields))
        b.set("start", 1)
        await b.tick()
        b.set("start", 0)
        for output in range(outputs):
            for tile in range(tiles):
                for group in range(p.groups):
                    while b.rng.random() < 0.3:
                        assert not b.get("write").valid
                        await b.tick()
                    b.set("valid", 1)
                    await b.settle()
                    write = b.get("write")
                    last = (output, tile, group) == (outputs - 1, tiles - 1, p.groups - 1)
                    assert write.valid
                    assert (write.base, write.place) == (9 + output * ring, (first + tile) % ring)
                    assert (write.lane, write.count) == (group * p.requantizers, p.requantizers)
                    assert write.last == last
                    await b.tick()
                    b.set("valid", 0)
                    await b.settle()


CASES = {
    f"{lanes}/{requantizers}": Case(
        partial(ConvWriter, parameters(lanes, requantizers)), partial(places, p=parameters(lanes, requantizers))
    )
    for lanes, requantizers in ((6, 2), (4, 4))
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_places(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
