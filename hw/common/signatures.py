"""Widths and layouts that several blocks share."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data

from dcgen.hw.contract.parameters import EngineParameters

WEIGHT_BITS = 17
"""Bits of a signed weight: factors of an addition are below 2**16 in magnitude. A vendor's multiplier takes 18."""


def entry_layout(p: EngineParameters) -> data.StructLayout:
    """One weight of a replay list.

    weight : signed, 17 bits, not 0 unless the list has no other weight
    tap : number of the step's tap
    channel : words from the tap's base to the plane of the weight's input channel
    """
    return data.StructLayout({"weight": signed(WEIGHT_BITS), "tap": bits(p.max_taps), "channel": bits(p.words)})


def head_layout(p: EngineParameters) -> data.StructLayout:
    """What the front end hands over with a list: the constants of one output channel, or of one step.

    entries : number of the list's weights, 1 .. list_entries
    bias : int32
    mult, shift : the requantization's multiplier m (16 bits) and shift s (17 .. 32); 0 if there is none
    lo, hi : clip bounds of the output, uint8
    zero_out : zero point of the output, uint8
    zero_in : zero point of the input, uint8; lanes of a CONV outside the plane read it, SCORES subtract it
    fill : byte that a POOL reads outside the plane
    """
    return data.StructLayout(
        {
            "entries": bits(p.list_entries + 1),
            "bias": signed(32),
            "mult": 16,
            "shift": 6,
            "lo": 8,
            "hi": 8,
            "zero_out": 8,
            "zero_in": 8,
            "fill": 8,
        }
    )


def bits(count: int) -> int:
    """Bits of a number from 0 to ``count`` - 1; at least 1."""
    return max(1, (count - 1).bit_length())
