"""Which class each picture is of, from a text file, a CSV file, or an array."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.errors import PictureError
from dcgen.inputs.arrays import read_arrays
from dcgen.limits import LIMITS
from dcgen.reading import read_bytes

I64 = NDArray[np.int64]
_INDEX = re.compile("[0-9]{1,9}")


def read_labels(path: Path, classes: Sequence[str] = ()) -> dict[str, int]:
    """The class of each file name, from lines of ``file index``, or where the file is an .csv from ``file,label``.

    Empty lines and lines that begin with # are skipped, and so is a header of a CSV file.

    classes : names that may stand for their index, those of class folders

    Raises PictureError where the file cannot be read, a line is of another form, or a file has two classes.
    """
    found: dict[str, int] = {}
    numbers = {name: i for i, name in enumerate(classes)}
    is_csv = path.suffix.lower() == ".csv"
    for number, line, words in _csv_lines(path) if is_csv else _text_lines(path):
        where, form = f"{path}:{number}", "'file,label'" if is_csv else "'file index'"
        label = words[1].strip() if len(words) >= 2 else ""
        index = int(label) if _INDEX.fullmatch(label) else numbers.get(label)
        if index is None and is_csv and not found and len(words) >= 2 and not Path(words[0]).suffix:
            continue  # a header: it names no file
        if index is None or (len(words) != 2 and not is_csv):
            known = f", or of class {', '.join(classes[:8])}" if classes else ""
            raise PictureError(where, f"expected {form}{known}, found {line[:60]!r}")
        name = words[0].strip()
        if found.setdefault(name, index) != index:
            raise PictureError(where, f"{name} is of class {index} here and {found[name]} above")
    if not found:
        raise PictureError(path, "holds no labels", "one 'file index' a line is expected")
    return found


def read_label_array(path: Path) -> I64:
    """The class of each row of an array, from another file: int64 [N]."""
    return as_labels(path, read_arrays(path)["x"])


def as_labels(path: Path, y: NDArray[Any]) -> I64:
    """The classes int64 [N] of an array of integers [N] or [N, 1]. Raises PictureError where it holds none."""
    if y.dtype.kind not in "iub" or y.size != len(y):
        raise PictureError(path, f"its labels must be one integer a row, found {y.dtype} of shape {y.shape}")
    labels = y.reshape(-1).astype(np.int64)
    if labels.min() < 0:
        raise PictureError(path, f"its labels must be 0 or more, found {labels.min()}")
    return labels


def of_names(path: Path, known: Mapping[str, int], names: Sequence[str]) -> I64:
    """The classes, int64 [N], of the pictures of these names. Raises PictureError for a name without one."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise PictureError(path, f"says nothing of {unknown[0]}", "label every calibration picture")
    return np.array([known[name] for name in names], np.int64)


def _text_lines(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield number, line, words


def _csv_lines(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    lines = _text(path).splitlines()
    try:
        for number, words in enumerate(csv.reader(lines), 1):
            if words and any(words) and not words[0].startswith("#"):
                yield number, ",".join(words), words
    except csv.Error as e:
        raise PictureError(path, f"cannot be read as CSV: {e}") from e


def _text(path: Path) -> str:
    data = read_bytes(path, PictureError, LIMITS.labels_bytes)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise PictureError(path, f"cannot be read as labels: {e}") from e
