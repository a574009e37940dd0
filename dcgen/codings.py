"""The weight codings, which ``encode`` implements: their numbers in a blob, and the names that recipes use."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal


class Coding(IntEnum):
    """How a convolution's weights are coded (ConvHeader.coding)."""

    JOINT = 0  # one code over (zero run << level_bits | level), with an escape
    GAPS = 1  # Deep Compression: a code over gaps, then a code over levels


CodingName = Literal["joint", "deep-compression", "smallest"]
"""``joint`` is JOINT, ``deep-compression`` is GAPS (gaps and levels apart, as Han et al. 2016), and ``smallest``
is for each layer the smaller one of the two."""
