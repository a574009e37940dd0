"""Replay lists arrive whole and in order, however producer and consumer pause."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.common.replay_lists import ReplayLists
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs

PARAMETERS = EngineParameters(lanes=4, requantizers=2, words=64, picture_bytes=4, list_entries=16)


async def whole_and_in_order(b: Bench, hurry: float) -> None:
    lists = [
        [(b.rng.randrange(-(1 << 16), 1 << 16), b.rng.randrange(64), b.rng.randrange(64)) for _ in range(n)]
        for n in (1, 16, 2, 1, 1, 5, 16, 9, 3)
    ]
    filling, written, published, taken, read = 0, 0, 0, 0, 0
    asked: tuple[int, int, int] | None = None
    while taken < len(lists):
        # Which halves are published follows from the handshakes of earlier cycles.
        assert b.get("publish.ready") == (published - taken < 2)
        assert b.get("head.valid") == (published > taken)
        if asked is not None:
            found = b.get("read.data")
            assert (found.weight, found.tap, found.channel) == asked
        asked = None
        b.set("write.enable", 0)
        b.set("publish.valid", 0)
        b.set("head.ready", 0)
        publishes = takes = 0
        if filling < len(lists) and published - taken < 2 and b.rng.random() < hurry:
            if written < len(lists[filling]):
                entry = dict(zip(("weight", "tap", "channel"), lists[filling][written], strict=True))
                b.set("write.enable", 1)
                b.set("write.address", written)
                b.set("write.data", entry)
                written += 1
            else:
                b.set("publish.valid", 1)
                b.set("publish.payload", {"entries": written, "bias": -filling})
                publishes, filling, written = 1, filling + 1, 0
        if published > taken and b.rng.random() < hurry:
            head, entries = b.get("head.payload"), lists[taken]
            assert (head.entries, head.bias) == (len(entries), -taken)
            if read < len(entries):
                b.set("read.address", read)
                asked, read = entries[read], read + 1
            elif b.rng.random() < 0.4:  # read the list once more
                read = 0
            else:
                b.set("head.ready", 1)
                takes, read = 1, 0
        await b.tick()
        published, taken = published + publishes, taken + takes


CASES = {
    f"hurry {hurry}": Case(partial(ReplayLists, PARAMETERS), partial(whole_and_in_order, hurry=hurry))
    for hurry in (0.5, 0.1, 1.0)
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_whole_and_in_order(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
