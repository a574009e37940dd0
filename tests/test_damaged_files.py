"""Files with every kind of damage end in one line: truncated, with bits turned, forged, of other contents.

The damage is drawn with a fixed seed, so that a failure can be repeated. A file that is still read is no failure:
damage in a weight or a name is no damage to the format.
"""

from __future__ import annotations

import io
import json
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dcgen.errors import DcgenError
from dcgen.models.catalogue import DIGITS, find
from dcgen.models.weights import load_params

ROUNDS = 20
"""Damaged versions of each file."""


def damaged(whole: bytes, seed: int) -> Iterator[bytes]:
    """Versions of a file: cut, with bits turned, with bytes of 0 or 255, a part missing, doubled or exchanged."""
    draw = random.Random(seed)
    for _ in range(ROUNDS):
        data = bytearray(whole)
        kind = draw.randrange(6)
        at, end = sorted((draw.randrange(len(data)), draw.randrange(len(data))))
        match kind:
            case 0:
                del data[at:]
            case 1:
                for _ in range(draw.randint(1, 8)):
                    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            case 2:
                data[at : at + 8] = draw.choice((b"\x00", b"\xff")) * 8
            case 3:
                del data[at : min(end, at + 64)]
            case 4:
                data[at:at] = data[at : min(end, at + 64)]
            case 5:
                data[-min(64, len(data)) :] = draw.randbytes(min(64, len(data)))
        yield bytes(data)


def params() -> dict[str, np.ndarray]:
    checkpoint = find("digits").checkpoint_path
    assert checkpoint is not None
    with np.load(checkpoint) as file:
        return dict(file)


def npz(arrays: dict[str, np.ndarray], compressed: bool = True) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def zipped(files: dict[str, bytes], **options: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def one_line(read: Callable[[Path], object], path: Path) -> str | None:
    """The error that reading gives, None if the file is read. Any other exception fails the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read(path)
    except DcgenError as e:
        assert "\n" not in str(e)
        return str(e)
    return None


def read_weights(path: Path) -> object:
    return load_params(path, DIGITS)


@pytest.mark.parametrize("compressed", [True, False])
def test_npz(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "w.npz"
    for data in damaged(npz(params(), compressed), 1):
        path.write_bytes(data)
        one_line(read_weights, path)


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    entries, body = {}, b""
    for name, array in params().items():
        data = array.astype("<f4").tobytes()
        shape = list(array.shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    header = json.dumps(entries).encode()
    whole = struct.pack("<Q", len(header)) + header + body
    path.write_bytes(whole)
    assert one_line(read_weights, path) is None
    for data in (*damaged(whole, 2), *damaged(whole[: len(header) + 40], 3)):
        path.write_bytes(data)
        one_line(read_weights, path)


HEADERS = {
    "object": "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "huge": "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
    "overflow": "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4), }",
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
    "not a shape": "{'descr': '<f4', 'fortran_order': False, 'shape': 'x', }",
    "void": "{'descr': '|V2000000000', 'fortran_order': False, 'shape': (1,), }",
    "record": "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
    "date": "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }",
    "text": "{'descr': '<U500000000', 'fortran_order': False, 'shape': (1,), }",
    "no type": "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,), }",
    "code": "__import__('os').system('true')",
    "deep": "(" * 3000,
    "not closed": "{'descr': (",
    "empty": "",
}


@pytest.mark.parametrize("name", HEADERS)
def test_forged_headers_of_arrays(tmp_path: Path, name: str) -> None:
    path = tmp_path / "w.npz"
    for version in (b"\x01\x00", b"\x03\x00", b"\x09\x09"):
        path.write_bytes(zipped({"features.0.weight.npy": npy(HEADERS[name], bytes(4), version)}))
        error = one_line(read_weights, path)
        assert error is not None and "is not a readable .npz archive: features.0.weight.npy" in error


def test_byte_and_fortran_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    for change in (lambda a: a.astype(">f4"), np.asfortranarray, lambda a: a.astype(">f8", order="F")):
        path.write_bytes(npz({n: change(np.asarray(a, np.float32)) for n, a in params().items()}))
        for name, array in load_params(path, DIGITS).items():
            np.testing.assert_array_equal(array, params()[name])
