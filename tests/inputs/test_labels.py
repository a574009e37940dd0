"""Labels come from text, CSV and arrays."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dcgen.errors import PictureError
from dcgen.inputs.labels import as_labels, of_names, read_label_array, read_labels
from dcgen.limits import LIMITS


def test_labels_name_files(tmp_path: Path) -> None:
    f = tmp_path / "labels.txt"
    f.write_text("a.jpg 3\n# note\n\nb.jpg 0\n")
    assert read_labels(f) == {"a.jpg": 3, "b.jpg": 0}
    f.write_text("\ufeffa.jpg 3\r\n")
    assert read_labels(f) == {"a.jpg": 3}
    for text, message in (
        ("a.jpg x\n", r"labels.txt:1: expected 'file index'"),
        ("a.jpg \u00b2\n", r"labels.txt:1: expected 'file index'"),
        (f"a.jpg {10**30}\n", r"labels.txt:1: expected 'file index'"),
        ("a.jpg 1\na.jpg 2\n", r"labels.txt:2: a.jpg is of class 2 here and 1 above"),
        ("", "holds no labels"),
    ):
        f.write_text(text)
        with pytest.raises(PictureError, match=message):
            read_labels(f)


@pytest.mark.parametrize("header", ["", "file,label\n", "filename,class,remark\n", "# made by hand\n"])
def test_csv_may_have_a_header(tmp_path: Path, header: str) -> None:
    f = tmp_path / "labels.csv"
    f.write_text(f'{header}a.jpg,3\n"b, c.jpg", 0 ,x\n\n')
    assert read_labels(f) == {"a.jpg": 3, "b, c.jpg": 0}


def test_classes_may_be_named(tmp_path: Path) -> None:
    f = tmp_path / "labels.csv"
    f.write_text("file,label\na.jpg,dog\nb.jpg,0\n")
    assert read_labels(f, ["cat", "dog"]) == {"a.jpg": 1, "b.jpg": 0}
    f.write_text("a.jpg,dog\nb.jpg,cow\n")
    with pytest.raises(
        PictureError, match=r"labels.csv:2: expected 'file,label', or of class cat, dog, found 'b.jpg,c"
    ):
        read_labels(f, ["cat", "dog"])
    f.write_text("a.jpg,dog\n")
    with pytest.raises(PictureError, match=r"labels.csv:1: expected 'file,label', found 'a.jpg,dog'"):
        read_labels(f)


def test_labels_are_found_by_name(tmp_path: Path) -> None:
    assert of_names(tmp_path, {"a": 2, "b": 1}, ["b", "a"]).tolist() == [1, 2]
    with pytest.raises(PictureError, match=r"says nothing of c \(label every calibration picture\)"):
        of_names(tmp_path, {"a": 2}, ["a", "c"])


def test_labels_in_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.array([[3], [0]], np.uint8))
    assert read_label_array(tmp_path / "y.npy").tolist() == [3, 0]
    for bad, problem in (
        (np.zeros((2, 3), int), r"one integer a row, found int64 of shape \(2, 3\)"),
        (np.zeros(2), "found float64"),
        (np.array([1, -1]), "must be 0 or more, found -1"),
    ):
        with pytest.raises(PictureError, match=problem):
            as_labels(Path("y"), bad)


@pytest.mark.parametrize("name", ["labels.txt", "labels.csv", "labels.npy"])
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    read = read_label_array if name.endswith(".npy") else read_labels
    with pytest.raises(PictureError, match=f"{name}: is no regular file"):
        read(tmp_path / name)


def test_a_file_of_labels_that_would_fill_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "labels.txt").open("wb") as file:
        file.truncate(LIMITS.labels_bytes + 1)
    with pytest.raises(PictureError, match=r"labels.txt: has more than 67,108,864 bytes"):
        read_labels(tmp_path / "labels.txt")
