"""What a user gives to calibrate and to evaluate: a folder of pictures, of class folders, or a file of arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgen.errors import PictureError
from dcgen.inputs import idx, picture_files, picture_zip
from dcgen.inputs import labels as label_files
from dcgen.inputs.arrays import SUFFIXES as ARRAY_SUFFIXES
from dcgen.inputs.arrays import read_arrays
from dcgen.inputs.entries import Entry, entries_of, opened, pictures_among
from dcgen.inputs.picture_files import MODES, Oddities
from dcgen.inputs.tensor import F32, U8, TensorInput
from dcgen.limits import LIMITS
from dcgen.pictures import Preprocess
from dcgen.progress import Warn

InputForm = Preprocess | TensorInput
"""How users' pictures or values become the bytes that a network takes."""
Kind = Literal["pictures", "float32", "int8", "uint8"]
"""What samples are: pictures, or values of a type."""
LABEL_FILES = ("labels.txt", "labels.csv")
"""Files of a folder that are expected among its pictures."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Samples as a network takes them.

    data : bytes, uint8 [N, H, W, C]
    real : the values that were given, float32 [N, C, H, W], where these are real; else the bytes say it exactly
    """

    data: U8
    real: F32 | None = None


class Samples(ABC):
    """Samples in files.

    path : what the user named
    names : of each sample, by which a label file names it
    labels : int64 [N], the class of each sample; None where neither folders nor an array y say it
    classes : names of the class folders, which are numbered in this order; empty where there are none
    """

    path: Path
    names: tuple[str, ...]
    labels: label_files.I64 | None = None
    classes: tuple[str, ...] = ()

    @abstractmethod
    def kind(self, own: TensorInput | None) -> Kind:
        """Whether the network takes the samples as pictures, as real values, or as the bytes of its input.

        own : the network's input where that is of integers, None where it is of floats
        """

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of the first sample: 1, 3 or 4 of a picture."""

    @abstractmethod
    def load(self, which: Sequence[int], form: InputForm, size: tuple[int, int], warn: Warn) -> Inputs:
        """The samples of these indices for an input of (height, width) ``size``.

        Raises PictureError where one of them cannot be read or is of another form.
        """

    def with_labels(self, path: Path | None, which: Sequence[int]) -> label_files.I64 | None:
        """The classes, int64 [N], of the samples of these indices: those in the file ``path``, else their own.

        Raises PictureError where the file says nothing of one of them.
        """
        if path is None:
            return None if self.labels is None else self.labels[list(which)]
        if path.suffix.lower() in ARRAY_SUFFIXES:
            found = label_files.read_label_array(path)
            if len(found) != len(self.names):
                raise PictureError(path, f"holds {len(found)} labels for {len(self.names)} samples")
            return found[list(which)]
        known = label_files.read_labels(path, self.classes)
        return label_files.of_names(path, known, [self.names[i] for i in which])

    def labelled(self, path: Path | None) -> tuple[list[int], label_files.I64 | None]:
        """Indices of the samples that the label file ``path`` names, in its order, and their classes.

        Without a file these are all samples, with the classes that they have themselves, if they have any.
        """
        every = list(range(len(self.names)))
        if path is None or path.suffix.lower() in ARRAY_SUFFIXES:
            return every, self.with_labels(path, every)
        known = label_files.read_labels(path, self.classes)
        places = {name: i for i, name in enumerate(self.names)}
        lost = [name for name in known if name not in places]
        if lost:
            raise PictureError(path, f"names {lost[0]}, which is not in {self.path}")
        return [places[name] for name in known], np.array(list(known.values()), np.int64)


def open_samples(path: Path, warn: Warn, training: bool = False) -> Samples:
    """The samples in a folder, in a zip archive of one, or in a file of arrays. Raises PictureError where it holds
    none.

    training : take the training part of a file or a folder that has one; see ``read_arrays`` and ``idx``
    """
    if path.is_file():
        if path.suffix.lower() in ARRAY_SUFFIXES:
            return ArrayFile(path, read_arrays(path, training), warn)
        if path.suffix.lower() == picture_zip.SUFFIX:
            return PictureFolder(path, picture_zip.open_zip(path), warn)
        if idx.is_idx(path):
            return ArrayFile(path, idx.read_idx(path), warn)
    if not path.is_dir():
        forms = ", ".join((*ARRAY_SUFFIXES, picture_zip.SUFFIX))
        what = f"is not a folder and no file of arrays or pictures ({forms})"
        raise PictureError(path, what if path.exists() else "is not there", "name a folder of pictures")
    if (found := idx.training_file(path)) is not None:
        if not training:
            raise PictureError(path, "holds IDX files of several sets", f"name one of them, such as {found}")
        return ArrayFile(found, idx.read_idx(found), warn)
    return PictureFolder(path, path, warn)


class PictureFolder(Samples):
    """The picture files of a folder; or where it holds none itself, those of its folders, one for each class.

    path : what the user named
    root : the folder, on disk or in an archive
    """

    def __init__(self, path: Path, root: Entry, warn: Warn) -> None:
        self.path = path
        files, skipped = pictures_among(entries_of(root))
        within = [""] * len(files)
        if not files:
            folders = [f for f in skipped if f.is_dir() and not f.name.startswith(".")]
            skipped = [f for f in skipped if not f.is_dir() or f.name.startswith(".")]
            held = [pictures_among(entries_of(folder)) for folder in folders]
            files = [f for pictures, _ in held for f in pictures]
            skipped += [f for _, others in held for f in others]
            self.classes = tuple(folder.name for folder in folders)
            self.labels = np.array([i for i, (pictures, _) in enumerate(held) for _ in pictures], np.int64)
            within = [f"{self.classes[i]}/" for i in self.labels]
            if files and (
                empty := [f.name for f, (pictures, _) in zip(folders, held, strict=True) if not pictures]
            ):
                share = f"{len(empty)} of {len(folders)}"
                warn(f"{path}: {share} class folders hold no picture (the first is {empty[0]})")
        if not files:
            raise PictureError(
                path, f"holds no pictures ({', '.join(picture_files.SUFFIXES)})", "name a folder of pictures"
            )
        skipped = [f for f in skipped if f.name not in LABEL_FILES]
        if skipped:
            kinds = Counter("folders" if f.is_dir() else f.suffix.lower() or "no suffix" for f in skipped)
            said = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            warn(f"{path}: {len(skipped)} entries are no pictures and are skipped ({said})")
        self._files = files
        self.names = tuple(f"{folder}{f.name}" for folder, f in zip(within, files, strict=True))

    def kind(self, own: TensorInput | None) -> Kind:
        return "pictures"

    @property
    def channels(self) -> int:
        return picture_files.channels(*opened(self._files[0]))

    def load(self, which: Sequence[int], form: InputForm, size: tuple[int, int], warn: Warn) -> Inputs:
        if not isinstance(form, Preprocess):
            problem = f"holds pictures, the network takes {form.name}"
            raise PictureError(self.path, problem, "give an .npy or .npz file")
        odd = Oddities()
        loaded = np.empty((len(which), *size, form.channels), np.uint8)
        for row, i in zip(loaded, which, strict=True):
            path, file = opened(self._files[i])
            row[:] = picture_files.load(path, form, size, odd, file)
        odd.say(self.path, len(loaded), warn)
        return Inputs(loaded)


class ArrayFile(Samples):
    """The rows of an array x of a file, with their classes from an array y where the file has one."""

    def __init__(self, path: Path, arrays: Mapping[str, NDArray[Any]], warn: Warn) -> None:
        self.path = path
        x = arrays["x"]
        if x.ndim < 2 or x.size == 0:
            raise PictureError(path, f"x holds samples as rows, expected shape [N, ...], found {list(x.shape)}")
        if not (x.dtype.kind == "f" or x.dtype in (np.uint8, np.int8)):
            problem = f"x is {x.dtype}, expected uint8 pictures, float32 values or int8"
            raise PictureError(path, problem, "convert it")
        if len(x) > LIMITS.rows:
            raise PictureError(path, f"x has {len(x):,} rows, expected at most {LIMITS.rows:,}")
        self._x = x
        self.names = tuple(f"{path.name}[{i}]" for i in range(len(x)))
        if (y := arrays.get("y")) is not None:
            if y.ndim == 0 or len(y) != len(x):
                raise PictureError(path, f"x has {len(x)} rows, y is of shape {list(y.shape)}")
            if y.dtype.kind in "iub" and y.size == len(y):
                self.labels = label_files.as_labels(path, y)
            else:
                warn(f"{path}: y holds no classes but {y.dtype} of shape {list(y.shape)}, and is not used")

    def kind(self, own: TensorInput | None) -> Kind:
        if self._x.dtype.kind == "f":
            return "float32"
        if self._x.dtype == np.int8:
            return "int8"
        as_stated = own is not None and self._x.shape[1:] == own.shape
        return "uint8" if as_stated or not self._holds_pictures() else "pictures"

    @property
    def channels(self) -> int:
        return int(self._x.shape[3]) if self._x.ndim == 4 else 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a sample, whose row is [H, W, C], [H, W] or [C]. Raises PictureError for more axes."""
        match self._x.shape[1:]:
            case (high, wide, channels):
                return channels, high, wide
            case (high, wide):
                return 1, high, wide
            case (channels,):
                return channels, 1, 1
            case row:
                problem = f"a row of x has shape {list(row)}, expected [H, W, C], [H, W] or [C]"
                raise PictureError(self.path, problem)

    def load(self, which: Sequence[int], form: InputForm, size: tuple[int, int], warn: Warn) -> Inputs:
        x = self._x[list(which)]
        if isinstance(form, Preprocess):
            return Inputs(self._pictures(x, form, size, warn))
        if x.dtype.kind != "f" and x.dtype != form.given:
            problem = f"x is {x.dtype}, the network takes {form.given} values"
            raise PictureError(self.path, problem, "give float32, which is converted")
        values = as_planes(self.path, x, form.shape, warn)
        real = values.astype(np.float32) if x.dtype.kind == "f" and form.given == "float32" else None
        return Inputs(form.bytes_of(values), real)

    def values(self, which: Sequence[int], shape: tuple[int, int, int], warn: Warn) -> F32:
        """The rows as real values float32 [N, C, H, W]."""
        return as_planes(self.path, self._x[list(which)], shape, warn).astype(np.float32)

    def _holds_pictures(self) -> bool:
        x = self._x
        return x.dtype == np.uint8 and (x.ndim == 3 or (x.ndim == 4 and x.shape[3] in MODES))

    def _pictures(self, x: NDArray[Any], p: Preprocess, size: tuple[int, int], warn: Warn) -> U8:
        if not self._holds_pictures():
            problem = f"x is {x.dtype} of shape {list(self._x.shape)}, the network takes pictures"
            raise PictureError(self.path, problem, "expected uint8 [N, H, W] or [N, H, W, 1, 3 or 4]")
        odd = Oddities()
        x = x.reshape(*x.shape[:3], -1)
        mode = MODES[x.shape[3]]
        picture_files.check_pixels(self.path, x.shape[2:0:-1], x.shape[2:0:-1])
        made = [
            picture_files.camera_bytes(
                self.path, Image.fromarray(row[..., 0] if mode == "L" else row), f"picture {i}", p, size, odd
            )
            for i, row in enumerate(x)
        ]
        odd.say(self.path, len(made), warn)
        return np.stack(made)


def as_planes(path: Path, x: NDArray[Any], shape: tuple[int, int, int], warn: Warn) -> NDArray[Any]:
    """Rows [N, ...] in C order as [N, C, H, W], (C, H, W) being ``shape``. Rows [N, H, W, C] are transposed.

    Raises PictureError where a row has another number of elements, or one that is not finite. Warns where its
    axes are not those of ``shape``, axes of length 1 left out.
    """
    row, elements = x.shape[1:], int(np.prod(shape))
    if int(np.prod(row)) != elements:
        expected = " x ".join(map(str, shape))
        problem = f"a row of x has shape {list(row)}, the network takes {elements} values ({expected})"
        raise PictureError(path, problem)
    if not np.isfinite(x).all() or np.abs(x, dtype=np.float64).max() > np.finfo(np.float32).max:
        raise PictureError(path, "x holds NaN, infinite values, or some beyond float32")
    c, h, w = shape
    if row == (h, w, c) != shape:
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    if len(row) > 1 and [n for n in row if n > 1] != [n for n in shape if n > 1]:
        order = " x ".join(map(str, shape))
        warn(f"{path}: rows of shape {list(row)} are read as {order} (channels, height, width) without reordering")
    return x.reshape(len(x), *shape)
