"""Inputs that are no pictures: vectors, spectra, features. A network takes them as bytes, like a picture.

A byte b stands for the real value ``scale * (b - zero point)``, in every channel alike. The scale is the network's
own where its input is of integers, else it follows from calibration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dcgen.errors import ConfigError

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Given = Literal["float32", "int8", "uint8"]
GIVEN: tuple[Given, ...] = ("float32", "int8", "uint8")


@dataclass(frozen=True)
class TensorInput:
    """How values become the bytes that a network takes, and what these stand for.

    given : type of the values that users have. Integers are taken as they are: a uint8 is the byte itself, and
        an int8 the byte minus 128. Real values are divided by the scale, rounded to the nearest byte and clipped.
    scale : real value of one step of a byte
    zero_point : what stands for 0.0: a byte, or where users have int8, an int8. It is no integer where a network
        subtracts another number, and beyond a byte's range where no input of the network is near 0.0.
    shape : (C, H, W) of the network's input; a vector is C x 1 x 1
    """

    given: Given
    scale: float
    zero_point: float
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        if self.given not in GIVEN:
            raise ConfigError("input type", f"must be one of {', '.join(GIVEN)}, not {self.given!r}")
        if not (0 < self.scale < math.inf and math.isfinite(self.zero_point)):
            raise ConfigError("input", f"scale {self.scale} and zero point {self.zero_point} stand for no values")

    @property
    def name(self) -> str:
        return f"{self.given} values"

    @property
    def channels(self) -> int:
        return self.shape[0]

    @property
    def camera_to_network(self) -> tuple[int, ...]:
        """For each network channel, the channel of the bytes that it reads: the same one."""
        return tuple(range(self.channels))

    @property
    def byte_zero(self) -> float:
        """The byte that stands for 0.0; see ``zero_point`` for its range."""
        return self.zero_point + (128 if self.given == "int8" else 0)

    @property
    def camera_mean(self) -> NDArray[np.float64]:
        """For each channel, the byte that is 0.0 in the network's input: float64 [C]."""
        return np.full(self.channels, self.byte_zero)

    @property
    def std(self) -> tuple[float, ...]:
        """For each channel, bytes for a real step of 1."""
        return (1 / self.scale,) * self.channels

    def centred(self, inputs: U8) -> F32:
        """Input bytes uint8 [N, H, W, C] minus ``camera_mean``: float32 [N, C, H, W]."""
        return np.ascontiguousarray((inputs.astype(np.float32) - np.float32(self.byte_zero)).transpose(0, 3, 1, 2))

    def normalise(self, inputs: U8) -> F32:
        """The real values, float32 [N, C, H, W], that input bytes uint8 [N, H, W, C] stand for."""
        return self.centred(inputs) * np.float32(self.scale)

    def bytes_of(self, values: NDArray[Any]) -> U8:
        """The input bytes, uint8 [N, H, W, C], of values [N, C, H, W]: real ones, or of the type ``given``.

        The firmware's header converts float values by the same steps in float32, so that both give the same bytes.
        """
        if values.dtype == np.int8:
            found = (values.astype(np.int16) + 128).astype(np.uint8)
        elif values.dtype == np.uint8:
            found = values
        else:
            with np.errstate(over="ignore"):  # what becomes infinite is clipped
                steps = values.astype(np.float32) / np.float32(self.scale) + np.float32(self.byte_zero)
            found = (steps.clip(0, 255) + np.float32(0.5)).astype(np.uint8)
        return np.ascontiguousarray(found.transpose(0, 2, 3, 1))

    def values_of(self, inputs: U8) -> NDArray[Any]:
        """Values [N, C, H, W] of the type ``given`` of which ``bytes_of`` makes ``inputs``, uint8 [N, H, W, C]."""
        if self.given == "float32":
            return self.normalise(inputs)
        planes = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
        return planes if self.given == "uint8" else (planes.astype(np.int16) - 128).astype(np.int8)

    def to_json(self) -> dict[str, Any]:
        """Type, scale and zero point for people and for ``from_json``."""
        whole = float(self.zero_point).is_integer()
        zero_point = int(self.zero_point) if whole else self.zero_point
        return {"type": self.given, "scale": self.scale, "zero_point": zero_point}

    @classmethod
    def from_json(cls, data: dict[str, Any], shape: tuple[int, int, int]) -> TensorInput:
        return cls(data["type"], float(data["scale"]), float(data["zero_point"]), shape)


def calibrated(values: F32, shape: tuple[int, int, int], *, holds_zero: bool) -> TensorInput:
    """The input whose bytes cover the range of real values [N, ...].

    holds_zero : whether the range must hold 0.0, as it must where the network pads its input
    """
    low, high = float(values.min()), float(values.max())
    if holds_zero or low == high:
        low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max((high - low) / 255, 2.0**-126)))
    return TensorInput("float32", scale, float(round(-low / scale)), shape)
