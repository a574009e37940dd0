"""Reads files that may be damaged or hostile: plain files, JSON, TOML, archives, NumPy arrays.

Each function takes the class of the error to raise, and raises no other exception. What is read is bounded by
``LIMITS`` before it is read. Only regular files are opened, as a pipe or a device may never end.
"""

from __future__ import annotations

import io
import json
import math
import struct
import tokenize
import tomllib
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.errors import DcgenError
from dcgen.limits import LIMITS

Error = Callable[..., DcgenError]
"""A class of ``dcgen.errors``, to be called with a thing and a problem."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How members of an archive may be compressed."""
NPY_HEADERS: dict[tuple[int, int], Callable[..., tuple[Any, ...]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""By version of the .npy format, what reads the header behind the version: shape, Fortran order or not, dtype."""


def read_bytes(path: Path, error: Error, most: int | None = None) -> bytes:
    """The contents of a regular file of at most ``most`` bytes, by default ``LIMITS.file_bytes``."""
    most = LIMITS.file_bytes if most is None else most
    try:
        if not path.exists():
            raise error(path, "no such file")
        if not path.is_file():
            raise error(path, "is no regular file")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as e:
        raise error(path, f"cannot be read: {e.strerror or e}") from None
    except ValueError as e:  # a NUL in the name
        raise error(path, f"is no file's name: {e}") from None
    if len(data) > most:
        raise error(path, f"has more than {most:,} bytes, which is the most that is read")
    return data


def parse_json(data: bytes, thing: object, error: Error) -> Any:
    """The value of JSON text in UTF-8. Its numbers are finite: JSON has no form for others."""
    with damage(thing, error, "is not JSON"):
        return json.loads(data.decode("utf-8"), parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    """The number. Raises ValueError where it is not finite."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"holds the number {text[:40]}")
    return number


def read_json(path: Path, error: Error) -> Any:
    """The value in a JSON file."""
    return parse_json(read_bytes(path, error, LIMITS.text_bytes), path, error)


def read_toml(path: Path, error: Error) -> dict[str, Any]:
    """The tables in a TOML file."""
    data = read_bytes(path, error, LIMITS.text_bytes)
    with damage(path, error, "is not TOML"):
        return tomllib.loads(data.decode("utf-8").replace("\r\n", "\n"))


def read_archive(path: Path, error: Error, problem: str, hint: str = "") -> dict[str, bytes]:
    """The files in a zip archive by name. Together they have at most ``LIMITS.file_bytes``.

    problem, hint : what is wrong, and what to do, if this is no such archive

    Refused are archives that are encrypted, name a file twice, or use another compression than NumPy and PyTorch.
    """
    data = read_bytes(path, error)

    def refused(reason: str) -> DcgenError:
        return error(path, f"{problem}: {reason}", hint)

    with damage(path, error, problem, hint):
        end = zipfile._EndRecData(io.BytesIO(data))  # type: ignore[attr-defined]
        if end and end[zipfile._ECD_SIZE] > LIMITS.directory_bytes:  # type: ignore[attr-defined]
            raise refused(f"its directory has more than {LIMITS.directory_bytes:,} bytes")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            unpacked = sum(e.file_size for e in entries)
            if unpacked > LIMITS.file_bytes:
                raise refused(f"it unpacks to {unpacked:,} bytes, expected at most {LIMITS.file_bytes:,}")
            files: dict[str, bytes] = {}
            for entry in entries:
                if entry.filename in files:
                    raise refused(f"{entry.filename} is there twice")
                if entry.flag_bits & 1:
                    raise refused(f"{entry.filename} is encrypted")
                if entry.compress_type not in METHODS:
                    raise refused(f"{entry.filename} is compressed by method {entry.compress_type}")
                files[entry.filename] = archive.read(entry)
            return files


def read_npz(
    path: Path, error: Error, problem: str = "is not a readable .npz archive", hint: str = ""
) -> dict[str, np.ndarray]:
    """The arrays in an .npz archive by name; ``problem`` and ``hint`` as in ``read_archive``."""
    return {
        name.removesuffix(".npy"): parse_npy(data, path, error, f"{problem}: {name}", hint)
        for name, data in read_archive(path, error, problem, hint).items()
    }


def parse_npy(data: bytes, thing: object, error: Error, problem: str, hint: str = "") -> np.ndarray:
    """The array in the contents of an .npy file, which must be of plain numbers or text.

    problem, hint : what is wrong with ``thing``, and what to do, if this is no such array
    """
    with damage(thing, error, problem, hint), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of headers that Python 2 has written
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        if version not in NPY_HEADERS:
            raise ValueError(f"holds an array of version {version[0]}.{version[1]}, expected 1.0 or 2.0")
        shape, fortran, dtype = NPY_HEADERS[version](file)
        if dtype.hasobject or dtype.kind not in "biufcSU":
            raise ValueError(f"holds {dtype}, expected numbers")
        body = memoryview(data)[file.tell() :]
        count = math.prod(shape)
        if min(shape, default=0) < 0 or count * dtype.itemsize != len(body):
            raise ValueError(f"holds {len(body):,} bytes of data, which {dtype} of shape {shape} does not have")
        flat = np.frombuffer(body, dtype, count) if count and dtype.itemsize else np.empty(count, dtype)
        array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        return np.asarray(array, dtype.newbyteorder("="))


DAMAGE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What Python and NumPy raise for damaged text, archives and arrays."""


@contextmanager
def damage(thing: object, error: Error, problem: str, hint: str = "") -> Iterator[None]:
    """Turns whatever the block raises because ``thing`` is damaged into ``error``."""
    try:
        yield
    except RecursionError:
        raise error(thing, f"{problem}: it is nested too deeply", hint) from None
    except DAMAGE as e:
        raise error(thing, f"{problem}: {str(e) or type(e).__name__}", hint) from None
