"""Arrays from ``.npy`` and ``.npz`` files of strangers: every length is checked, and nothing in them is run."""

from __future__ import annotations

import lzma
import math
import zipfile
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dcgen.errors import PictureError
from dcgen.reading import DAMAGE, NPY_HEADERS

SUFFIXES = (".npy", ".npz")
MOST_RATIO = 200
"""A file whose arrays are beyond ``FREE_BYTES`` and more than this many times its size is refused."""
FREE_BYTES = 2**28
MOST_BYTES = 2**32
"""Most bytes of a file's arrays: all are read into memory. ImageNet's 50,000 validation pictures at 160 x 160 take
as much."""
DAMAGED: Final = (*DAMAGE, lzma.LZMAError)


def read_arrays(path: Path, training: bool = False) -> dict[str, NDArray[Any]]:
    """The arrays x and, where the file has one, y: an .npy file is x alone.

    training : read ``x_train`` and ``y_train`` in their place where the file has these; no other array is opened

    Raises PictureError naming the file where it is damaged, holds objects, or has no array x.
    """
    if not path.is_file():
        raise PictureError(path, "is no regular file" if path.exists() else "is not there")
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                size = path.stat().st_size
                _check_size(path, size)
                return {"x": _array(path, "x", file, size)}
        with zipfile.ZipFile(path) as archive:
            members = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
            part = "_train" if training and "x_train" in members else ""
            if f"x{part}" not in members:
                found = ", ".join(sorted(members)[:8]) or "nothing"
                named = "x_train or x" if training else "x"
                raise PictureError(
                    path, f"expected an array named {named}, found {found}", "np.savez(file, x=...)"
                )
            wanted = {name: members[f"{name}{part}"] for name in ("x", "y") if f"{name}{part}" in members}
            size = sum(i.file_size for i in wanted.values())
            _check_size(path, size)
            if size > max(FREE_BYTES, MOST_RATIO * path.stat().st_size):
                raise PictureError(path, f"would unpack to {size:,} bytes", "save it with np.savez, uncompressed")
            arrays: dict[str, NDArray[Any]] = {}
            for name, info in wanted.items():
                with archive.open(info) as member:
                    arrays[name] = _array(path, name, member, info.file_size)
            return arrays
    except DAMAGED as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else str(e) or type(e).__name__
        raise PictureError(path, f"is not a file of arrays that can be read: {reason}") from e


def _check_size(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        problem = f"has arrays of {size:,} bytes, expected at most {MOST_BYTES:,}"
        raise PictureError(path, problem, "save the samples that are needed")


def _array(path: Path, name: str, file: IO[bytes], size: int) -> NDArray[Any]:
    """The array in a file of ``size`` bytes, read only where its header agrees with that size."""
    version = npy.read_magic(file)
    if version not in NPY_HEADERS:
        raise PictureError(
            path, f"array {name} is of format {version}, expected {' or '.join(map(str, NPY_HEADERS))}"
        )
    shape, fortran, dtype = NPY_HEADERS[version](file)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise PictureError(path, f"array {name} holds {dtype}, expected numbers")
    needed, found = math.prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=1) < 0 or needed != found:
        raise PictureError(path, f"array {name} of shape {shape} takes {needed:,} bytes, found {found:,}")
    data = file.read(needed)
    if len(data) != needed:
        raise PictureError(path, f"array {name} ends after {len(data):,} of {needed:,} bytes")
    return (np.frombuffer(data, dtype) if data else np.empty(0, dtype)).reshape(
        shape, order="F" if fortran else "C"
    )
