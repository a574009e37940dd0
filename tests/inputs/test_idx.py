"""IDX files are read as they were published, and the test part is not opened for training."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from dcgen.errors import PictureError
from dcgen.inputs.samples import open_samples
from dcgen.pictures import explicit
from dcgen.progress import unheard

GREY = explicit("grey", [0.0], [1.0], "squash", None, 4)


def idx(path: Path, array: np.ndarray) -> Path:
    data = struct.pack(f">2xBB{array.ndim}I", 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def pair(folder: Path, name: str, x: np.ndarray, y: np.ndarray, end: str = "") -> Path:
    idx(folder / f"{name}-labels-idx1-ubyte{end}", y)
    return idx(folder / f"{name}-images-idx3-ubyte{end}", x)


X = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4)
Y = np.array([2, 0, 1], np.uint8)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_pictures_and_classes(tmp_path: Path, end: str) -> None:
    path = pair(tmp_path, "t10k", X, Y, end)
    samples = open_samples(path, unheard)
    assert samples.kind(None) == "pictures" and samples.channels == 1
    assert samples.labels is not None and samples.labels.tolist() == [2, 0, 1]
    assert np.array_equal(samples.load([0, 1, 2], GREY, (4, 4), unheard).data[..., 0], X)


def test_training_takes_the_training_part_and_opens_no_other(tmp_path: Path) -> None:
    path = pair(tmp_path, "train", X, Y)
    (tmp_path / "t10k-images-idx3-ubyte").write_text("this is not IDX")
    assert open_samples(tmp_path, unheard, training=True).path == path
    with pytest.raises(PictureError, match=r"holds IDX files of several sets \(name one of them, such as .*train"):
        open_samples(tmp_path, unheard)


def test_pictures_without_a_file_of_classes(tmp_path: Path) -> None:
    assert open_samples(idx(tmp_path / "my-images-idx3-ubyte", X), unheard).labels is None


def test_damage_is_named(tmp_path: Path) -> None:
    path = pair(tmp_path, "train", X, Y[:2])
    with pytest.raises(PictureError, match=r"train-labels-idx1-ubyte: holds 2 labels for the 3 pictures of train"):
        open_samples(path, unheard)
    whole = path.read_bytes()
    for data, problem in (
        (whole[:-1], r"shape \(3, 4, 4\) takes 48 bytes, found 47"),
        (whole + b"x", r"shape \(3, 4, 4\) takes 48 bytes, found more"),
        (whole[:10], "it ends after 10 bytes"),
        (b"\x00\x00\x0d\x03" + whole[4:], "it begins with 00000d03, expected 00000803"),
        (whole[:4] + b"\xff" * 12 + whole[16:], r"it has [0-9,]+ elements, expected at most 4,294,967,296"),
    ):
        path.write_bytes(data)
        with pytest.raises(PictureError, match=f"train-images-idx3-ubyte: is no IDX file of uint8 .*{problem}"):
            open_samples(path, unheard)
    packed = tmp_path / "x-images-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(whole)[:-9])
    with pytest.raises(PictureError, match=r"x-images-idx3-ubyte.gz: is no IDX file .*end-of-stream marker"):
        open_samples(packed, unheard)
