"""The command list: what the compiler tells the engine of one network, whatever its weights.

A list is a sequence of records of ``RECORD_WORDS`` 32-bit words, one a step; a CONV record is
followed by ``2 * taps`` words, its taps. Plain Python, shared by compiler, gateware and tests.

Activations lie in *planes*: channel c of a tensor starts at word ``base + c * words`` and owns ``words``
words of ``lanes`` bytes. Pixel (y, x) is byte ``f = y * pitch + x`` of the flat plane: lane f % lanes of
its word f // lanes, which is kept at place ``(f // lanes) % words``: a plane that is shorter than the
tensor is a ring. "Place" below means such a word number within its channel's ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

RECORD_WORDS = 20
TAP_WORDS = 2


class Op(IntEnum):
    """What a step does."""

    END = 0  # nothing more: the scores are complete
    LOAD = 1  # bytes of the picture stream into memory
    CONV = 2  # lists of weights over tiles of pixels; also additions and averages
    POOL = 3  # maximum of windows; with a 1x1 window a copy with stride, padding, or change of pitch
    SCORES = 4  # bytes, or their sums over planes, minus the zero point, as scores
    TENSORS = 5  # front end only: reads the blob's tensor section
    SECTION = 6  # front end only: reads and checks a section that needs no work (Concat)


class Fill(IntEnum):
    """What a POOL step reads outside the plane."""

    LOWEST = 0  # 0, which no maximum notices
    SECTION = 1  # the section's ``lo`` (PAD)
    ZERO_POINT = 2  # of tensor ``tensor_in``
    INPUT_PAD = 3  # pad byte ``fill_index`` of the input


@dataclass(frozen=True)
class Field:
    """Bits ``low .. low + width - 1`` of word ``word`` of a record."""

    word: int
    low: int
    width: int
    signed: bool = False


STEP_FIELDS: dict[str, Field] = {
    "op": Field(0, 0, 4),
    "kind": Field(0, 4, 4),  # Kind of the blob section to read, 0 for none
    "raw": Field(0, 8, 1),  # CONV: accumulators are the scores
    "total": Field(0, 9, 1),  # SCORES: sums over planes
    "fill": Field(0, 10, 2),  # Fill
    "stride_select": Field(0, 12, 4),  # POOL: index into EngineParameters.strides
    "node": Field(0, 16, 16),  # for error reports
    "tensor_in": Field(1, 0, 16),  # its zero point pads a CONV, is subtracted by SCORES
    "tensor_out": Field(1, 16, 16),
    "tensor_in2": Field(2, 0, 16),  # ADD: second input (any tensor if there is one input)
    "fill_index": Field(2, 16, 16),
    "outputs": Field(3, 0, 16),  # channels made by the step
    "channels": Field(3, 16, 16),  # CONV: input channels of a group. TENSORS: input channels
    "taps": Field(4, 0, 8),  # CONV: kernel positions. POOL: window rows
    "x_groups": Field(4, 8, 8),  # POOL: reads per window row ...
    "x_step": Field(4, 16, 4),  # ... this many columns apart ...
    "x_window": Field(4, 20, 4),  # ... of 1..3 columns each
    "group_outputs": Field(5, 0, 16),  # CONV: output channels of a group
    "group_words": Field(5, 16, 16),  # CONV: words from a group's first input channel to the next one's
    "in_words": Field(6, 0, 16),  # words of an input channel
    "out_words": Field(6, 16, 16),
    "in_base": Field(7, 0, 16),  # POOL, SCORES: first word of the input; CONV: see Tap
    "out_base": Field(7, 16, 16),
    "tiles": Field(8, 0, 16),  # CONV, SCORES: words of each channel to compute
    "in_place": Field(8, 16, 16),  # place of the first tile / of the first window's first byte
    "out_place": Field(9, 0, 16),  # place of the first byte written
    "in_lane": Field(9, 16, 8),  # POOL: lane of the first window's first byte
    "out_lane": Field(9, 24, 8),  # POOL, LOAD: lane of the first byte written
    # CONV
    "first_pixel": Field(10, 0, 24),  # flat number of the first tile's first pixel
    "plane_pixels": Field(11, 0, 24),  # height * pitch of the input plane
    "pitch": Field(12, 0, 16),  # bytes from row to row, of input and output
    "width": Field(12, 16, 16),  # columns of the input plane
    "x_advance": Field(13, 0, 16),  # lanes % pitch
    "first_x": Field(13, 16, 16),  # first_pixel % pitch
    # POOL; pairs (words, lanes) are distances in the flat plane
    "first_row": Field(10, 0, 16, signed=True),  # input row of the first window's top
    "rows": Field(10, 16, 16),  # output rows
    "height": Field(11, 0, 16),  # of the input
    "stride_y": Field(11, 16, 16),
    "row_words": Field(12, 0, 16),  # input row to next input row
    "row_lanes": Field(12, 16, 8),
    "chunk_outputs": Field(12, 24, 8),  # outputs of one chunk
    "chunk_words": Field(13, 0, 16),  # input distance from chunk to chunk
    "chunk_lanes": Field(13, 16, 8),
    "out_row_words": Field(14, 0, 16),  # output row to next output row
    "out_row_lanes": Field(14, 16, 8),
    "first_column": Field(15, 0, 16, signed=True),  # input column of the first window's left edge
    "out_width": Field(15, 16, 16),  # outputs of a row
    "window_words": Field(16, 0, 16),  # input distance from window row to window row (stride_y rows)
    "window_lanes": Field(16, 16, 8),
    "in_columns": Field(17, 0, 16),  # POOL: columns of the input plane
    "chunk_columns": Field(17, 16, 16),  # POOL: chunk_outputs * stride, columns from chunk to chunk
    "x_words": Field(18, 0, 16),  # POOL: x_step as a distance
    "x_lanes": Field(18, 16, 8),
    # LOAD: bytes; SCORES: pixels of a plane; CONV with raw: pixels of a plane
    "count": Field(19, 0, 32),
}


@dataclass(frozen=True)
class Tap:
    """One kernel position of a CONV.

    base : word of the input plane that the tap reads, without the entry's own channel offset
    words, lane : the pixel it reads lies (words, lane) after the one computed, 0 <= lane < lanes,
        |words| <= in_words; words is floor(distance / lanes)
    row_offset : -dy * pitch; the tap reads inside the plane for pixels f with
        row_offset <= f < row_offset + plane_pixels
    dx : columns from the pixel computed to the one read
    """

    base: int
    words: int
    lane: int
    row_offset: int
    dx: int

    def pack(self) -> tuple[int, int]:
        """(base | words << 16, row_offset[15:0] | lane << 16 | dx << 24), the last three two's complement."""
        checked(self.base, 16, False, "tap base")
        checked(self.words, 16, True, "tap words")
        checked(self.row_offset, 16, True, "tap row offset")
        checked(self.lane, 8, False, "tap lane")
        checked(self.dx, 8, True, "tap dx")
        low = self.base | (self.words & 0xFFFF) << 16
        return low, (self.row_offset & 0xFFFF) | self.lane << 16 | (self.dx & 0xFF) << 24


def checked(value: int, width: int, signed: bool, name: str) -> int:
    """``value`` if it fits, else ValueError."""
    low, high = (-(1 << width - 1), 1 << width - 1) if signed else (0, 1 << width)
    if not low <= value < high:
        raise ValueError(f"{name} is {value}, expected {low}..{high - 1}")
    return value


def pack_step(fields: dict[str, int], taps: tuple[Tap, ...] = ()) -> list[int]:
    """One step's words. Raises ValueError for a value that its field cannot hold."""
    words = [0] * RECORD_WORDS
    for name, value in fields.items():
        f = STEP_FIELDS[name]
        checked(value, f.width, f.signed, name)
        words[f.word] |= (value & (1 << f.width) - 1) << f.low
    for tap in taps:
        words += tap.pack()
    return words


def unpack_step(words: list[int]) -> dict[str, int]:
    """Every field of a record; those of other kinds of step share bits and mean nothing."""
    found = {}
    for name, f in STEP_FIELDS.items():
        value = words[f.word] >> f.low & (1 << f.width) - 1
        found[name] = value - (1 << f.width) if f.signed and value >> f.width - 1 else value
    return found
