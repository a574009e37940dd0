"""Numbers of the blob format, which ``docs/blob-format.md`` describes, that the front end needs. Plain Python."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What the node of a section computes, by its number in the section's header."""

    CONV = 1
    MAX_POOL = 2
    AVG_POOL = 3
    ADD = 4
    PAD = 5
    CONCAT = 6
    SCORES = 7


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
