"""The pool's windows: maxima over lanes and reads are right, every s-th lane is kept, rows are placed in order."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.pool_window import PoolWindow
from dcgen.hw.contract.back_timing import WINDOW_CYCLES
from dcgen.hw.contract.commands import pack_step
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs


def parameters(lanes: int) -> EngineParameters:
    return EngineParameters(lanes=lanes, requantizers=1, words=256, picture_bytes=4)


class Clock:
    """Counts cycles. Writes must come in those cycles alone that are keys of ``expected``: (fields, bytes)."""

    def __init__(self, b: Bench) -> None:
        self.b, self.cycle = b, 0
        self.expected: dict[int, tuple[tuple[int, ...], list[int]]] = {}

    async def tick(self) -> None:
        write = self.b.get("write")
        assert write.valid == (self.cycle in self.expected), self.cycle
        if write.valid:
            place, values = self.expected[self.cycle]
            assert (write.base, write.place, write.lane, write.count, write.last) == place
            assert list(self.b.get("outputs"))[: write.count] == values
        await self.b.tick()
        self.cycle += 1


async def pools(b: Bench, p: EngineParameters) -> None:
    lanes = p.lanes
    for _ in range(16):
        select, window, ring = b.rng.randrange(4), b.rng.randrange(1, 4), b.rng.randrange(3, 9)
        stride = p.strides[select]
        most = (lanes - window) // stride + 1
        f = {
            "outputs": b.rng.randrange(1, 4),
            "rows": b.rng.randrange(1, 4),
            "out_width": b.rng.randrange(1, 2 * most + 3),
            "chunk_outputs": most if most > 0 else 1,
            "stride_select": select,
            "x_window": window,
            "out_base": 13,
            "out_words": ring,
            "out_place": b.rng.randrange(ring),
            "out_lane": b.rng.randrange(lanes),
            "out_row_words": b.rng.randrange(ring - 1),
            "out_row_lanes": b.rng.randrange(lanes),
        }
        b.set("record", pack_step(f))
        await b.tick(2)
        b.set("start", 1)
        await b.tick()
        b.set("start", 0)
        chunks = -(-f["out_width"] // f["chunk_outputs"])
        clock = Clock(b)
        for channel in range(f["outputs"]):
            for row in range(f["rows"]):
                for chunk in range(chunks):
                    reads = b.rng.randrange(1, 4)
                    best = [0] * lanes
                    for number in range(reads):
                        while b.rng.random() < 0.2:
                            b.set("role", {"valid": 0, "first": 1, "last": 1})
                            b.set("bytes", [255] * lanes)
                            await clock.tick()
                        values = [b.rng.randrange(256) for _ in range(lanes)]
                        best = [max(before, *values[lane : lane + window]) for lane, before in enumerate(best)]
                        b.set("bytes", values)
                        b.set("role", {"valid": 1, "first": number == 0, "last": number == reads - 1})
                        if number == reads - 1:
                            at = f["out_place"] * lanes + f["out_lane"] + chunk * f["chunk_outputs"]
                            at += row * (f["out_row_words"] * lanes + f["out_row_lanes"])
                            count = min(f["chunk_outputs"], f["out_width"] - chunk * f["chunk_outputs"])
                            last = (channel, row, chunk) == (f["outputs"] - 1, f["rows"] - 1, chunks - 1)
                            place = (13 + channel * ring, at // lanes % ring, at % lanes, count, last)
                            clock.expected[clock.cycle + WINDOW_CYCLES] = (place, best[::stride][:count])
                        await clock.tick()
        b.set("role", {"valid": 0})
        for _ in range(WINDOW_CYCLES + 2):
            await clock.tick()


CASES = {
    f"{lanes} lanes": Case(partial(PoolWindow, parameters(lanes)), partial(pools, p=parameters(lanes)))
    for lanes in (9, 4)
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_windows(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
