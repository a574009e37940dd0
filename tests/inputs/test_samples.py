"""Folders of pictures, class folders and files of arrays are read alike, and what is left out is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcgen.errors import ConfigError, PictureError
from dcgen.inputs.forms import check_classes, choose_form, own_preprocess, warn_of_training
from dcgen.inputs.samples import open_samples
from dcgen.inputs.tensor import TensorInput
from dcgen.limits import LIMITS
from dcgen.pictures import explicit, preset
from dcgen.progress import unheard

DIGITS = preset("digits")
VECTOR = TensorInput("float32", 0.5, 128.0, (6, 1, 1))
INT8 = TensorInput("int8", 0.5, 3.0, (1, 2, 3))
UINT8 = TensorInput("uint8", 0.5, 3.0, (1, 2, 3))


def picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (16, 16), value).save(path)


def array(folder: Path, x: Any, **more: Any) -> Path:
    np.savez(folder / "x.npz", x=x, **more)
    return folder / "x.npz"


def test_an_empty_or_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="holds no pictures"):
        open_samples(tmp_path, unheard)
    (tmp_path / "cat").mkdir()
    with pytest.raises(PictureError, match="holds no pictures"):
        open_samples(tmp_path, unheard)
    with pytest.raises(PictureError, match=r"none: is not there \(name a folder of pictures\)"):
        open_samples(tmp_path / "none", unheard)
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(
        PictureError, match=r"x.txt: is not a folder and no file of arrays or pictures \(.npy, .npz, .zip\)"
    ):
        open_samples(tmp_path / "x.txt", unheard)


def test_a_folder_says_what_it_leaves_out(tmp_path: Path) -> None:
    for name in ("b.png", "a.PNG"):
        picture(tmp_path / name, 1)
    for name in ("labels.txt", "labels.csv", "notes.md", "x.md", "README", ".b.png"):
        (tmp_path / name).write_text("")
    (tmp_path / "more").mkdir()
    said: list[str] = []
    assert open_samples(tmp_path, said.append).names == ("a.PNG", "b.png")
    kinds = "2 .md, 1 .png, 1 folders, 1 no suffix"
    assert said == [f"{tmp_path}: 5 entries are no pictures and are skipped ({kinds})"]


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    for name, value in (("dog/a.png", 1), ("cat/a.png", 2), ("cat/b.png", 3)):
        picture(tmp_path / name, value)
    (tmp_path / "emu").mkdir()
    (tmp_path / ".cache").mkdir()
    said: list[str] = []
    samples = open_samples(tmp_path, said.append)
    assert samples.names == ("cat/a.png", "cat/b.png", "dog/a.png")
    assert samples.classes == ("cat", "dog", "emu")
    loaded = samples.load([2, 0], DIGITS, (16, 16), unheard)
    assert loaded.data[:, 0, 0, 0].tolist() == [1, 2] and loaded.real is None
    assert samples.with_labels(None, [2, 0]).tolist() == [1, 0]  # type: ignore[union-attr]
    assert said == [
        f"{tmp_path}: 1 of 3 class folders hold no picture (the first is emu)",
        f"{tmp_path}: 1 entries are no pictures and are skipped (1 folders)",
    ]


def test_a_label_file_replaces_the_folders(tmp_path: Path) -> None:
    for name in ("cat/a.png", "dog/a.png"):
        picture(tmp_path / name, 1)
    csv = tmp_path / "labels.csv"
    csv.write_text("file,label\ndog/a.png,cat\n")
    samples = open_samples(tmp_path, unheard)
    which, found = samples.labelled(csv)
    assert (which, found.tolist()) == ([1], [0])  # type: ignore[union-attr]
    with pytest.raises(PictureError, match=r"labels.csv: says nothing of cat/a.png"):
        samples.with_labels(csv, [0])
    csv.write_text("lost.png,1\n")
    with pytest.raises(PictureError, match=r"labels.csv: names lost.png, which is not in "):
        samples.labelled(csv)


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 16, 16, 1)])
def test_arrays_of_pictures_are_pictures(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    samples = open_samples(array(tmp_path, x, y=np.array([4, 5, 6])), unheard)
    assert samples.kind(None) == "pictures" and samples.labels is not None
    assert samples.with_labels(None, [2, 1]).tolist() == [6, 5]  # type: ignore[union-attr]
    loaded = samples.load([2, 1], DIGITS, (16, 16), unheard)
    np.testing.assert_array_equal(loaded.data[..., 0], x.reshape(3, 16, 16)[[2, 1]])


def test_arrays_are_preprocessed_like_files(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, 30, 40, 3)).astype(np.uint8)
    (tmp_path / "files").mkdir()
    for i, picture in enumerate(x):
        Image.fromarray(picture).save(tmp_path / "files" / f"{i}.png")
    said: tuple[list[str], list[str]] = ([], [])
    one, two = (
        open_samples(path, unheard).load([0, 1], DIGITS, (16, 16), heard.append)
        for path, heard in zip((array(tmp_path, x), tmp_path / "files"), said, strict=True)
    )
    np.testing.assert_array_equal(one.data, two.data)
    for heard, first in zip(said, ("picture 0", "0.png"), strict=True):
        ((_, text),) = [line.split(": 2 of ") for line in heard]
        assert text == f"2 pictures are in colour, and are made grey for the network (the first is {first})"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1, 1), (4, 1, 6)])
def test_real_values_keep_their_value_beside_their_bytes(tmp_path: Path, shape: Any, dtype: Any) -> None:
    x = np.arange(24).reshape(shape).astype(dtype) / 4
    samples = open_samples(array(tmp_path, x), unheard)
    assert samples.kind(None) == "float32"
    loaded = samples.load([3, 0], VECTOR, (1, 1), unheard)
    np.testing.assert_array_equal(loaded.real, x.reshape(4, 6, 1, 1)[[3, 0]])  # type: ignore[arg-type]
    assert loaded.data[1].ravel().tolist() == [128, 129, 129, 130, 130, 131]


def test_integers_go_to_a_network_of_integers(tmp_path: Path) -> None:
    x = np.arange(-6, 6).reshape(2, 6).astype(np.int8)
    samples = open_samples(array(tmp_path, x), unheard)
    assert samples.kind(INT8) == "int8"
    loaded = samples.load([1], INT8, (2, 3), unheard)
    assert loaded.data.ravel().tolist() == [128, 129, 130, 131, 132, 133] and loaded.real is None
    with pytest.raises(
        PictureError, match=r"x is int8, the network takes float32 values \(give float32, which is"
    ):
        samples.load([1], VECTOR, (1, 1), unheard)


def test_uint8_is_what_the_network_says(tmp_path: Path) -> None:
    """An array of bytes is pictures where it can be, and values where the network's own input has that shape."""
    for shape, own, kind in (
        ((2, 1, 2, 3), UINT8, "uint8"),
        ((2, 6), UINT8, "uint8"),
        ((2, 2, 3, 1), UINT8, "pictures"),
        ((2, 2, 3), None, "pictures"),
        ((2, 3, 8, 8), None, "uint8"),
    ):
        assert open_samples(array(tmp_path, np.zeros(shape, np.uint8)), unheard).kind(own) == kind, shape


def test_axes_in_another_order_are_warned_about(tmp_path: Path) -> None:
    form = TensorInput("float32", 1.0, 0.0, (3, 4, 5))
    shapes = ((2, 3, 4, 5), 0), ((2, 60), 0), ((2, 1, 3, 4, 5), 0), ((2, 4, 5, 3), 0), ((2, 5, 4, 3), 1)
    for shape, warned in shapes:
        said: list[str] = []
        open_samples(array(tmp_path, np.zeros(shape, np.float32)), unheard).load([0], form, (4, 5), said.append)
        assert len(said) == warned
    assert said[0].endswith(
        "rows of shape [5, 4, 3] are read as 3 x 4 x 5 (channels, height, width) without reordering"
    )


def test_channels_may_be_last(tmp_path: Path) -> None:
    form = TensorInput("float32", 1.0, 0.0, (3, 4, 5))
    x = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)
    path = array(tmp_path, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    real = open_samples(path, unheard).load([0, 1], form, (4, 5), unheard).real
    assert real is not None and np.array_equal(real, x)


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (np.zeros((2, 5), np.float32), r"a row of x has shape \[5\], the network takes 6 values \(6 x 1 x 1\)"),
        (np.full((2, 6), np.nan), "x holds NaN, infinite values, or some beyond float32"),
        (np.full((2, 6), 1e39), "x holds NaN, infinite values, or some beyond float32"),
        (
            np.zeros((2, 6), np.int64),
            r"x is int64, expected uint8 pictures, float32 values or int8 \(convert it\)",
        ),
        (np.zeros(6, np.float32), r"x holds samples as rows, expected shape \[N, ...\], found \[6\]"),
        (np.zeros((0, 6), np.float32), r"x holds samples as rows, .*found \[0, 6\]"),
    ],
)
def test_arrays_that_do_not_suit(tmp_path: Path, x: Any, problem: str) -> None:
    with pytest.raises(PictureError, match=f"x.npz: {problem}"):
        open_samples(array(tmp_path, x), unheard).load([0], VECTOR, (1, 1), unheard)


def test_labels_beside_an_array(tmp_path: Path) -> None:
    x, said = np.zeros((3, 6), np.float32), []
    with pytest.raises(PictureError, match=r"x has 3 rows, y is of shape \[2\]"):
        open_samples(array(tmp_path, x, y=[1, 2]), unheard)
    samples = open_samples(array(tmp_path, x, y=np.zeros((3, 2))), said.append)
    assert samples.labels is None
    assert said == [f"{samples.path}: y holds no classes but float64 of shape [3, 2], and is not used"]
    np.save(tmp_path / "y.npy", [3, 2, 1])
    assert samples.with_labels(tmp_path / "y.npy", [1]).tolist() == [2]  # type: ignore[union-attr]
    np.save(tmp_path / "y.npy", [3, 2])
    with pytest.raises(PictureError, match=r"y.npy: holds 2 labels for 3 samples"):
        samples.labelled(tmp_path / "y.npy")


def test_classes_that_a_network_does_not_have(tmp_path: Path) -> None:
    found = np.array([0, 4])
    assert check_classes(tmp_path, found, 5, asked=True) is found
    assert check_classes(tmp_path, found, 1, asked=False) is None
    for scores, asked in ((4, False), (1, True)):
        with pytest.raises(PictureError, match=f"names class 4, the network has {scores}"):
            check_classes(tmp_path, found, scores, asked=asked)


@pytest.mark.parametrize(
    ("path", "warned"),
    [
        ("data/train", "train"),
        ("cifar10_train_jpeg90/cat", "train"),
        ("Training.npz", "Training"),
        ("trains/val", None),
        ("constraints.npz", None),
    ],
)
def test_a_path_that_names_a_training_set_is_warned_about(path: str, warned: str | None) -> None:
    said: list[str] = []
    warn_of_training(Path(path), said.append)
    end = f"by its name ({warned}) a training set, on which accuracy may be better than elsewhere"
    assert said == ([f"{path}: {end}"] if warned else [])


def test_the_form_follows_from_samples_and_network() -> None:
    path, chosen = Path("x"), explicit("grey", (1.0,), (2.0,), "squash", None, 8)
    assert choose_form(path, "pictures", chosen, DIGITS, INT8) is chosen
    assert choose_form(path, "pictures", None, DIGITS, None) is DIGITS
    assert choose_form(path, "pictures", None, None, None) is None
    assert choose_form(path, "float32", None, DIGITS, None) is None
    assert choose_form(path, "float32", None, None, INT8) is INT8
    assert choose_form(path, "int8", None, None, INT8) is INT8
    own = choose_form(path, "pictures", None, None, INT8)
    assert own == own_preprocess(INT8)
    assert (own.order, own.mean, own.std) == ("grey", (131.0,), (2.0,))  # type: ignore[union-attr]
    with pytest.raises(
        ConfigError, match=r"x: holds float32 values, which go to the network as .* \(leave out `prep"
    ):
        choose_form(path, "float32", chosen, None, None)
    for kind, network, takes in (("int8", None, "float values"), ("uint8", INT8, "int8 values")):
        with pytest.raises(PictureError, match=f"x: x is {kind}, the network takes {takes}"):
            choose_form(path, kind, None, None, network)  # type: ignore[arg-type]


def test_the_form_that_a_training_has_fixed_is_kept(tmp_path: Path) -> None:
    assert choose_form(tmp_path, "float32", VECTOR, None, None) is VECTOR
    with pytest.raises(PictureError, match=r"holds pictures, the network takes float32 values"):
        choose_form(tmp_path, "pictures", VECTOR, None, None)


def test_pictures_are_no_values(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    with pytest.raises(
        PictureError, match=r"holds pictures, the network takes int8 values \(give an .npy or .npz"
    ):
        open_samples(tmp_path, unheard).load([0], INT8, (2, 3), unheard)
    x = array(tmp_path, np.zeros((2, 6), np.float32))
    with pytest.raises(PictureError, match=r"x is float32 of shape \[2, 6\], the network takes pictures"):
        open_samples(x, unheard).load([0], DIGITS, (16, 16), unheard)


def test_more_rows_than_names_fit_the_memory(tmp_path: Path) -> None:
    """Two megabytes of bytes pack to a few kilobytes; each row would become a name of a hundred bytes."""
    path = array(tmp_path, np.zeros((LIMITS.rows + 1, 1), np.int8))
    with pytest.raises(PictureError, match=r"x has 2,097,153 rows, expected at most 2,097,152"):
        open_samples(path, unheard)


def test_values_beyond_the_calibrated_range_are_clipped_without_a_warning() -> None:
    form = TensorInput("float32", 0.01, 128.0, (2, 1, 1))
    values = np.array([[3.4e38, -3.4e38]], np.float32).reshape(1, 2, 1, 1)
    assert form.bytes_of(values).reshape(-1).tolist() == [255, 0]
