"""Pictures on the host: the exact way from a picture file to the camera bytes that a network takes.

1. Pillow decodes the file: to 8-bit RGB, to grey for a network of one input channel, or to RGBA for one of four.
   16-bit grey becomes value / 257, rounded. The picture is turned as its EXIF orientation says, as viewers do.
2. The picture is resized with Pillow's antialiased bilinear filter, which rounds to 8 bits after each axis. The
   target is the network's input times resize / (longer side of the input): a square of ``resize`` pixels for a
   square input. With ``squash`` the picture becomes as large as the target. With ``short-side`` it keeps its ratio
   and is made just as large that it covers the target; its other side is rounded to the nearest pixel. A picture
   that counts as resized already is left as it is: it covers the input, it does not go beyond the target on both
   sides, and with ``squash`` it has the input's ratio.
3. The centre is cropped to the input size; the crop starts at pixel (picture size - input size) // 2.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from dcgen.errors import PictureError
from dcgen.pictures import Preprocess
from dcgen.progress import Warn
from dcgen.reading import DAMAGE

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else it writes to stderr what is wrong with a file

U8 = NDArray[np.uint8]
FORMATS = ("JPEG", "PNG", "BMP", "PPM", "TIFF", "WEBP")
"""What Pillow may open. Its other formats start programs (EPS) or are no pictures that a camera makes."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
MAX_PIXELS = 2**27
"""Most pixels of a picture, as it is and resized."""
MAX_SIDE = 2**20
"""Most pixels of a side: Pillow takes 16 bytes for each row, and so 2 GB for a picture of one column."""
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode of camera bytes by their number of channels."""
DAMAGED: Final = (*DAMAGE, Image.DecompressionBombError)
UNEVEN = 2.0
"""A picture whose ratio of sides is further than this factor from the network's is warned about."""


class Oddities:
    """Counts pictures that had to be changed against expectation, to say each kind once."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, kind: str, picture: str) -> None:
        """Note a picture by name; ``kind`` completes the sentence "3 of 8 pictures ..."."""
        self._found.setdefault(kind, []).append(picture)

    def say(self, thing: Path, total: int, warn: Warn) -> None:
        """A sentence for each kind."""
        for kind, names in self._found.items():
            warn(f"{thing}: {len(names)} of {total} pictures {kind} (the first is {names[0]})")


def load(
    path: Path,
    p: Preprocess,
    size: tuple[int, int],
    odd: Oddities | None = None,
    file: IO[bytes] | None = None,
) -> U8:
    """The camera bytes of a picture file: uint8 [H, W, C], (H, W) being ``size``.

    file : its contents, where it lies in an archive; ``path`` names it then

    Raises PictureError naming the file if it cannot be read or is too large.
    """
    odd = odd or Oddities()
    with _readable(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about sizes and tags; what matters is an error here
        with Image.open(file or path, formats=FORMATS) as opened:
            check_pixels(path, opened.size, opened.size)
            if getattr(opened, "n_frames", 1) > 1:
                odd.add("have several pages, of which the first is taken", path.name)
            if opened.getexif().get(ExifTags.Base.Orientation) in range(2, 9):
                odd.add("were turned as their EXIF orientation says", path.name)
            ImageOps.exif_transpose(opened, in_place=True)
            eight_bit = _eight_bit(path, opened)
        return camera_bytes(path, eight_bit, path.name, p, size, odd)


def channels(path: Path, file: IO[bytes] | None = None) -> int:
    """Channels of the camera bytes that suit a picture file: 1 of a grey one, else 3. Raises PictureError.

    file : as in ``load``
    """
    with _readable(path), Image.open(file or path, formats=FORMATS) as opened:
        grey = opened.mode in ("1", "L", "LA", "I", "I;16", "F") or (opened.mode == "P" and _grey_palette(opened))
        return 1 if grey else 3


def camera_bytes(
    source: Path, image: Image.Image, name: str, p: Preprocess, size: tuple[int, int], odd: Oddities
) -> U8:
    """The camera bytes, uint8 [H, W, C], of a picture of 8 bits a channel; ``name`` names it in warnings."""
    image = _converted(image, name, MODES[p.channels], odd)
    (height, width), found = size, f"{name}: {image.height} x {image.width} for {size[0]} x {size[1]}"
    changed = "squashed" if p.fit == "squash" else "cropped"
    ratio = image.width * height / (image.height * width)
    if height != width and image.size == (height, width):
        odd.add(f"have height and width of the network's input exchanged, and are {changed}", found)
    elif not 1 / UNEVEN <= ratio <= UNEVEN:
        odd.add(f"have another ratio of sides than the network's input, and are {changed}", found)
    fitted = _fit(source, image, p, size)
    return crop(np.asarray(fitted).reshape(fitted.height, fitted.width, p.channels), size)


def crop(picture: U8, size: tuple[int, int]) -> U8:
    """The centre of a picture uint8 [h, w, C], which is at least ``size`` large: uint8 [H, W, C]."""
    top, left = ((a - b) // 2 for a, b in zip(picture.shape, size, strict=False))
    return np.ascontiguousarray(picture[top : top + size[0], left : left + size[1]])


def check_pixels(source: Path, found: tuple[int, int], becomes: tuple[int, int]) -> None:
    """Raise PictureError where a picture of (width, height) ``found`` ``becomes`` larger than may be."""
    if max(found) > MAX_SIDE:
        problem = f"is {found[0]:,} x {found[1]:,} pixels, expected sides of at most {MAX_SIDE:,}"
        raise PictureError(source, problem, "remove it or crop it")
    if becomes[0] * becomes[1] > MAX_PIXELS:
        resized = "" if becomes == found else f", resized {becomes[0]:,} x {becomes[1]:,}"
        problem = f"is {found[0]:,} x {found[1]:,} pixels{resized}, expected at most {MAX_PIXELS:,}"
        raise PictureError(source, problem, "remove it or crop it")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns whatever Pillow raises for a damaged file into PictureError."""
    try:
        yield
    except DAMAGED as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else str(e) or type(e).__name__
        raise PictureError(path, f"is not a picture that can be read: {reason}", "remove it or replace it") from e


def _eight_bit(path: Path, image: Image.Image) -> Image.Image:
    """The picture with 8 bits a channel."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 65535:
        problem = f"holds {values.dtype} from {values.min():g} to {values.max():g}, expected at most 16 bits"
        raise PictureError(path, problem, "save it with 8 or 16 bits, or all of them as an array of float32")
    return Image.fromarray(((np.arange(65536) + 128) // 257).astype(np.uint8)[values])


def _converted(image: Image.Image, name: str, mode: str, odd: Oddities) -> Image.Image:
    """The picture in Pillow's ``mode`` (L, RGB or RGBA)."""
    if image.mode == mode and "transparency" not in image.info:
        return image
    grey = image.mode in ("1", "L", "LA") or (image.mode == "P" and _grey_palette(image))
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if transparent:
        image = image if image.mode == "RGBA" else image.convert("RGBA")  # which would copy one of that mode
        if mode != "RGBA" and image.getchannel("A").getextrema() != (255, 255):
            odd.add("are transparent, which is left out", name)
    elif image.mode == "P":
        image = image.convert("RGB")
    if mode == "L" and not grey:
        odd.add("are in colour, and are made grey for the network", name)
    elif mode != "L" and grey:
        odd.add("are grey, and are repeated in each channel for the network", name)
    elif image.mode not in ("RGB", "RGBA", "1", "L", "LA"):
        odd.add(f"are of mode {image.mode}, and are converted to {mode}", name)
    if mode == "RGBA" and not transparent:
        odd.add("have no fourth channel, which becomes 255", name)
    return image.convert(mode)


def _grey_palette(image: Image.Image) -> bool:
    """Whether every colour of a picture's palette is grey."""
    colours = np.asarray(image.getpalette("RGB")).reshape(-1, 3)
    return bool((np.ptp(colours, axis=1) == 0).all())


def _fit(source: Path, image: Image.Image, p: Preprocess, size: tuple[int, int]) -> Image.Image:
    """The picture resized, or as it is if it needs no resizing; (H, W) ``size`` is what will be cropped."""
    (height, width), longer = size, max(size)
    target = (round(width * p.resize / longer), round(height * p.resize / longer))
    within = image.width <= target[0] or image.height <= target[1]
    even = p.fit == "short-side" or image.width * height == image.height * width
    if (image.width >= width and image.height >= height and within and even) or image.size == (width, height):
        return image
    if p.fit == "short-side":
        if target[0] * image.height >= target[1] * image.width:  # the width has to grow more
            target = (target[0], round(image.height * target[0] / image.width))
        else:
            target = (round(image.width * target[1] / image.height), target[1])
    check_pixels(source, image.size, target)
    if image.mode != "RGBA":
        return image.resize(target, Image.Resampling.BILINEAR)
    # Pillow would weigh the other channels by the fourth, as if that were the picture's opacity.
    planes = [plane.resize(target, Image.Resampling.BILINEAR) for plane in image.split()]
    return Image.merge("RGBA", planes)
