"""What an engine is built for: the one object through which limits reach gateware and compiler."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineParameters:
    """Sizes of one engine.

    lanes : multipliers, pixels computed at once, and bytes of an activation word
    words : activation memory, words of ``lanes`` bytes
    requantizers : pixels requantized a cycle; divides ``lanes``
    list_entries : most non-zero weights of one output channel; a power of two
    max_taps : most taps of a kernel (or planes of an addition)
    max_outputs : most output channels of a convolution; a power of two
    max_symbols : most coded symbols of a layer, both tables together; a power of two
    max_tensors : most tensors of a network; a power of two
    command_words : 32-bit words of command memory
    picture_bytes : bytes of a beat of the picture stream, at most ``lanes``
    strides : steps between pixels that the pool can take
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
        if self.lanes % self.requantizers:
            raise ValueError(f"{self.requantizers} requantizers do not divide {self.lanes} lanes")
        if not 1 <= self.picture_bytes <= self.lanes:
            raise ValueError(f"a beat of {self.picture_bytes} bytes does not fit {self.lanes} lanes")

    @property
    def groups(self) -> int:
        """Cycles that the requantisation of a tile takes."""
        return self.lanes // self.requantizers
