"""The same levels in other codes: what each would make of one file, whose answers stay the same."""

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
    """Level indices uint8 OIHW of one convolution, 0 for zero, and how many levels there are."""

    indices: U8
    n_levels: int

    def entries(self) -> Entries:
        """As a blob has them: frequent levels first."""
        entries = Entries.of(self.indices)
        rank = np.argsort(frequency_order(entries.levels, self.n_levels)).astype(np.uint8)
        return Entries(entries.runs, rank[entries.levels])


def joint_huffman(layers: Sequence[Levels]) -> int:
    """Bytes of tables and streams in dcgen's default code."""
    return _coded(layers, CodingSettings("joint"))


def separate_huffman(layers: Sequence[Levels]) -> int:
    """Bytes of tables and streams with gaps and levels apart, as in Deep Compression."""
    return _coded(layers, CodingSettings("deep-compression", 4, 4))


def joint_entropy(layers: Sequence[Levels]) -> int:
    """Bytes that an ideal coder of (zero run, level) pairs needs when it is given every layer's
    frequencies for nothing: no rANS or arithmetic coder with static tables is below it."""
    bits = 0.0
    for layer in layers:
        entries = layer.entries()
        counts = np.unique(entries.runs * 256 + entries.levels, return_counts=True)[1].astype(np.float64)
        bits -= float((counts * np.log2(counts / counts.sum())).sum())
    return round(bits / 8)


def plane(layers: Sequence[Levels]) -> bytes:
    """One byte a weight, in the blob's order."""
    return b"".join(layer.indices.transpose(0, 2, 3, 1).tobytes() for layer in layers)


def xz(data: bytes) -> int:
    """Bytes after ``xz -9e``."""
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def zstd(data: bytes) -> int | None:
    """Bytes after ``zstd --ultra -22``, None where the program is not installed."""
    if shutil.which("zstd") is None:
        return None
    done = subprocess.run(["zstd", "--ultra", "-22", "-c", "-q"], input=data, capture_output=True, check=True)
    return len(done.stdout)


def _coded(layers: Sequence[Levels], settings: CodingSettings) -> int:
    return sum(code_entries(a.entries(), a.n_levels, settings, False).size for a in layers)
