"""Weights as entries. An entry is a run of zeros and the level of the weight behind it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Entries:
    """The weights of one convolution in the order output channel, kernel row, kernel column, input channel.

    runs : int64 [E], zeros in front of each entry's weight
    levels : uint8 [E], level index of each entry's weight; 0 makes the entry a filler, which stands for one zero
    """

    runs: I64
    levels: U8

    def __len__(self) -> int:
        return len(self.runs)

    @classmethod
    def of(cls, indices: U8) -> Entries:
        """The entries of ``indices`` (uint8 [O, I, KH, KW]), without fillers."""
        flat = indices.transpose(0, 2, 3, 1).reshape(-1)
        at = np.flatnonzero(flat)
        return cls(np.diff(at, prepend=-1) - 1, flat[at])

    @cached_property
    def positions(self) -> I64:
        """int64 [E]: index of each entry's weight among all weights."""
        return np.cumsum(self.runs + 1) - 1

    def indices(self, shape: tuple[int, int, int, int]) -> U8:
        """Level indices uint8 of ``shape`` (O, I, KH, KW), within which every position must lie."""
        o, i, kh, kw = shape
        flat = np.zeros(o * i * kh * kw, np.uint8)
        flat[self.positions] = self.levels
        return np.ascontiguousarray(flat.reshape(o, kh, kw, i).transpose(0, 3, 1, 2))

    def limited(self, max_run: int) -> Entries:
        """The same weights with no run above ``max_run``; fillers (max_run, 0) cut longer ones into pieces."""
        fillers, rest = np.divmod(self.runs, max_run + 1)
        if not fillers.any():
            return self
        real = np.cumsum(fillers + 1) - 1
        runs = np.full(real[-1] + 1, max_run, np.int64)
        levels = np.zeros(len(runs), np.uint8)
        runs[real], levels[real] = rest, self.levels
        return Entries(runs, levels)

    def n_limited(self, max_run: int) -> int:
        """Number of entries of ``limited(max_run)``."""
        return len(self) + int((self.runs // (max_run + 1)).sum())

    def per_filter(self, shape: tuple[int, int, int, int]) -> I64:
        """int64 [O]: non-zero weights in each output channel of ``shape`` (O, I, KH, KW)."""
        o, i, kh, kw = shape
        return np.bincount(self.positions[self.levels > 0] // (i * kh * kw), minlength=o)


def frequency_order(levels: U8, n_levels: int) -> U8:
    """uint8 [n_levels]: 0, then the other level indices from the most to the least frequent in ``levels``.

    With levels in this order, code lengths rise with the level, which makes the packed table short.
    """
    counts = np.bincount(levels, minlength=n_levels)[1:]
    return np.concatenate([[0], 1 + np.argsort(-counts, kind="stable")]).astype(np.uint8)
