"""The score queue: every score that had room reserved comes out, in order, however the receiver stalls."""

from __future__ import annotations

import pytest

from dcgen.hw.back.score_queue import DEPTH, ScoreQueue
from tests.hw.blocks import Bench, Case, play, runs

DELAY = 5
"""Cycles from a reservation to its push in this bench."""


async def keeps_order(b: Bench) -> None:
    sent: list[tuple[int, int]] = []
    received: list[tuple[int, int]] = []
    under_way: list[tuple[int, tuple[int, int]]] = []
    held = None
    full = 0
    for cycle in range(1500):
        patience = 0.05 if cycle % 500 < 150 else 0.9
        reserve = bool(b.get("room")) and b.rng.random() < 0.8 and cycle < 1300
        full += not b.get("room")
        b.set("reserve", reserve)
        if reserve:
            score = (b.rng.randrange(-(1 << 31), 1 << 31), b.rng.randrange(2))
            sent.append(score)
            under_way.append((cycle + DELAY, score))
        push = bool(under_way) and under_way[0][0] == cycle
        b.set("push", push)
        if push:
            b.set("score", dict(zip(("data", "last"), under_way.pop(0)[1], strict=True)))
        ready = b.rng.random() < patience
        b.set("scores.ready", ready)
        await b.settle()
        offered = None
        if b.get("scores.valid"):
            score = b.get("scores.payload")
            offered = (score.data, score.last)
        assert held is None or offered == held  # an offer stands until it is taken
        assert b.get("finished") == (offered is not None and ready and offered[1])
        if offered and ready:
            received.append(offered)
        held = None if ready else offered
        assert len(sent) - len(received) <= DEPTH
        await b.tick()
    assert received == sent
    assert full


CASES = {"queue": Case(ScoreQueue, keeps_order)}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_order(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
