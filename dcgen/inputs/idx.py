"""Pictures and classes from IDX files, in which MNIST and the sets of its form are published."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np

from dcgen.errors import PictureError
from dcgen.inputs.arrays import MOST_BYTES
from dcgen.inputs.tensor import U8
from dcgen.reading import DAMAGE

TRAINING = "train-images-idx3-ubyte"
"""Name of the file that holds the training pictures, without ``.gz``."""
_NAME = re.compile(r"(.+)-images[-.]idx3-ubyte(\.gz)?")
_BYTES = 0x08
"""What stands in the header for elements of uint8."""


def is_idx(path: Path) -> bool:
    """Whether a path is named like a file of pictures in this form."""
    return _NAME.fullmatch(path.name) is not None


def training_file(folder: Path) -> Path | None:
    """The file of training pictures in a folder; None where it has none."""
    return next((f for f in (folder / TRAINING, folder / f"{TRAINING}.gz") if f.is_file()), None)


def read_idx(path: Path) -> dict[str, U8]:
    """The pictures x, uint8 [N, H, W], of a file ``NAME-images-idx3-ubyte``, and where ``NAME-labels-idx1-ubyte``
    is beside it, their classes y, uint8 [N]. Both may end in ``.gz``.

    Raises PictureError naming the file that is damaged or holds another number of samples than the other.
    """
    found = {"x": _array(path, 3)}
    name = path.name.removesuffix(".gz").replace("-images", "-labels").replace("idx3", "idx1")
    labels = next((f for f in (path.with_name(name), path.with_name(f"{name}.gz")) if f.is_file()), None)
    if labels is not None:
        found["y"] = _array(labels, 1)
        if len(found["y"]) != len(found["x"]):
            problem = f"holds {len(found['y']):,} labels for the {len(found['x']):,} pictures of {path.name}"
            raise PictureError(labels, problem, "get both files again")
    return found


def _array(path: Path, axes: int) -> U8:
    """The array, uint8 with ``axes`` axes, in a file: two zeros, the type of the elements, the number of axes,
    the length of each axis as big-endian uint32, then the elements."""

    def refused(reason: str) -> PictureError:
        return PictureError(path, f"is no IDX file of uint8 with {axes} axes: {reason}", "get it again")

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * axes)
            if head[:4] != bytes((0, 0, _BYTES, axes)):
                raise refused(f"it begins with {head[:4].hex()}, expected 0000{_BYTES:02x}{axes:02x}")
            if len(head) < 4 + 4 * axes:
                raise refused(f"it ends after {len(head)} bytes")
            shape = tuple(int(n) for n in np.frombuffer(head, ">u4", offset=4))
            size = int(np.prod(shape, dtype=object))
            if size > MOST_BYTES:
                raise refused(f"it has {size:,} elements, expected at most {MOST_BYTES:,}")
            data = file.read(size + 1)
    except DAMAGE as e:
        raise refused(str(e) or type(e).__name__) from None
    if len(data) != size:
        more = "more" if len(data) > size else f"{len(data):,}"
        raise refused(f"shape {shape} takes {size:,} bytes, found {more}")
    return np.frombuffer(data, np.uint8).reshape(shape)
