"""Shapes that several blocks share."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data

from dcgen.hw.contract.parameters import EngineParameters

WEIGHT_BITS = 17
"""Factors of an addition are below 2**16 in magnitude; a vendor's multiplier takes 18 bits."""


def entry_layout(p: EngineParameters) -> data.StructLayout:
    """One non-zero weight of a replay list.

    weight : signed
    tap : index into the step's taps
    channel : words from the tap's base to the input channel's plane
    """
    return data.StructLayout({"weight": signed(WEIGHT_BITS), "tap": bits(p.max_taps), "channel": bits(p.words)})


def head_layout(p: EngineParameters) -> data.StructLayout:
    """What the front end hands over with a list: constants of one output channel, or of one step.

    entries : 1 .. list_entries weights
    bias : int32
    mult, shift : requantisation m (16 bits) and s (17..32); 0 where there is none
    lo, hi : clip bounds
    zero_out : zero point of the output
    zero_in : zero point of the input, which masked lanes read (CONV) or SCORES subtract
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
    """Width of a number below ``count``, at least 1."""
    return max(1, (count - 1).bit_length())
