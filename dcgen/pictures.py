"""Preprocessing: how camera bytes become a network's input, and how a host makes camera bytes of a picture.

``inputs.picture_files`` does the latter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dcgen.errors import ConfigError

MAX_SIZE = 4096
"""Most pixels that a side of a resized picture may have."""
MAX_MEAN = 1e6
"""Largest mean and deviation, and 1 / smallest deviation: folded into float32 weights, they cannot overflow."""
CHANNELS = {"rgb": (3,), "bgr": (3,), "grey": (1,), "as-is": (1, 3, 4)}
"""By the order of a network's channels, how many there may be."""
FITS = ("squash", "short-side")
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Preprocess:
    """How camera bytes become the float network's input: x = (byte - mean) / std, channel by channel.

    order : the network's channel order; the camera always delivers ``rgb``, or one ``grey`` plane. With ``as-is``
        the network takes the camera's channels in the camera's order, up to four of them.
    mean, std : in units of a byte, one for each channel in the *network's* order
    fit, resize : how the host resizes a picture file (see ``inputs.picture_files``); ``resize`` is in pixels
    size : input height and width in pixels, for networks that do not state another one
    """

    name: str
    order: Literal["rgb", "bgr", "grey", "as-is"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: Literal["squash", "short-side"]
    resize: int
    size: int

    def __post_init__(self) -> None:
        if self.order not in CHANNELS:
            raise ConfigError("order", f"must be rgb, bgr, grey or as-is, not {self.order!r}")
        if self.fit not in FITS:
            raise ConfigError("fit", f"must be squash or short-side, not {self.fit!r}")
        for what, pixels in (("input size", self.size), ("resize", self.resize)):
            if not (isinstance(pixels, int) and 1 <= pixels <= MAX_SIZE):
                raise ConfigError(what, f"must be 1 to {MAX_SIZE} pixels, not {pixels}")
        channels = CHANNELS[self.order]
        if len(self.mean) not in channels or len(self.std) != len(self.mean):
            several = " or ".join(map(str, channels))
            needed, found = f"needs {several} means and deviations", f"found {len(self.mean)} and {len(self.std)}"
            raise ConfigError("preprocess", f"order {self.order} {needed}, {found}")
        if not all(abs(m) <= MAX_MEAN for m in self.mean):
            raise ConfigError("mean", f"must be {-MAX_MEAN:g} to {MAX_MEAN:g}, not {_listed(self.mean)}")
        if not all(1 / MAX_MEAN <= s <= MAX_MEAN for s in self.std):
            raise ConfigError("std", f"must be {1 / MAX_MEAN:g} to {MAX_MEAN:g}, not {_listed(self.std)}")

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def camera_to_network(self) -> tuple[int, ...]:
        """For each network channel, the camera channel that it reads."""
        return (2, 1, 0) if self.order == "bgr" else tuple(range(self.channels))

    @property
    def camera_order(self) -> str:
        """What the camera delivers: ``rgb``, ``grey`` or ``as-is``."""
        return "rgb" if self.order == "bgr" else self.order

    def normalise(self, pictures: U8) -> NDArray[np.float32]:
        """The float network's input, float32 [N, C, H, W], for camera bytes uint8 [N, H, W, C]."""
        x = pictures[..., list(self.camera_to_network)].astype(np.float32)
        x -= np.asarray(self.mean, np.float32)
        x /= np.asarray(self.std, np.float32)
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    @property
    def camera_mean(self) -> NDArray[np.float64]:
        """For each camera channel, the byte that is 0.0 in the network's input: float64 [C]."""
        inverse = np.argsort(self.camera_to_network)
        return np.asarray(self.mean, np.float64)[inverse]

    def centred(self, pictures: U8) -> NDArray[np.float32]:
        """Camera bytes uint8 [N, H, W, C] minus ``camera_mean``: float32 [N, C, H, W]."""
        x = pictures.astype(np.float32) - self.camera_mean.astype(np.float32)
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preprocess:
        return cls(**{**data, "mean": tuple(data["mean"]), "std": tuple(data["std"])})


_IMAGENET_MEAN, _IMAGENET_STD = (0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255)
PRESETS = (
    Preprocess("caffe", "bgr", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0), "squash", 256, 227),
    Preprocess("torchvision", "rgb", _IMAGENET_MEAN, _IMAGENET_STD, "short-side", 256, 224),
    Preprocess("digits", "grey", (0.0,), (255.0,), "squash", 16, 16),
)


def preset(name: str) -> Preprocess:
    """The preset of that name. Raises ConfigError listing the names."""
    for p in PRESETS:
        if p.name == name:
            return p
    raise ConfigError(name, f"is not a preprocessing preset; there are {', '.join(p.name for p in PRESETS)}")


def explicit(
    order: str, mean: Sequence[float], std: Sequence[float], fit: str, resize: int | None, size: int
) -> Preprocess:
    """Preprocessing from explicit settings, as ``Preprocess`` has them. ``resize`` None stands for ``size``.

    Raises ConfigError where mean and std are those of values from 0 to 1, as PyTorch users have them.
    """
    if all(1 / MAX_MEAN <= s < 1 for s in std) and all(abs(m) <= 1 for m in mean):
        means, deviations = (_listed([255 * v for v in values]) for values in (mean, std))
        problem = "expected in units of a byte, 0 to 255, found those of values from 0 to 1"
        raise ConfigError("mean and std", problem, f"give `mean` {means} `std` {deviations}")
    return Preprocess("explicit", order, tuple(mean), tuple(std), fit, resize or size, size)  # type: ignore[arg-type]


def with_size(p: Preprocess, size: int | None) -> Preprocess:
    """``p`` for another input size, or ``p`` itself if ``size`` is None.

    ``resize`` becomes at least the new size. If it was equal to the old size, it becomes equal to the new one, so
    that still nothing is cropped.
    """
    if size is None:
        return p
    return replace(p, size=size, resize=size if p.resize == p.size else max(p.resize, size))


def _listed(values: Sequence[float]) -> str:
    return ",".join(f"{v:.7g}" for v in values)


def digest(pictures: U8) -> str:
    """First 16 hexadecimal digits of the SHA-256 of camera bytes, by which pictures are recognized."""
    return hashlib.sha256(np.ascontiguousarray(pictures).tobytes()).hexdigest()[:16]


def digests(pictures: U8) -> tuple[str, ...]:
    """``digest`` of each picture of uint8 [N, H, W, C]."""
    return tuple(digest(p) for p in pictures)
