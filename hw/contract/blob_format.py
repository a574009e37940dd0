"""Numbers of the blob format, which ``docs/blob-format.md`` describes, that the front end needs. Plain Python."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What a node computes (NodeTopology.kind and NodeHeader.kind)."""

    CONV = 1  # a convolution with the section's weights
    MAX_POOL = 2  # the largest byte of each window
    AVG_POOL = 3  # the average of each window
    ADD = 4  # the sum of one or two tensors, each times a factor
    PAD = 5  # a border of one byte value around each plane
    CONCAT = 6  # the channels of the inputs, one after the other
    SCORES = 7  # the input's bytes as int32 scores
    MUL = 8  # the product of two tensors
    TABLE = 9  # what a table has at each byte
    UPSAMPLE = 10  # each pixel as a block of pixels


class Cause(IntEnum):
    """A defect of a section, by the number of its status code; the same numbers as the C runtime's."""

    NONE = 0
    HEADER = 8  # a reserved field or padding is not zero
    SECTION = 9  # a size is wrong, or the packet's length
    SECTION_CRC = 10
    LAYER = 11  # a constant is out of range
    CAPACITY = 12  # the layer needs more memory than the engine has
    TABLE = 13  # a code table is over-full, malformed or of the wrong size
    CODE = 14  # the stream holds a code that no symbol has
    STREAM = 15  # the stream ends too early, or holds more than the layer
    LEVEL = 16  # a level index outside the codebook
    POSITION = 17  # a weight beyond the layer's last
