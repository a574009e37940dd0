"""SCORES: sums of planes, and single pixels, minus the zero point, also when the queue is full."""

from __future__ import annotations

from collections import deque
from functools import partial

import pytest

from dcgen.hw.back.scores import Scores
from dcgen.hw.contract.back_timing import read_path_cycles, scores_push_cycles
from dcgen.hw.contract.commands import pack_step
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs


def parameters(lanes: int) -> EngineParameters:
    return EngineParameters(lanes=lanes, requantizers=1, words=64, picture_bytes=4)


async def adds(b: Bench, p: EngineParameters) -> None:
    lanes = p.lanes
    memory = [b.rng.randrange(256) for _ in range(2 * p.words * lanes)]
    totals = [(1, 1, 1, 1.0), (1, 3 * lanes, 3, 1.0), (1, 2 * lanes + 1, 4, 0.4)]
    for total, count, channels, hurry in [*totals, (0, 1, 5, 1.0), (0, 2 * lanes + 3, 2, 0.5)]:
        ring, zero = -(-count // lanes), b.rng.randrange(256)
        f = {"total": total, "count": count, "outputs": channels, "in_words": ring, "in_base": 5, "in_place": 0}
        b.set("record", pack_step(f))
        b.set("zero_in", zero)
        await b.tick(2)
        b.set("start", 1)
        await b.tick()
        b.set("start", 0)
        planes = [memory[(5 + c * ring) * lanes :][:count] for c in range(channels)]
        pixels = [[byte - zero for byte in plane] for plane in planes]
        expected = [sum(plane) for plane in pixels] if total else [pixel for plane in pixels for pixel in plane]
        arriving: deque[list[int]] = deque([[0] * lanes] * read_path_cycles(p))
        found: list[int] = []
        reserved: list[int] = []
        for cycle in range(20 * len(expected) + 200):
            request = b.get("request")
            at = (request.base + request.place) * lanes + request.lane
            inside = range(request.low, request.low + request.length)
            row = enumerate(memory[at : at + lanes])
            arriving.append([byte if lane in inside else request.fill for lane, byte in row])
            b.set("bytes", arriving.popleft())
            room = b.rng.random() < hurry
            b.set("room", room)
            await b.settle()
            if b.get("reserve"):
                assert room
                reserved.append(cycle)
            if b.get("push"):
                assert cycle == reserved[len(found)] + scores_push_cycles(p)
                score = b.get("score")
                assert score.last == (len(found) == len(expected) - 1)
                found.append(score.data)
            await b.tick()
        assert found == expected
        assert len(reserved) == len(expected)


CASES = {
    f"{lanes} lanes": Case(partial(Scores, parameters(lanes)), partial(adds, p=parameters(lanes)))
    for lanes in (6, 17)
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_sums(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
