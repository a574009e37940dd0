"""Pictures on the host: the exact way from a picture file to the camera bytes that a network takes.

1. Pillow decodes the file to 8-bit RGB, or to grey for a network of one input channel.
2. The picture is resized with Pillow's antialiased bilinear filter, which rounds to 8 bits after each axis. With
   ``squash`` it becomes resize x resize pixels. With ``short-side`` its short side becomes ``resize`` pixels, and
   its long side is rounded to the nearest pixel. A picture that counts as resized already is left as it is: its
   short side lies between input size and ``resize``, and with ``squash`` it is a square.
3. The centre is cropped to the input size; the crop starts at pixel (picture size - input size) // 2.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgen.errors import ConfigError, PictureError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm")
MAX_SIZE = 4096
"""Most pixels that a side of a resized picture may have."""
MAX_MEAN = 1e6
"""Largest mean and deviation, and 1 / smallest deviation: folded into float32 weights, they cannot overflow."""
ORDERS = ("rgb", "bgr", "grey")
FITS = ("squash", "short-side")
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Preprocess:
    """How camera bytes become the float network's input: x = (byte - mean) / std, channel by channel.

    order : the network's channel order; the camera always delivers ``rgb``, or one ``grey`` plane
    mean, std : in units of a byte, one for each channel in the *network's* order
    fit, resize : how the host resizes a picture file (see the module's docstring); ``resize`` is in pixels
    size : input height and width in pixels, for networks that do not state another one
    """

    name: str
    order: Literal["rgb", "bgr", "grey"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: Literal["squash", "short-side"]
    resize: int
    size: int

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ConfigError("order", f"must be rgb, bgr or grey, not {self.order!r}")
        if self.fit not in FITS:
            raise ConfigError("fit", f"must be squash or short-side, not {self.fit!r}")
        for what, pixels in (("input size", self.size), ("resize", self.resize)):
            if not (isinstance(pixels, int) and 1 <= pixels <= MAX_SIZE):
                raise ConfigError(what, f"must be 1 to {MAX_SIZE} pixels, not {pixels}")
        channels = 1 if self.order == "grey" else 3
        if len(self.mean) != channels or len(self.std) != channels:
            needed, found = f"needs {channels} means and deviations", f"found {len(self.mean)} and {len(self.std)}"
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
    """Preprocessing from explicit settings, as ``Preprocess`` has them. ``resize`` None stands for ``size``."""
    return Preprocess("explicit", order, tuple(mean), tuple(std), fit, resize or size, size)  # type: ignore[arg-type]


def with_size(p: Preprocess, size: int | None) -> Preprocess:
    """``p`` for another input size, or ``p`` itself if ``size`` is None.

    ``resize`` becomes at least the new size. If it was equal to the old size, it becomes equal to the new one, so
    that still nothing is cropped.
    """
    if size is None:
        return p
    return replace(p, size=size, resize=size if p.resize == p.size else max(p.resize, size))


def load(path: Path, p: Preprocess, size: tuple[int, int]) -> U8:
    """The camera bytes of a picture file: uint8 [H, W, C], (H, W) being ``size``.

    Raises PictureError naming the file if it cannot be read.
    """
    try:
        with Image.open(path) as opened:
            image = _fit(opened.convert("L" if p.channels == 1 else "RGB"), p, size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        raise PictureError(path, f"is not a picture that can be read: {e}", "remove it or replace it") from e
    return crop(np.asarray(image).reshape(image.height, image.width, p.channels), size)


def crop(picture: U8, size: tuple[int, int]) -> U8:
    """The centre of a picture uint8 [h, w, C], which is at least ``size`` large: uint8 [H, W, C]."""
    top, left = ((a - b) // 2 for a, b in zip(picture.shape, size, strict=False))
    return np.ascontiguousarray(picture[top : top + size[0], left : left + size[1]])


def _fit(image: Image.Image, p: Preprocess, size: tuple[int, int]) -> Image.Image:
    """The picture resized, or as it is if it needs no resizing; (H, W) ``size`` is what will be cropped."""
    short, long = sorted(image.size)
    need = max(size)
    resized = need <= short <= p.resize and (p.fit == "short-side" or short == long)
    if resized or image.size == (size[1], size[0]):
        return image
    if p.fit == "squash":
        target = (p.resize, p.resize)
    else:
        target = tuple(p.resize if s == short else round(s * p.resize / short) for s in image.size)  # type: ignore[assignment]
    return image.resize(target, Image.Resampling.BILINEAR)


def files(folder: Path) -> list[Path]:
    """The picture files of a folder, sorted by name. Raises PictureError if there are none."""
    if not folder.is_dir():
        raise PictureError(folder, "is not a folder", "name a folder of pictures")
    found = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and f.is_file())
    if not found:
        raise PictureError(folder, f"holds no pictures ({', '.join(SUFFIXES)})", "name a folder of pictures")
    return found


def load_all(paths: Sequence[Path], p: Preprocess, size: tuple[int, int]) -> U8:
    """The camera bytes of many files: uint8 [N, H, W, C]."""
    return np.stack([load(f, p, size) for f in paths])


def labels(path: Path) -> dict[str, int]:
    """The class of each file name, from lines of ``file index``. Empty lines and lines with # are skipped.

    Raises PictureError where the file cannot be read, a line is of another form, or a file has two classes.
    """
    found: dict[str, int] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise PictureError(path, f"cannot be read as labels: {e}") from e
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or not re.fullmatch("[0-9]{1,9}", words[1]):
            raise PictureError(f"{path}:{number}", f"expected 'file index', found {line[:60]!r}")
        name, index = words[0], int(words[1])
        if found.setdefault(name, index) != index:
            raise PictureError(f"{path}:{number}", f"{name} is of class {index} here and {found[name]} above")
    if not found:
        raise PictureError(path, "holds no labels", "one 'file index' a line is expected")
    return found


def _listed(values: Sequence[float]) -> str:
    return ",".join(f"{v:g}" for v in values)


def digest(pictures: U8) -> str:
    """First 16 hexadecimal digits of the SHA-256 of camera bytes, by which pictures are recognized."""
    return hashlib.sha256(np.ascontiguousarray(pictures).tobytes()).hexdigest()[:16]


def digests(pictures: U8) -> tuple[str, ...]:
    """``digest`` of each picture of uint8 [N, H, W, C]."""
    return tuple(digest(p) for p in pictures)
