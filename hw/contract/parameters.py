"""What an engine is built for: the one object through which limits reach gateware and compiler."""

from __future__ import annotations

from dataclasses import dataclass, fields

MAX_LANES = 255
"""Counts of lanes are 8 bits wide in a command record (``chunk_outputs``) and in the trace."""
MAX_WORDS = 1 << 16
"""Numbers of words are 16 bits wide in a command record (``in_base``)."""
_LARGEST = {
    "lanes": MAX_LANES,
    "words": MAX_WORDS,
    "max_taps": 255,  # a record's ``taps`` are 8 bits wide
    "max_outputs": 1 << 16,  # its ``outputs`` 16
    "max_tensors": 1 << 16,  # and its ``tensor_in`` 16
}
_POWERS_OF_TWO = ("list_entries", "max_outputs", "max_symbols", "max_tensors")
_MAX_STRIDES, _MAX_STRIDE = 16, 255
"""A record's ``stride_select`` is 4 bits wide, a stride in the register ``strides`` 8."""


@dataclass(frozen=True)
class EngineParameters:
    """Sizes of one engine, all of them positive integers but ``strides``.

    lanes : multipliers, which are the pixels computed at once and the bytes of an activation word; at most 255
    words : words of ``lanes`` bytes in the activation memory; at most 65,536
    requantizers : pixels requantized in a cycle; a divisor of ``lanes``
    list_entries : most non-zero weights of one output channel; a power of two
    max_taps : most taps of a kernel, or summands of an addition; at most 255
    max_outputs : most output channels of a convolution; a power of two, at most 65,536
    max_symbols : most coded symbols of a layer, both of its code tables together; a power of two
    max_tensors : most tensors of a network; a power of two, at most 65,536
    command_words : 32-bit words of the command memory
    picture_bytes : bytes of a beat of the picture stream, at most ``lanes``
    strides : distances in pixels from one output of a pooling or copy to the next that the engine can make:
        at most 16 of them, each 1 to 255

    Raises TypeError for what is no positive integer (in ``strides``: no tuple of such), and ValueError for a
    number outside the bounds above. Each message names the parameter, what is expected and what was given.
    """

    lanes: int = 49
    words: int = 6144
    requantizers: int = 7
    list_entries: int = 1024
    max_taps: int = 64
    max_outputs: int = 1024
    max_symbols: int = 2048
    max_tensors: int = 256
    command_words: int = 4096
    picture_bytes: int = 16
    strides: tuple[int, ...] = (1, 2, 3, 6)

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self) if f.name != "strides"):
            value = getattr(self, name)
            if not _is_positive(value):
                raise TypeError(f"{name} must be a positive integer, not {value!r}")
            if value > _LARGEST.get(name, value):
                raise ValueError(f"{name} must be at most {_LARGEST[name]}, not {value}")
            if name in _POWERS_OF_TWO and value & (value - 1):
                raise ValueError(f"{name} must be a power of two, not {value}")
        if self.lanes % self.requantizers:
            raise ValueError(f"requantizers must be a divisor of lanes ({self.lanes}), not {self.requantizers}")
        if self.picture_bytes > self.lanes:
            raise ValueError(f"picture_bytes must be at most lanes ({self.lanes}), not {self.picture_bytes}")
        strides = self.strides
        if not (isinstance(strides, tuple) and strides and all(map(_is_positive, strides))):
            raise TypeError(f"strides must be a tuple of positive integers, not {strides!r}")
        if len(strides) > _MAX_STRIDES or max(strides) > _MAX_STRIDE:
            most = f"{_MAX_STRIDES} numbers of at most {_MAX_STRIDE}"
            raise ValueError(f"strides must be at most {most}, not {strides}")

    @property
    def groups(self) -> int:
        """Cycles that the requantization of a tile takes."""
        return self.lanes // self.requantizers


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
