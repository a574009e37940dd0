"""How much stack the C runtime takes, by core. ``python -m benchmarks.firmware.stack`` measures and writes it.

A figure holds for every network, blob and picture, for GCC and clang: it is that of the deepest chain of calls,
assembly included. Interrupts, the caller's own functions and a trace of the caller's come on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Core = Literal["helium", "dsp", "other", "wide"]
"""Cores with Helium, with a Cortex-M4's DSP instructions, all others of 32 bits, those with addresses of 64."""


@dataclass(frozen=True)
class Stack:
    """Bytes of stack of the runtime's functions, multiples of 64.

    optimised : compiled by -O1, -Os, -O2 or -O3
    not_optimised : compiled by -O0
    """

    optimised: int
    not_optimised: int


STACK: Final[Mapping[Core, Stack]] = {
    "helium": Stack(optimised=1600, not_optimised=1408),
    "dsp": Stack(optimised=3008, not_optimised=3008),
    "other": Stack(optimised=1536, not_optimised=1536),
    "wide": Stack(optimised=1728, not_optimised=1728),
}
