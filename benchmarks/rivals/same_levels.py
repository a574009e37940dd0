"""The size of the same levels in other codes; a network's answers do not depend on the code."""

from __future__ import annotations

import lzma
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgen.encode.coding import CodingSettings, code_entries
from dcgen.encode.symbols import Entries, frequency_order
from dcgen.quant.qgraph import U8


@dataclass(frozen=True, eq=False)
class Levels:
    """The levels of one convolution.

    indices : uint8 [O, I/groups, KH, KW], the index of each weight's level; 0 is zero
    n_levels : how many levels there are, zero included
    """

    indices: U8
    n_levels: int

    def entries(self) -> Entries:
        """Zero runs and levels as a blob codes them, levels renumbered by frequency."""
        entries = Entries.of(self.indices)
        rank = np.argsort(frequency_order(entries.levels, self.n_levels)).astype(np.uint8)
        return Entries(entries.runs, rank[entries.levels])


def joint_huffman(layers: Sequence[Levels]) -> int:
    """Bytes of tables and streams in dcgen's default code."""
    return _coded(layers, CodingSettings("joint"))


def separate_huffman(layers: Sequence[Levels]) -> int:
    """Bytes of tables and streams with one code for gaps and one for levels, as in Deep Compression."""
    return _coded(layers, CodingSettings("deep-compression", 4, 4))


def joint_entropy(layers: Sequence[Levels]) -> int:
    """Bytes that an ideal coder of (zero run, level) pairs needs if each layer's frequencies cost nothing.

    No rANS or arithmetic coder with static tables takes fewer.
    """
    bits = 0.0
    for layer in layers:
        entries = layer.entries()
        counts = np.unique(entries.runs * 256 + entries.levels, return_counts=True)[1].astype(np.float64)
        bits -= float((counts * np.log2(counts / counts.sum())).sum())
    return round(bits / 8)


def plane(layers: Sequence[Levels]) -> bytes:
    """All level indices, one byte a weight, in the order of a blob."""
    return b"".join(layer.indices.transpose(0, 2, 3, 1).tobytes() for layer in layers)


def xz(data: bytes) -> int:
    """Bytes of ``data`` packed by ``xz -9e``."""
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def zstd(data: bytes) -> int | None:
    """Bytes of ``data`` packed by ``zstd --ultra -22``, None where that program is not installed."""
    if shutil.which("zstd") is None:
        return None
    done = subprocess.run(["zstd", "--ultra", "-22", "-c", "-q"], input=data, capture_output=True, check=True)
    return len(done.stdout)


def _coded(layers: Sequence[Levels], settings: CodingSettings) -> int:
    return sum(code_entries(a.entries(), a.n_levels, settings, False).size for a in layers)
