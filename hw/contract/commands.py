"""The command list: what the compiler tells the engine about a network. It is the same whatever the weights are.

The list has a record for each step, of ``RECORD_WORDS`` 32-bit words; the record of a CONV is followed by its
taps, of ``TAP_WORDS`` words each. Plain Python, shared by compiler, gateware and tests.

Activations lie in *planes*, one for each channel of a tensor. The plane of channel c starts at word
``base + c * words`` of the activation memory, and has ``words`` words of ``lanes`` bytes. Pixel (y, x) of the
channel has the flat number f = y * pitch + x. It is byte f % lanes of the word at *place* (f // lanes) % words: a
plane of fewer words than its channel needs is a ring, in which later rows overwrite earlier ones. Below, a place
is always such a number of a word in its plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum

RECORD_WORDS = 20
TAP_WORDS = 2


class Op(IntEnum):
    """What a step does."""

    END = 0  # ends the list: all scores have been sent
    LOAD = 1  # writes bytes of the picture stream into memory
    CONV = 2  # runs lists of weights over tiles of pixels: a convolution, an addition or an average
    POOL = 3  # takes the maximum over windows; a window of 1 x 1 copies, with a stride, padding or another pitch
    SCORES = 4  # sends bytes, or their sums over planes, minus their zero point, as scores
    TENSORS = 5  # has the front end read the blob's tensor section
    SECTION = 6  # has the front end read and check a section that needs no work (that of a Concat)


class Fill(IntEnum):
    """Which byte a POOL step reads outside the plane."""

    LOWEST = 0  # 0, which changes no maximum
    SECTION = 1  # ``lo`` of the step's section, that of a PAD
    ZERO_POINT = 2  # the zero point of tensor ``tensor_in``
    INPUT_PAD = 3  # the pad byte of the network's input for channel ``fill_index``


@dataclass(frozen=True)
class Field:
    """Bits ``low .. low + width - 1`` of word ``word`` of a record."""

    word: int
    low: int
    width: int
    signed: bool = False


STEP_FIELDS: dict[str, Field] = {
    "op": Field(0, 0, 4),
    "kind": Field(0, 4, 4),  # Kind of the blob section that the front end reads for the step, 0 for none
    "raw": Field(0, 8, 1),  # CONV: the accumulators are scores; they are not requantized
    "total": Field(0, 9, 1),  # SCORES: a score is a sum over a plane, not a single pixel
    "fill": Field(0, 10, 2),  # POOL: a Fill
    "stride_select": Field(0, 12, 4),  # POOL: index into EngineParameters.strides
    "node": Field(0, 16, 16),  # number of the node, which an error names
    "tensor_in": Field(1, 0, 16),  # number of the input; its zero point pads a CONV, and SCORES subtract it
    "tensor_out": Field(1, 16, 16),  # number of the output
    "tensor_in2": Field(2, 0, 16),  # addition: number of the second input (of any tensor where there is none)
    "fill_index": Field(2, 16, 16),  # POOL: see Fill
    "outputs": Field(3, 0, 16),  # channels that the step makes. TENSORS: tensors of the network
    "channels": Field(3, 16, 16),  # CONV: input channels of a group. TENSORS: channels of the network's input
    "taps": Field(4, 0, 8),  # CONV: kernel positions. POOL: rows of a window
    "x_groups": Field(4, 8, 8),  # POOL: reads of a window's row ...
    "x_step": Field(4, 16, 4),  # ... that are this many columns apart ...
    "x_window": Field(4, 20, 4),  # ... and take the maximum of 1 to 3 columns each
    "group_outputs": Field(5, 0, 16),  # CONV: output channels of a group
    "group_words": Field(5, 16, 16),  # CONV: words from a group's first input channel to the next one's
    "in_words": Field(6, 0, 16),  # words of a plane of the input
    "out_words": Field(6, 16, 16),  # words of a plane of the output
    "in_base": Field(7, 0, 16),  # POOL, SCORES: first word of the input. CONV has it in its taps
    "out_base": Field(7, 16, 16),  # first word of the output
    "tiles": Field(8, 0, 16),  # CONV, SCORES: words of each channel to be computed
    "in_place": Field(8, 16, 16),  # place of the first tile. POOL: place of the first window's first byte
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
    # POOL. A pair (..._words, ..._lanes) is a distance in the flat plane: words, and bytes besides
    "first_row": Field(10, 0, 16, signed=True),  # input row of the first window's top
    "rows": Field(10, 16, 16),  # output rows
    "height": Field(11, 0, 16),  # rows of the input
    "stride_y": Field(11, 16, 16),  # input rows from window to window
    "row_words": Field(12, 0, 16),  # distance from an input row to the next one
    "row_lanes": Field(12, 16, 8),
    "chunk_outputs": Field(12, 24, 8),  # outputs of a chunk, which one pass over the lanes makes
    "chunk_words": Field(13, 0, 16),  # distance, in the input, from chunk to chunk
    "chunk_lanes": Field(13, 16, 8),
    "out_row_words": Field(14, 0, 16),  # distance from an output row to the next one
    "out_row_lanes": Field(14, 16, 8),
    "first_column": Field(15, 0, 16, signed=True),  # input column of the first window's left edge
    "out_width": Field(15, 16, 16),  # outputs of a row
    "window_words": Field(16, 0, 16),  # distance, in the input, from an output row's windows to those of the next
    "window_lanes": Field(16, 16, 8),
    "in_columns": Field(17, 0, 16),  # columns of the input
    "chunk_columns": Field(17, 16, 16),  # input columns from chunk to chunk: chunk_outputs times the stride
    "x_words": Field(18, 0, 16),  # x_step as a distance
    "x_lanes": Field(18, 16, 8),
    # LOAD: bytes of the picture. SCORES, and CONV with ``raw``: pixels of a plane
    "count": Field(19, 0, 32),
}
"""Fields of a record by name."""

TAP_FIELDS: dict[str, Field] = {
    "base": Field(0, 0, 16),
    "words": Field(0, 16, 16, signed=True),
    "row_offset": Field(1, 0, 16, signed=True),
    "lane": Field(1, 16, 8),
    "dx": Field(1, 24, 8, signed=True),
}
"""Fields of a tap's words, as ``Tap`` explains them."""


@dataclass(frozen=True)
class Tap:
    """One kernel position of a CONV.

    base : first word of the plane that the tap reads, to which an entry of a list adds its channel's offset
    words, lane : distance from the pixel computed to the pixel read: words, rounded down, and the bytes that are
        left, 0 <= lane < lanes; -in_words <= words <= in_words
    row_offset : -dy * pitch, dy being the rows from the pixel computed to the one read: the row read lies inside
        the plane for pixels f with row_offset <= f < row_offset + plane_pixels
    dx : columns from the pixel computed to the one read
    """

    base: int
    words: int
    lane: int
    row_offset: int
    dx: int

    def pack(self) -> list[int]:
        """The tap's two words. Raises ValueError for a value that its field cannot hold."""
        return _pack(TAP_FIELDS, asdict(self), TAP_WORDS, "tap ")


def checked(value: int, width: int, signed: bool, name: str) -> int:
    """``value``, if ``width`` bits can hold it. Raises ValueError."""
    low, high = (-(1 << width - 1), 1 << width - 1) if signed else (0, 1 << width)
    if not low <= value < high:
        raise ValueError(f"{name} is {value}, expected {low}..{high - 1}")
    return value


def pack_step(fields: dict[str, int], taps: tuple[Tap, ...] = ()) -> list[int]:
    """The words of a step and its taps; fields not given are 0. Raises ValueError for what a field cannot hold."""
    return sum((tap.pack() for tap in taps), _pack(STEP_FIELDS, fields, RECORD_WORDS))


def _pack(layout: dict[str, Field], fields: dict[str, int], count: int, prefix: str = "") -> list[int]:
    """``count`` words that hold ``fields``; errors name a field with ``prefix``."""
    words = [0] * count
    for name, value in fields.items():
        f = layout[name]
        checked(value, f.width, f.signed, prefix + name)
        words[f.word] |= (value & (1 << f.width) - 1) << f.low
    return words


def unpack(layout: dict[str, Field], words: Sequence[int]) -> dict[str, int]:
    """Every field of ``words``."""
    found = {}
    for name, f in layout.items():
        value = words[f.word] >> f.low & (1 << f.width) - 1
        found[name] = value - (1 << f.width) if f.signed and value >> f.width - 1 else value
    return found


def unpack_step(words: Sequence[int]) -> dict[str, int]:
    """Every field of a record; those that its operation does not have share bits with others and mean nothing."""
    return unpack(STEP_FIELDS, words)
