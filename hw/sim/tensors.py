"""Puts what an engine wrote back into tensors, from a description that a plan gives.

The description is plain data, so that it travels as JSON:

    lanes, words   activation memory
    planes         per planes: channels, rows, pitch
    tensors        per tensor: name, planes, channel (of the planes), shape [C, H, W]
    steps          per record that writes: step (its number), base and ring (of its output's planes: first word
                   of channel 0 of the write port's base, words of a channel), made (planes, channel, channels,
                   start, end: flat pixels), at (first word of the planes' channel 0)
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]


def rebuild(description: Mapping[str, Any], writes: NDArray[np.void]) -> dict[str, U8]:
    """Every tensor, uint8 [C, H, W], as the writes of a run leave it; what was never written is 0.

    writes : records with fields step, word, lane, count and data, in their order
    """
    lanes = description["lanes"]
    memory = np.zeros(description["words"] * lanes, np.uint8)
    full = [np.zeros((p["channels"], p["rows"] * p["pitch"]), np.uint8) for p in description["planes"]]
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(writes["step"].astype(np.int64))) + 1, [len(writes)]])
    parts = {int(writes["step"][a]): writes[a:b] for a, b in itertools.pairwise(bounds) if b > a}
    for step in description["steps"]:
        ring, made = step["ring"], step["made"]
        if (part := parts.get(step["step"])) is not None:
            _apply(memory, part, lanes, step["base"], ring)
        channels = step["at"] + (made["channel"] + np.arange(made["channels"])) * ring
        pixels = np.arange(made["start"], made["end"])
        at = channels[:, None] * lanes + pixels % (ring * lanes)
        last = made["channel"] + made["channels"]
        full[made["planes"]][made["channel"] : last, made["start"] : made["end"]] = memory[at]
    found = {}
    for tensor in description["tensors"]:
        c, h, w = tensor["shape"]
        planes = description["planes"][tensor["planes"]]
        rows = full[tensor["planes"]][tensor["channel"] : tensor["channel"] + c]
        found[tensor["name"]] = rows.reshape(c, planes["rows"], planes["pitch"])[:, :h, :w]
    return found


def _apply(memory: U8, writes: NDArray[np.void], lanes: int, base: int, ring: int) -> None:
    """Do ``writes`` of planes whose channels are ``ring`` words each, from word ``base`` on."""
    word = writes["word"].astype(np.int64)
    channel = base + (word - base) // ring * ring
    byte = np.arange(lanes)
    place = ((word - channel) * lanes + writes["lane"])[:, None] + byte
    at = channel[:, None] * lanes + place % (ring * lanes)
    kept = byte < writes["count"].astype(np.int64)[:, None]
    at = np.where(at < len(memory), at, 0)
    memory[at[kept]] = writes["data"][:, :lanes][kept]


def check_value(planes: U8) -> int:
    """CRC-32 of a tensor's shape and bytes."""
    return zlib.crc32(np.ascontiguousarray(planes).tobytes(), zlib.crc32(struct.pack("<HHH", *planes.shape)))
