"""The drain: each tile's sums go out with the constants of its own list, or one by one as scores."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.drain import Drain
from dcgen.hw.contract.commands import pack_step
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs

PARAMETERS = EngineParameters(lanes=6, requantizers=2, words=64, picture_bytes=4)


def constants(b: Bench) -> dict[str, int]:
    low = {"mult": 16, "shift": 6, "lo": 8, "hi": 8, "zero_out": 8}
    return {"bias": b.rng.randrange(-(1 << 30), 1 << 30), **{n: b.rng.randrange(1 << w) for n, w in low.items()}}


async def load(b: Bench, list_end: bool) -> None:
    b.set("loading", 1)
    b.set("list_end", list_end)
    await b.tick()
    b.set("loading", 0)
    await b.settle()


async def requantized(b: Bench, p: EngineParameters) -> None:
    """Constants come before the tiles of their list; tiles come as closely as they can be drained."""
    b.set("record", pack_step({"raw": 0}))
    lists = [(constants(b), b.rng.randrange(1, 4)) for _ in range(40)]
    ahead = 0
    for number, (wanted, tiles) in enumerate(lists):
        while ahead < min(len(lists), number + 20):
            b.set("put", 1)
            b.set("put_constants", lists[ahead][0])
            await b.tick()
            b.set("put", 0)
            ahead += 1
        for tile in range(tiles):
            await load(b, tile == tiles - 1)
            for group in range(p.groups):
                found = b.get("constants")
                assert (b.get("valid"), b.get("shift")) == (1, 1)
                assert {name: getattr(found, name) for name in wanted} == wanted
                if group < p.groups - 1:
                    await b.tick()
            if b.rng.random() < 0.5:
                await b.tick()
                assert not b.get("valid")
                assert not b.get("shift")


async def raw(b: Bench, p: EngineParameters) -> None:
    for count, outputs, hurry in ((1, 3, 1.0), (6, 2, 1.0), (15, 3, 0.5)):
        tiles = -(-count // p.lanes)
        b.set("record", pack_step({"raw": 1, "count": count, "outputs": outputs}))
        b.set("start", 1)
        await b.tick()
        b.set("start", 0)
        for output in range(outputs):
            head = constants(b)
            b.set("put", 1)
            b.set("put_constants", head)
            await b.tick()
            b.set("put", 0)
            for tile in range(tiles):
                sums = [b.rng.randrange(-(1 << 30), 1 << 30) for _ in range(p.lanes)]
                pixels = min(p.lanes, count - tile * p.lanes)
                b.set("front", sums[: p.requantizers])
                await load(b, tile == tiles - 1)
                shifts = sent = 0
                done = False
                while not done:
                    b.set("room", b.rng.random() < hurry)
                    rest = sums[shifts * p.requantizers :] + [0] * (p.requantizers + 1)
                    b.set("front", rest[: p.requantizers])
                    b.set("following", rest[p.requantizers])
                    await b.settle()
                    assert not b.get("valid")
                    reserved, done = b.get("reserve"), b.get("raw_done")
                    shifts += b.get("shift")
                    await b.tick()
                    assert b.get("push") == reserved
                    if reserved:
                        score = b.get("score")
                        assert score.data == sums[sent] + head["bias"]
                        sent += 1
                        last = (output, tile, sent) == (outputs - 1, tiles - 1, pixels)
                        assert score.last == last
                assert sent == pixels
                await b.settle()
                assert not b.get("reserve")


CASES = {
    "requantized": Case(partial(Drain, PARAMETERS), partial(requantized, p=PARAMETERS)),
    "raw": Case(partial(Drain, PARAMETERS), partial(raw, p=PARAMETERS)),
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_what_leaves(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
