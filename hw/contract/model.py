"""The engine without its clock: executes a command list on a memory of words, byte for byte.

Gateware and planner are held against it. It knows nothing but the packed records and the replay lists, which it
takes in the order in which the front end publishes them. A step is a handful of array operations, so that a whole
SqueezeNet takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgen.hw.contract.commands import RECORD_WORDS, TAP_FIELDS, TAP_WORDS, Op, Tap, unpack, unpack_step
from dcgen.hw.contract.lists import ReplayList
from dcgen.hw.contract.parameters import EngineParameters

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
Fields = dict[str, int]


@dataclass(frozen=True, eq=False)
class Writes:
    """Everything one step writes, in the order of the memory's write port.

    step : number of the step's record in the command list
    words, lanes : int64 [N], where the first byte of each write goes: word of the memory, byte of the word
    counts : int64 [N], bytes of each write
    data : uint8 [N, at most lanes], the bytes; of row i the first ``counts[i]`` are written
    base : int64 [N], first word of the plane that each write is of
    ring : words of each of these planes
    """

    step: int
    words: I64
    lanes: I64
    counts: I64
    data: U8
    base: I64
    ring: int

    def apply(self, memory: U8) -> None:
        """Change ``memory``, uint8 [words, lanes]."""
        lanes = memory.shape[1]
        byte = np.arange(lanes)
        place = (self.words - self.base)[:, None] * lanes + self.lanes[:, None] + byte[None, : self.data.shape[1]]
        at = self.base[:, None] * lanes + place % (self.ring * lanes)
        kept = byte[None, : self.data.shape[1]] < self.counts[:, None]
        memory.reshape(-1)[at[kept]] = self.data[kept]


@dataclass(frozen=True, eq=False)
class Run:
    """What a command list did.

    scores : int32 [S], of all steps in their order
    writes : of each step that writes
    memory : uint8 [words, lanes], at the end
    lists : number of replay lists taken
    """

    scores: NDArray[np.int32]
    writes: tuple[Writes, ...]
    memory: U8
    lists: int


def unpack_tap(low: int, high: int) -> Tap:
    """The tap that ``Tap.pack`` made these two words of."""
    return Tap(**unpack(TAP_FIELDS, (low, high)))


def unpack_list(commands: Sequence[int]) -> Iterator[tuple[Fields, tuple[Tap, ...]]]:
    """The records of a command list with their taps, up to END and including it."""
    at = 0
    while True:
        fields = unpack_step(list(commands[at : at + RECORD_WORDS]))
        at += RECORD_WORDS
        count = fields["taps"] if fields["op"] == Op.CONV else 0
        taps = tuple(
            unpack_tap(commands[at + TAP_WORDS * t], commands[at + TAP_WORDS * t + 1]) for t in range(count)
        )
        at += TAP_WORDS * count
        yield fields, taps
        if fields["op"] == Op.END:
            return


def run(
    commands: Sequence[int],
    lists: Iterator[ReplayList],
    picture: U8,
    parameters: EngineParameters,
    memory: U8 | None = None,
) -> Run:
    """Execute ``commands`` to their END.

    lists : the replay lists, in the order in which the front end publishes them
    picture : uint8 [bytes], the picture stream
    memory : uint8 [words, lanes], what the memory holds before, zeros if None; it is not changed

    Raises ValueError where the picture is too short, or lists of one step have different zero points.
    """
    before = np.zeros((parameters.words, parameters.lanes), np.uint8) if memory is None else memory.copy()
    state = _Machine(parameters, before, picture, lists)
    for number, (fields, taps) in enumerate(unpack_list(commands)):
        state.step(number, fields, taps)
    scores = np.concatenate(state.scores) if state.scores else np.zeros(0, np.int64)
    return Run(scores.astype(np.int32), tuple(state.writes), state.memory, state.taken)


class _Machine:
    def __init__(self, p: EngineParameters, memory: U8, picture: U8, lists: Iterator[ReplayList]) -> None:
        self.p, self.memory, self.picture, self.lists = p, memory, picture, lists
        self.flat = memory.reshape(-1)
        self.scores: list[I64] = []
        self.writes: list[Writes] = []
        self.taken = 0
        self.loaded = 0

    def step(self, number: int, f: Fields, taps: tuple[Tap, ...]) -> None:
        match f["op"]:
            case Op.LOAD:
                self._load(number, f)
            case Op.CONV:
                self._conv(number, f, taps)
            case Op.POOL:
                self._pool(number, f)
            case Op.SCORES:
                self._scores(f)

    def _take(self, count: int) -> list[ReplayList]:
        self.taken += count
        return [next(self.lists) for _ in range(count)]

    def _write(self, step: int, word: I64, lane: I64, count: I64, data: U8, base: I64, ring: int) -> None:
        """Make and keep the writes of a step, whose arrays may have any shape that is N writes in C order."""
        n = word.size
        made = step, word.reshape(n), lane.reshape(n), count.reshape(n), data.reshape(n, -1), base.reshape(n), ring
        writes = Writes(*made)
        writes.apply(self.memory)
        self.writes.append(writes)

    def _bytes_at(self, base: int, ring: int, pixel: I64) -> U8:
        """The bytes with the flat numbers ``pixel`` in the plane of ``ring`` words at word ``base``."""
        lanes = self.p.lanes
        at: U8 = self.flat[base * lanes + pixel % (ring * lanes)]
        return at

    def _load(self, number: int, f: Fields) -> None:
        beat, lanes = self.p.picture_bytes, self.p.lanes
        data = self.picture[self.loaded : self.loaded + f["count"]]
        if len(data) < f["count"]:
            raise ValueError(f"step {number} loads {f['count']} bytes, the picture has {len(data)} left")
        self.loaded += f["count"]
        n = -(-f["count"] // beat)
        beats = np.zeros((n, beat), np.uint8)
        beats.reshape(-1)[: len(data)] = data
        at = (f["out_place"] * lanes + f["out_lane"] + beat * np.arange(n)) % (f["out_words"] * lanes)
        counts = np.minimum(beat, f["count"] - beat * np.arange(n))
        base = np.full(n, f["out_base"])
        self._write(number, base + at // lanes, at % lanes, counts, beats, base, f["out_words"])

    def _conv(self, number: int, f: Fields, taps: tuple[Tap, ...]) -> None:
        lists = self._take(f["outputs"])
        # Each pair of tap and channel that some weight reads, once: planes [pairs, tiles * lanes].
        rows = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
        key = np.concatenate([one.taps << 32 | one.channels for one in lists])
        used, column = np.unique(key, return_inverse=True)
        planes = self._tap_planes(f, taps, used, [one.zero_in for one in lists])
        weights = np.zeros((len(lists), len(used)))
        np.add.at(weights, (rows, column), np.concatenate([one.weights for one in lists]))
        acc = (weights @ planes).astype(np.int64)  # exact, since all are integers below 2**53
        acc += np.array([one.bias for one in lists])[:, None]
        acc = acc.astype(np.int32).astype(np.int64)
        if f["raw"]:
            self.scores.append(acc[:, : f["count"]].reshape(-1))
            return
        head = {
            name: np.array([getattr(one, name) for one in lists], np.int64)[:, None]
            for name in ("mult", "shift", "lo", "hi", "zero_out")
        }
        y = (acc * head["mult"] + (np.int64(1) << (head["shift"] - 1))) >> head["shift"]
        y = np.clip(y + head["zero_out"], head["lo"], head["hi"]).astype(np.uint8)
        group, shape = self.p.requantizers, (len(lists), f["tiles"], self.p.groups)
        channel, tile, g = np.meshgrid(*map(np.arange, shape), indexing="ij")
        base = f["out_base"] + channel * f["out_words"]
        word = base + (f["out_place"] + tile) % f["out_words"]
        self._write(number, word, g * group, np.full_like(g, group), y, base, f["out_words"])

    def _tap_planes(self, f: Fields, taps: tuple[Tap, ...], used: I64, zero_in: list[int]) -> NDArray[np.float64]:
        lanes, ring, count = self.p.lanes, f["in_words"], f["tiles"] * self.p.lanes
        offset = np.arange(count)
        pixel = f["first_pixel"] + offset
        x = (f["first_x"] + offset) % f["pitch"]
        if len(set(zero_in)) > 1:
            raise ValueError("lists of one step disagree on the input's zero point")
        planes = np.empty((len(used), count))
        for u, key in enumerate(used):
            tap, channel = taps[int(key >> 32)], int(key & 0xFFFFFFFF)
            inside = (pixel >= tap.row_offset) & (pixel < tap.row_offset + f["plane_pixels"])
            inside &= (x + tap.dx >= 0) & (x + tap.dx < f["width"])
            at = (f["in_place"] + tap.words) * lanes + tap.lane + offset
            planes[u] = np.where(inside, self._bytes_at(tap.base + channel, ring, at), zero_in[0])
        return planes

    def _pool(self, number: int, f: Fields) -> None:
        lanes, ring = self.p.lanes, f["in_words"]
        (head,) = self._take(1)
        outputs, rows, window = f["outputs"], f["rows"], f["x_window"]
        chunks = -(-f["out_width"] // f["chunk_outputs"])
        shape = (rows, chunks, f["taps"], f["x_groups"])
        row, chunk, ky, g = np.meshgrid(*map(np.arange, shape), indexing="ij")

        def distance(name: str) -> int:
            return f[f"{name}_words"] * lanes + f[f"{name}_lanes"]

        start = f["in_place"] * lanes + f["in_lane"] + row * distance("window") + ky * distance("row")
        start += chunk * distance("chunk") + g * distance("x")
        lane = np.arange(lanes)
        y = f["first_row"] + row * f["stride_y"] + ky
        x = (f["first_column"] + chunk * f["chunk_columns"] + g * f["x_step"])[..., None] + lane
        inside = (y >= 0) & (y < f["height"])
        inside = inside[..., None] & (x >= 0) & (x < f["in_columns"])
        stride = self.p.strides[f["stride_select"]]
        picked = lane[::stride][: f["chunk_outputs"]]
        found = np.empty((outputs, rows, chunks, len(picked)), np.uint8)
        for c in range(outputs):
            read = self._bytes_at(f["in_base"] + c * ring, ring, start[..., None] + lane)
            read = np.where(inside, read, np.uint8(head.fill))
            for _ in range(window - 1):
                read[..., :-1] = np.maximum(read[..., :-1], read[..., 1:])
            found[c] = read.max(axis=(2, 3))[..., picked]
        n = outputs * rows * chunks
        channel, row, chunk = np.meshgrid(*map(np.arange, (outputs, rows, chunks)), indexing="ij")
        base = f["out_base"] + channel * f["out_words"]
        at = f["out_place"] * lanes + f["out_lane"] + row * distance("out_row") + chunk * f["chunk_outputs"]
        at %= f["out_words"] * lanes
        counts = np.minimum(f["chunk_outputs"], f["out_width"] - chunk * f["chunk_outputs"])
        data = np.zeros((n, f["chunk_outputs"]), np.uint8)
        data[:, : len(picked)] = found.reshape(n, -1)
        self._write(number, base + at // lanes, at % lanes, counts, data, base, f["out_words"])

    def _scores(self, f: Fields) -> None:
        (head,) = self._take(1)
        pixels, ring = np.arange(f["count"]), f["in_words"]
        planes = [self._bytes_at(f["in_base"] + c * ring, ring, pixels) for c in range(f["outputs"])]
        values = np.stack(planes).astype(np.int64) - head.zero_in
        self.scores.append(values.sum(axis=1) if f["total"] else values.reshape(-1))
