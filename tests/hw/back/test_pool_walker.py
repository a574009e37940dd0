"""The pool's walk: every read of every window, in order, one a cycle."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from dcgen.hw.back.pool_walker import PoolWalker
from dcgen.hw.contract.back_timing import POOL_REQUEST_CYCLES, pool_reads
from dcgen.hw.contract.commands import pack_step
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs

PARAMETERS = EngineParameters(lanes=5, requantizers=1, words=256, picture_bytes=4)
Fields = dict[str, int]


def drawn(b: Bench, lanes: int) -> Fields:
    """A record with random loops and distances. They need not make sense together, as the walker does not ask."""
    rng, ring = b.rng, b.rng.randrange(2, 20)
    f = {
        "outputs": rng.randrange(1, 4),
        "rows": rng.randrange(1, 4),
        "taps": rng.randrange(1, 4),
        "x_groups": rng.randrange(1, 4),
        "out_width": rng.randrange(1, 9),
        "chunk_outputs": rng.randrange(1, 4),
        "in_base": rng.randrange(60),
        "in_words": ring,
        "in_place": rng.randrange(ring),
        "in_lane": rng.randrange(lanes),
        "first_row": rng.randrange(-3, 4),
        "first_column": rng.randrange(-3, 4),
        "height": rng.randrange(1, 12),
        "in_columns": rng.randrange(1, 30),
        "stride_y": rng.randrange(1, 4),
        "x_step": rng.randrange(4),
        "chunk_columns": rng.randrange(1, 12),
    }
    for loop in ("x", "row", "chunk", "window"):
        f[f"{loop}_words"], f[f"{loop}_lanes"] = rng.randrange(ring), rng.randrange(lanes)
    return f


def reads(f: Fields, lanes: int) -> Iterator[dict[str, int]]:
    """The reads of a record: flat byte, first column, and whether the row is inside the plane."""

    def distance(loop: str) -> int:
        return f[f"{loop}_words"] * lanes + f[f"{loop}_lanes"]

    chunks = -(-f["out_width"] // f["chunk_outputs"])
    for channel in range(f["outputs"]):
        for row in range(f["rows"]):
            for chunk in range(chunks):
                for ky in range(f["taps"]):
                    for x in range(f["x_groups"]):
                        at = f["in_place"] * lanes + f["in_lane"] + row * distance("window")
                        at += chunk * distance("chunk") + ky * distance("row") + x * distance("x")
                        y = f["first_row"] + row * f["stride_y"] + ky
                        yield {
                            "base": f["in_base"] + channel * f["in_words"],
                            "place": at // lanes % f["in_words"],
                            "lane": at % lanes,
                            "low": -(f["first_column"] + chunk * f["chunk_columns"] + x * f["x_step"]),
                            "length": f["in_columns"] if 0 <= y < f["height"] else 0,
                            "first": ky == x == 0,
                            "last": ky == f["taps"] - 1 and x == f["x_groups"] - 1,
                        }


async def walks(b: Bench, p: EngineParameters) -> None:
    for _ in range(12):
        f = drawn(b, p.lanes)
        b.set("record", pack_step(f))
        b.set("fill", 77)
        await b.tick(2)
        b.set("start", 1)
        await b.tick()
        b.set("start", 0)
        assert b.get("issuing")
        await b.tick(POOL_REQUEST_CYCLES)
        expected = list(reads(f, p.lanes))
        assert len(expected) == pool_reads(f)
        for wanted in expected:
            request, role = b.get("request"), b.get("role")
            assert role.valid
            found = {name: getattr(request, name) for name in ("base", "place", "lane", "low", "length")}
            assert found | {"first": role.first, "last": role.last} == wanted
            assert (request.fill, request.by_column, request.tile_end) == (77, 0, 0)
            await b.tick()
        assert not b.get("role").valid
        assert not b.get("issuing")


CASES = {"5 lanes": Case(partial(PoolWalker, PARAMETERS), partial(walks, p=PARAMETERS))}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_walk(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
