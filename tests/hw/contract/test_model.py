"""The model of the engine does what the contract says, here executed byte by byte in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.hw.contract.commands import Op, Tap, pack_step
from dcgen.hw.contract.lists import ReplayList
from dcgen.hw.contract.model import run, unpack_tap
from dcgen.hw.contract.parameters import EngineParameters

P = EngineParameters(lanes=4, requantizers=2, words=96, picture_bytes=3)
END = pack_step({"op": Op.END})


def memory_of(seed: int) -> tuple[np.random.Generator, Any]:
    rng = np.random.default_rng(seed)
    return rng, rng.integers(0, 256, (P.words, P.lanes), np.uint8)


def byte(memory: Any, base: int, ring: int, place: int, lane: int) -> int:
    """The byte that is ``lane`` bytes behind the start of the word at ``place``, counted around the ring."""
    return int(memory[base + (place + lane // P.lanes) % ring, lane % P.lanes])


WORDS = st.integers(-(2**15), 2**15 - 1)


@given(st.integers(0, 0xFFFF), WORDS, st.integers(0, 255), WORDS, st.integers(-128, 127))
def test_taps_unpack_to_what_was_packed(base: int, words: int, lane: int, row_offset: int, dx: int) -> None:
    tap = Tap(base, words, lane, row_offset, dx)
    assert unpack_tap(*tap.pack()) == tap


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_convolution(seed: int, raw: bool) -> None:
    rng, memory = memory_of(seed)
    ring, out_words, tiles, outputs = (int(v) for v in rng.integers(1, 5, 4))
    pitch, height = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    width = int(rng.integers(1, pitch + 1))
    first = int(rng.integers(0, 3)) * P.lanes
    taps = []
    for _ in range(int(rng.integers(1, 4))):
        dy, dx = (int(v) for v in rng.integers(-2, 3, 2))
        words, lane = divmod(dy * pitch + dx, P.lanes)
        taps.append(Tap(int(rng.integers(0, 20)), max(-ring, min(ring, words)), lane, -dy * pitch, dx))
    fields = {
        "op": Op.CONV, "raw": int(raw), "outputs": outputs, "taps": len(taps), "in_words": ring,
        "out_words": out_words, "out_base": 70, "tiles": min(tiles, out_words), "first_pixel": first,
        "in_place": first // P.lanes % ring, "out_place": int(rng.integers(0, out_words)), "pitch": pitch,
        "plane_pixels": pitch * height, "width": width, "x_advance": P.lanes % pitch, "first_x": first % pitch,
        "count": int(rng.integers(1, min(tiles, out_words) * P.lanes + 1)) if raw else 0,
    }  # fmt: skip
    zero_in, zero_out = int(rng.integers(0, 256)), int(rng.integers(0, 256))
    lists = []
    for _ in range(outputs):
        n = int(rng.integers(1, 6))
        lists.append(
            ReplayList(
                rng.integers(-65536, 65536, n), rng.integers(0, len(taps), n), rng.integers(0, 10, n),
                int(rng.integers(-(2**31), 2**31)), int(rng.integers(0, 2**16)), int(rng.integers(17, 33)),
                10, 240, zero_out, zero_in,
            )
        )  # fmt: skip
    scores, want = [], memory.copy()
    for channel, one in enumerate(lists):
        for tile in range(fields["tiles"]):
            for lane in range(P.lanes):
                f = first + tile * P.lanes + lane
                acc = one.bias
                for weight, t, plane in zip(one.weights, one.taps, one.channels, strict=True):
                    tap = taps[int(t)]
                    row_inside = tap.row_offset <= f < tap.row_offset + fields["plane_pixels"]
                    inside = row_inside and 0 <= f % pitch + tap.dx < width
                    place, base = fields["in_place"] + tile + tap.words, tap.base + int(plane)
                    acc += int(weight) * (byte(memory, base, ring, place, tap.lane + lane) if inside else zero_in)
                acc = (acc + 2**31) % 2**32 - 2**31
                if raw:
                    if tile * P.lanes + lane < fields["count"]:
                        scores.append(acc)
                    continue
                y = zero_out + ((acc * one.mult + 2 ** (one.shift - 1)) >> one.shift)
                word = 70 + channel * out_words + (fields["out_place"] + tile) % out_words
                want[word, lane] = min(max(y, 10), 240)
    done = run(pack_step(fields, tuple(taps)) + END, iter(lists), np.zeros(0, np.uint8), P, memory)
    assert done.scores.tolist() == scores
    assert np.array_equal(done.memory, want)
    again = memory.copy()
    for writes in done.writes:
        writes.apply(again)
    assert np.array_equal(again, want)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pool(seed: int) -> None:
    rng, memory = memory_of(seed)
    channels, rows, kh, ring = (int(v) for v in rng.integers(1, 4, 4))
    groups, window, select = (int(v) for v in rng.integers(1, 4, 3))
    x_step, stride_y, out_width = (int(v) for v in rng.integers(1, 4, 3))
    stride = P.strides[select]
    chunk = max(1, (P.lanes - window) // stride + 1)
    in_ring, out_ring = ring * P.lanes, 16
    pitch, out_pitch, fill = int(rng.integers(1, 9)), out_width + 1, int(rng.integers(0, 256))
    start, out_start = int(rng.integers(0, in_ring)), int(rng.integers(0, out_ring * P.lanes))
    first_row, first_column = (int(v) for v in rng.integers(-2, 3, 2))
    height, columns = int(rng.integers(1, 5)), int(rng.integers(1, 6))

    def distance(name: str, pixels: int, words: int) -> dict[str, int]:
        return {f"{name}_words": pixels // P.lanes % words, f"{name}_lanes": pixels % P.lanes}

    fields = {
        "op": Op.POOL, "outputs": channels, "taps": kh, "x_groups": groups, "x_step": x_step, "x_window": window,
        "stride_select": select, "in_words": ring, "out_words": out_ring, "in_base": 5, "out_base": 40,
        "in_place": start // P.lanes, "in_lane": start % P.lanes, "out_place": out_start // P.lanes,
        "out_lane": out_start % P.lanes, "first_row": first_row, "rows": rows, "height": height,
        "stride_y": stride_y, "first_column": first_column, "out_width": out_width, "chunk_outputs": chunk,
        "in_columns": columns, "chunk_columns": chunk * stride, **distance("row", pitch, ring),
        **distance("window", stride_y * pitch, ring), **distance("chunk", chunk * stride, ring),
        **distance("x", x_step, ring), **distance("out_row", out_pitch, out_ring),
    }  # fmt: skip
    want = memory.copy()
    for c in range(channels):
        for j in range(rows):
            for ox in range(out_width):
                best = 0
                for ky in range(kh):
                    for kx in sorted({g * x_step + w for g in range(groups) for w in range(window)}):
                        y, x = first_row + j * stride_y + ky, first_column + ox * stride + kx
                        at = start + (j * stride_y + ky) * pitch + ox * stride + kx
                        inside = 0 <= y < height and 0 <= x < columns
                        best = max(best, byte(memory, 5 + c * ring, ring, 0, at) if inside else fill)
                out = (out_start + j * out_pitch + ox) % (out_ring * P.lanes)
                want[40 + c * out_ring + out // P.lanes, out % P.lanes] = best
    done = run(pack_step(fields) + END, iter([ReplayList(fill=fill)]), np.zeros(0, np.uint8), P, memory)
    assert np.array_equal(done.memory, want)
    assert done.writes[0].counts.max() <= chunk


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 20), min_size=1, max_size=3))
def test_loads_go_on_in_the_picture_where_the_last_one_stopped(seed: int, counts: list[int]) -> None:
    rng, memory = memory_of(seed)
    picture = rng.integers(0, 256, sum(counts), np.uint8)
    words, want, at = [], memory.copy(), 0
    for count in counts:
        fields = {"op": Op.LOAD, "count": count, "out_base": 7, "out_words": 6}
        words += pack_step({**fields, "out_place": at // P.lanes % 6, "out_lane": at % P.lanes})
        for k in range(count):
            want[7 + (at + k) // P.lanes % 6, (at + k) % P.lanes] = picture[at + k]
        at += count
    done = run(words + END, iter(()), picture, P, memory)
    assert np.array_equal(done.memory, want)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_scores(seed: int, total: bool) -> None:
    rng, memory = memory_of(seed)
    channels, ring = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    count = int(rng.integers(1, ring * P.lanes + 1))
    fields = {
        "op": Op.SCORES, "total": int(total), "outputs": channels, "in_base": 3, "in_words": ring,
        "tiles": -(-count // P.lanes), "count": count,
    }  # fmt: skip
    planes = memory[3 : 3 + channels * ring].reshape(channels, -1)[:, :count].astype(int) - 9
    done = run(pack_step(fields) + END, iter([ReplayList(zero_in=9)]), np.zeros(0, np.uint8), P, memory)
    assert done.scores.tolist() == (planes.sum(1) if total else planes.reshape(-1)).tolist()
