"""Puts what an engine wrote back into tensors, with the help of a description that the plan has.

The description is plain data, so that it can be JSON:

    lanes, words   size of the activation memory: words of ``lanes`` bytes
    planes         a list of blocks of planes, each with channels, rows and pitch
    tensors        for each tensor: its name, the number of its block of planes, its first channel in the block,
                   and its shape [C, H, W]
    steps          for each record that writes: its number (step); the first word of its output (base), and the
                   words of a channel (ring); what it makes (made): the number of a block of planes, the first
                   channel and how many, and the flat pixels from start to end; the first word of the block's
                   channel 0 (at)
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
    """Every tensor, uint8 [C, H, W], as the writes of a run leave it. Pixels that were never written are 0.

    description : see above
    writes : records of dtype ``playback.trace_type(lanes)``, in their order
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
    """Do ``writes`` to planes of ``ring`` words each, the first of which begins at word ``base``."""
    word = writes["word"].astype(np.int64)
    channel = base + (word - base) // ring * ring
    byte = np.arange(lanes)
    place = ((word - channel) * lanes + writes["lane"])[:, None] + byte
    at = channel[:, None] * lanes + place % (ring * lanes)
    kept = byte < writes["count"].astype(np.int64)[:, None]
    at = np.where(at < len(memory), at, 0)
    memory[at[kept]] = writes["data"][:, :lanes][kept]


def check_value(planes: U8) -> int:
    """CRC-32 of a tensor, uint8 [C, H, W]: of its shape as three uint16, then of its bytes."""
    return zlib.crc32(np.ascontiguousarray(planes).tobytes(), zlib.crc32(struct.pack("<HHH", *planes.shape)))
