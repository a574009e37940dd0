"""Which coding a convolution's weights get, and which class reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from dcgen.codings import CodingName
from dcgen.encode.gaps import MAX_GAP_BITS, GapsCode, code_gaps
from dcgen.encode.joint import JointCode, code_joint
from dcgen.encode.schema import Coding
from dcgen.encode.stream import CodedStream, StreamCode
from dcgen.encode.symbols import Entries
from dcgen.errors import ConfigError

CODES: Final[Mapping[Coding, type[StreamCode]]] = {c.coding: c for c in (JointCode, GapsCode)}
"""The class of each coding."""


@dataclass(frozen=True)
class CodingSettings:
    """How convolutions' weights are coded.

    coding : ``joint``, ``deep-compression`` (gaps and levels apart, as Han et al. 2016), or for each layer
        the ``smallest`` of the two, the latter then with any width of gap
    index_bits_conv, index_bits_fc : bits of a gap under ``deep-compression``, 1..8, for
        convolutions and for fully connected layers

    Raises ConfigError for any other value.
    """

    coding: CodingName = "joint"
    index_bits_conv: int = 4
    index_bits_fc: int = 5

    def __post_init__(self) -> None:
        *names, last = get_args(CodingName)
        if self.coding not in (*names, last):
            raise ConfigError("coding", f"is {self.coding!r}, expected {', '.join(names)} or {last}")
        for name in ("index_bits_conv", "index_bits_fc"):
            bits = getattr(self, name)
            if not 1 <= bits <= MAX_GAP_BITS:
                raise ConfigError(name, f"is {bits}, expected 1..{MAX_GAP_BITS}")


def code_entries(entries: Entries, n_levels: int, settings: CodingSettings, fully_connected: bool) -> CodedStream:
    """One layer's weights (``entries`` without fillers), coded as ``settings`` say."""
    width = settings.index_bits_fc if fully_connected else settings.index_bits_conv
    match settings.coding:
        case "joint":
            return code_joint(entries, n_levels)
        case "deep-compression":
            return code_gaps(entries, n_levels, width)
        case "smallest":
            # Narrow gaps in sparse layers only add fillers, which can be many.
            widths = [b for b in range(1, 9) if entries.n_limited((1 << b) - 1) <= 2 * len(entries)] or [8]
            gaps = (code_gaps(entries, n_levels, b) for b in widths)
            return min((code_joint(entries, n_levels), *gaps), key=lambda c: c.size)
