"""A zip archive of pictures is read like the folder it was made of; one that is damaged or hostile is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgen.errors import PictureError
from dcgen.inputs import picture_zip
from dcgen.inputs.samples import open_samples
from dcgen.pictures import preset
from dcgen.progress import unheard

DIGITS = preset("digits")


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (16, 16), value).save(buffer, "PNG")
    return buffer.getvalue()


def archive(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("top", ["", "set/"])
def test_class_folders_are_read_wherever_they_lie(tmp_path: Path, top: str, method: int) -> None:
    files = {f"{top}dog/a.png": png(1), f"{top}cat/b.png": png(3), f"{top}cat/a.png": png(2)}
    path = archive(tmp_path / "x.zip", {**files, "__MACOSX/cat/._a.png": b"", f"{top}labels.txt": b""}, method)
    samples = open_samples(path, unheard)
    assert samples.classes == ("cat", "dog")
    assert samples.names == ("cat/a.png", "cat/b.png", "dog/a.png")
    assert samples.channels == 1
    loaded = samples.load([2, 0], DIGITS, (16, 16), unheard).data
    assert loaded[:, 0, 0, 0].tolist() == [1, 2]


def test_it_gives_the_samples_of_the_folder(tmp_path: Path) -> None:
    files = {"dog/a.png": png(1), "cat/b.png": png(3), "emu/a.png": png(2)}
    for name, data in files.items():
        (tmp_path / "x" / name).parent.mkdir(parents=True)
        (tmp_path / "x" / name).write_bytes(data)
    packed = open_samples(archive(tmp_path / "x.zip", files), unheard)
    plain = open_samples(tmp_path / "x", unheard)
    assert (packed.names, packed.classes) == (plain.names, plain.classes)
    both = (s.load([0, 1, 2], DIGITS, (16, 16), unheard).data for s in (packed, plain))
    assert np.array_equal(*both)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "holds no pictures"),
        ({"notes.txt": b""}, "holds no pictures"),
        ({"../a.png": b""}, "its entry '../a.png' is no path within the archive"),
        ({"/a.png": b""}, "its entry '/a.png' is no path within the archive"),
        ({"a.png": b"", "a.png/b.png": b""}, "its entry 'a.png/b.png' lies below a file"),
    ],
)
def test_what_is_in_it_is_checked(tmp_path: Path, files: dict[str, bytes], problem: str) -> None:
    with pytest.raises(PictureError, match=problem):
        open_samples(archive(tmp_path / "x.zip", files), unheard)


def test_other_compressions_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", {"a.png": png(1)}, zipfile.ZIP_BZIP2)
    with pytest.raises(PictureError, match="compressed by method 12, expected stored or deflate"):
        open_samples(path, unheard)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_may_not_be_there_twice(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        made.writestr("a.png", png(1))
        made.writestr("a.png", png(2))
    with pytest.raises(PictureError, match=r"its entry 'a.png' is there twice \(make the archive again\)"):
        open_samples(tmp_path / "x.zip", unheard)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", {"a.png": png(1)})
    data = bytearray(path.read_bytes())
    for place in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1
    path.write_bytes(data)
    with pytest.raises(PictureError, match=r"its entry 'a.png' is encrypted"):
        open_samples(path, unheard)


def test_damage_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", {"cat/a.png": png(1)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PictureError, match=r"x.zip: is not a zip archive that can be read: .*\(make it again\)"):
        open_samples(path, unheard)
    path.write_bytes(whole.replace(b"IDAT", b"IDAX"))
    with pytest.raises(PictureError, match=r"x.zip/cat/a.png: cannot be read: Bad CRC-32"):
        open_samples(path, unheard).load([0], DIGITS, (16, 16), unheard)


def test_a_member_of_any_size_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_zip, "MOST_MEMBER", 1000)
    path = archive(tmp_path / "x.zip", {"a.png": bytes(1001)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(PictureError, match=r"x.zip/a.png: unpacks to 1,001 bytes, expected at most 1,000"):
        _ = open_samples(path, unheard).channels


def test_a_large_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "x.zip", {"a.png": png(1)})
    monkeypatch.setattr(picture_zip, "MOST_DIRECTORY", 10)
    with pytest.raises(PictureError, match=r"has a directory of 51 bytes, expected at most 10"):
        open_samples(path, unheard)
