"""The handwritten digits that ship inside scikit-learn, and which of them serve which purpose.

One fixed shuffle splits the 1797 digits of 8x8 pixels. The test digits serve neither training nor calibration nor
any choice. Pictures are camera bytes: grey, 16x16, each pixel of the original repeated 2x2 times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

SEED = 20160503
SPLITS = {"train": slice(0, 1097), "calibration": slice(1097, 1297), "test": slice(1297, 1797)}


@dataclass(frozen=True, eq=False)
class Digits:
    """Pictures of digits, and what they are.

    pictures : uint8 [N, 16, 16]
    labels : int64 [N], 0 to 9
    numbers : int64 [N], index of each digit in scikit-learn's set
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    numbers: NDArray[np.int64]


def split(name: str) -> Digits:
    """The digits of one of ``SPLITS``."""
    source = load_digits()
    numbers = np.random.default_rng(SEED).permutation(len(source.images))[SPLITS[name]]
    pictures = np.rint(source.images[numbers] * 255 / 16).astype(np.uint8)  # scikit-learn's pixels are 0 to 16
    return Digits(pictures.repeat(2, 1).repeat(2, 2), source.target[numbers], numbers)
