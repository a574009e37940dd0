"""Files of arrays from strangers: what is damaged, forged or no array ends in one line that names the file."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgen.errors import PictureError
from dcgen.inputs.arrays import read_arrays

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def npy(array: Any) -> bytes:
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


def npz(folder: Path, how: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize("array", [X, np.asfortranarray(X), X.astype(">f8"), X.astype(np.int8)])
def test_arrays_are_read(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array, y=[1, 2], other=[{}])
    np.savez_compressed(tmp_path / "c.npz", x=array)
    for name in ("x.npy", "x.npz", "c.npz"):
        found = read_arrays(tmp_path / name)["x"]
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype
    assert read_arrays(tmp_path / "x.npz")["y"].tolist() == [1, 2]


def forged(shape: str, descr: str = "'<f4'", version: bytes = b"\x01\x00") -> bytes:
    """An .npy file with 96 bytes of data whose header says something else."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + X.tobytes()


class Command:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not a file of arrays that can be read"),
        (b"PK\x03\x04 not a zip", "is not a file of arrays that can be read"),
        (npy(X)[:-4], r"array x of shape \(2, 3, 4\) takes 96 bytes, found 92"),
        (npy(X) + b"more", "array x of shape .* takes 96 bytes, found 100"),
        (forged("(10**9, 10**9)"), "is not a file of arrays that can be read"),
        (
            forged("(1000000000, 1000000000)"),
            "array x of shape .* takes 4,000,000,000,000,000,000 bytes, found 96",
        ),
        (forged("(-1, -24)"), "array x of shape"),
        (forged("(24,)", "'|O'"), "array x holds object, expected numbers"),
        (forged("(24,)", "[('a', '<f4')]"), "array x holds .*, expected numbers"),
        (forged("(24,)", "'<U1'"), "array x holds <U1, expected numbers"),
        (forged("(24,)", version=b"\x09\x00"), r"array x is of format \(9, 0\), expected"),
        (pickle.dumps(Command()), "is not a file of arrays that can be read"),
    ],
)
def test_a_damaged_array_is_named(
    tmp_path: Path, data: bytes, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(PictureError, match=f"x.npy: {problem}"):
        read_arrays(tmp_path / "x.npy")
    with pytest.raises(PictureError, match=f"a.npz: {problem}"):
        read_arrays(npz(tmp_path, x=data))
    assert not (tmp_path / "ran").exists()


def test_an_archive_without_x(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"a.npz: expected an array named x, found x_test, x_train"):
        read_arrays(npz(tmp_path, x_train=npy(X), x_test=npy(X)))


def test_an_array_larger_than_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40,)})
    path.write_bytes(header.getvalue())
    os.truncate(path, len(header.getvalue()) + (1 << 40))  # a file of holes: it takes no room on the disk
    with pytest.raises(
        PictureError, match=r"has arrays of 1,099,511,\d{3},\d{3} bytes, expected at most 4,294,967,296"
    ):
        read_arrays(path)


def test_an_archive_that_would_fill_the_memory(tmp_path: Path) -> None:
    zeros = npz(tmp_path, zipfile.ZIP_DEFLATED, x=npy(np.zeros(2**28 + 1, np.int8)))
    with pytest.raises(
        PictureError, match=r"would unpack to 268,435,\d+ bytes \(save it with np.savez, uncompressed"
    ):
        read_arrays(zeros)


ARCHIVE = io.BytesIO()
np.savez_compressed(ARCHIVE, x=X, y=np.arange(2))


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_damage_gives_one_line_or_an_array(tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(ARCHIVE.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x.npz"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))] if data.draw(st.booleans()) else damaged)
    try:
        read_arrays(path)
    except PictureError as e:
        assert "x.npz" in str(e) and "\n" not in str(e)
