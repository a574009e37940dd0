"""The files that ``bench.v`` plays, and those that it writes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILES = ("setup.bin", "blob.bin", "picture.bin")
"""What the bench reads from the folder that it runs in."""


def setup_file(writes: Iterable[tuple[int, int]]) -> bytes:
    """``setup.bin``: register writes (byte address, value) in their order."""
    return b"".join(struct.pack("<II", address, value) for address, value in writes)


def blob_file(packets: Iterable[bytes]) -> bytes:
    """``blob.bin``: packets of the blob stream, each a multiple of four bytes."""
    words = []
    for packet in packets:
        pairs = np.zeros((len(packet) // 4, 2), "<u4")
        pairs[:, 0] = np.frombuffer(packet, "<u4")
        pairs[-1, 1] = 1
        words.append(pairs.tobytes())
    return b"".join(words)


def picture_file(picture: NDArray[np.uint8], picture_bytes: int) -> bytes:
    """``picture.bin``: a picture, uint8 [H, W, C], filled up with zeros to whole beats of ``picture_bytes``."""
    data = np.ascontiguousarray(picture).tobytes()
    return data + bytes(-len(data) % picture_bytes)


@dataclass(frozen=True, eq=False)
class Played:
    """What came out of a run.

    status : the status register at the end
    counters : the cycle counters in the order of the register map
    scores : int32 [S]
    writes : a record for each write to the activation memory, of dtype ``trace_type(lanes)``
    steps : int64 [N, 2], numbers of records of the command list, and the cycles in which they began, counted from
        the first word of the blob
    """

    status: int
    counters: tuple[int, ...]
    scores: NDArray[np.int32]
    writes: NDArray[np.void]
    steps: NDArray[np.int64]


def trace_type(lanes: int) -> np.dtype[np.void]:
    """A record of ``trace.bin``, one write: step, word and lane of the first byte, number of bytes, the bytes."""
    fields = [("step", "<u2"), ("word", "<u2"), ("lane", "u1"), ("count", "u1"), ("zero", "<u2")]
    return np.dtype([*fields, ("data", "u1", ((lanes + 3) // 4 * 4,))])


def read(folder: Path, lanes: int) -> Played:
    """What the bench left in ``folder``. Raises ValueError where it broke off."""
    registers = np.fromfile(folder / "registers.bin", "<u4").tolist()
    if len(registers) < 2:
        raise ValueError("the simulation ended before the engine did")
    scores = np.fromfile(folder / "scores.bin", "<i4")
    writes = np.fromfile(folder / "trace.bin", trace_type(lanes))
    steps = np.fromfile(folder / "steps.bin", "<u4").reshape(-1, 2).astype(np.int64)
    return Played(registers[0], tuple(registers[1:]), scores, writes, steps)


def write(folder: Path, setup: bytes, blob: bytes, picture: bytes) -> None:
    """Write the bench's files to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in zip(FILES, (setup, blob, picture), strict=True):
        (folder / name).write_bytes(data)


def words(commands: Sequence[int], base: int) -> list[tuple[int, int]]:
    """The register writes that put a command list into its window."""
    return [(base + 4 * i, word) for i, word in enumerate(commands)]
