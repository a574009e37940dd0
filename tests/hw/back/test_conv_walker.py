"""The walker of convolutions: every entry of every list, for every tile, becomes a read and a weight, on time."""

from __future__ import annotations

from collections import deque
from functools import partial

import pytest

from dcgen.hw.back.conv_walker import ConvWalker
from dcgen.hw.contract.back_timing import CONV_REQUEST_CYCLES, ListTimes, conv_list
from dcgen.hw.contract.commands import Tap, pack_step
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs


def parameters(lanes: int, requantizers: int) -> EngineParameters:
    return EngineParameters(lanes=lanes, requantizers=requantizers, words=256, picture_bytes=4, list_entries=16)


async def walks(b: Bench, p: EngineParameters) -> None:
    lanes, rng = p.lanes, b.rng
    for raw in (0, 0, 1, 0):
        ring = rng.randrange(3, 9)
        f = {
            "raw": raw,
            "tiles": rng.randrange(1, 4),
            "outputs": 4,
            "in_words": ring,
            "in_place": rng.randrange(ring),
            "first_pixel": rng.randrange(1 << 20),
            "plane_pixels": rng.randrange(1 << 22),
            "width": rng.randrange(1, 1 << 16),
        }
        taps = [
            Tap(rng.randrange(99), rng.randrange(-ring, ring), rng.randrange(lanes), rng.randrange(-999, 999), dx)
            for dx in (0, -128, 127, 3)
        ]
        lists = [
            [(rng.randrange(-(1 << 16), 1 << 16), rng.randrange(4), rng.randrange(64)) for _ in range(entries)]
            for entries in (1, rng.randrange(1, 16), 2, 16)
        ]
        published = [rng.randrange(3), rng.randrange(40), rng.randrange(40), 90]
        expected: deque[tuple[dict[str, int], dict[str, int]]] = deque()
        for number, entries in enumerate(lists):
            for tile in range(f["tiles"]):
                for at, (weight, index, channel) in enumerate(entries):
                    tap = taps[index]
                    request = {
                        "base": tap.base + channel,
                        "place": (f["in_place"] + tile + tap.words) % ring,
                        "lane": tap.lane,
                        "low": tap.row_offset - f["first_pixel"] - tile * lanes,
                        "length": f["plane_pixels"],
                        "by_column": 1,
                        "x_low": max(0, -tap.dx),
                        "x_high": max(0, f["width"] - tap.dx),
                        "tile_end": int(at == len(entries) - 1),
                        "list_end": int(tile == f["tiles"] - 1),
                        "fill": 40 + number,
                    }
                    ends = {name: request[name] for name in ("tile_end", "list_end")}
                    expected.append((request, {"weight": weight, **ends}))
        # Cycle 0 of the step is the one after ``start``; raw tiles are sent 9 cycles after their issue.
        b.set("record", pack_step(f))
        b.set("start", 1)
        await b.tick()
        b.set("start", 0)
        taken, entry, tap_of = 0, (0, 0, 0), taps[0]
        issued: deque[bool] = deque([False] * CONV_REQUEST_CYCLES)
        raw_sent: set[int] = set()
        released: list[int] = []
        starts = 0
        for cycle in range(400):
            valid = taken < len(lists) and cycle > published[taken]
            b.set("head.valid", valid)
            if valid:
                b.set("head.payload", {"entries": len(lists[taken]), "zero_in": 40 + taken})
            b.set("list.data", dict(zip(("weight", "tap", "channel"), entry, strict=True)))
            tap = tap_of
            words = {"base": tap.base, "words": tap.words, "row_offset": tap.row_offset}
            b.set("tap", {**words, "lane": tap.lane, "dx": tap.dx})
            b.set("raw_done", cycle in raw_sent)
            await b.settle()
            issuing, release = b.get("issuing"), b.get("head.ready")
            assert issuing + b.get("waiting_list") + b.get("waiting_drain") == (taken < len(lists))
            starts += b.get("list_start")
            issued.append(bool(issuing))
            assert b.get("work").valid == issued.popleft()
            if b.get("work").valid:
                request, work = expected.popleft()
                found = b.get("request")
                assert {name: getattr(found, name) for name in request} == request
                assert {name: getattr(b.get("work"), name) for name in work} == work
            else:
                assert not b.get("request").tile_end
            tap_of = taps[b.get("tap_index") % 4]
            if issuing:
                at = b.get("list.address")
                entry = lists[taken][at]
                if raw and at == len(lists[taken]) - 1:
                    raw_sent.add(cycle + 9)
            if release:
                released.append(cycle)
                taken += 1
            await b.tick()
        assert taken == starts == len(lists)
        assert not expected
        if not raw:
            last: ListTimes | None = None
            for number, entries in enumerate(lists):
                last = conv_list(0, last, published[number], len(entries), f, p)
                assert released[number] == last.released


CASES = {
    f"{lanes}/{requantizers}": Case(
        partial(ConvWalker, parameters(lanes, requantizers)), partial(walks, p=parameters(lanes, requantizers))
    )
    for lanes, requantizers in ((6, 2), (4, 4))
}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_entries(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
