"""Sets of files in memory, and the functions that write files and output folders: wholly or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from dcgen.errors import OutputError
from dcgen.reading import read_json

FileSet = Mapping[str, bytes]
"""Relative POSIX path -> contents."""
MARKER = "manifest.json"
"""The file by which a folder is recognized as an output of dcgen."""


def is_ours(folder: Path) -> bool:
    """Whether a folder holds a manifest that dcgen wrote; other programs have files of that name, too."""
    try:
        data = read_json(folder / MARKER, OutputError)
    except OutputError:
        return False
    return isinstance(data, dict) and "dcgen" in data


def check_writable(out: Path) -> None:
    """Raise OutputError if ``out`` cannot be written as an output folder. It is called before long work begins."""
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise OutputError(out, "exists and is not a folder", "name another output folder")
    if out.is_dir() and any(out.iterdir()) and not is_ours(out):
        raise OutputError(
            out, f"exists, is not empty and holds no {MARKER} of dcgen's", "dcgen replaces only folders of its own"
        )
    parent = _existing_parent(out)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(out, f"cannot be written: no permission in {parent}", "name another output folder")


def write_folder(out: Path, files: FileSet) -> None:
    """Write ``files`` as the folder ``out``, in place of an older output if there is one.

    The files are written into a new folder beside ``out``. Then an older output is renamed, the new folder gets
    its name, and the older one is removed. An error, a full disk or an interrupt leaves what was there before.
    Raises OutputError.
    """
    check_writable(out)
    out = out.resolve()
    created = _existing_parent(out)
    staging, aside = _beside(out), _beside(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        for name, data in files.items():
            path = staging / _safe(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if out.exists():
            out.rename(aside)
        staging.rename(out)
    except OSError as e:
        raise OutputError(out, f"cannot be written: {e.strerror or e}", "free space or name another folder") from e
    finally:
        if aside.exists() and not out.exists():
            aside.rename(out)
        for folder in (aside, staging):
            shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(out.parent, created)


def write_file(path: Path, data: bytes) -> None:
    """Write one file, in place of an older one of its name, wholly or not at all. Raises OutputError."""
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as f:
            f.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as e:
        raise OutputError(path, f"cannot be written: {e.strerror or e}", "free space or name another file") from e
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A private folder for the block; it is removed whatever ends the block.

    Its name is chosen before it is made, so that a signal that raises just after it was made still removes it.
    """
    folder = Path(tempfile.gettempdir()) / f"{prefix}{secrets.token_hex(8)}"
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _beside(out: Path) -> Path:
    """A new name for a hidden folder next to ``out``."""
    return out.parent / f".{out.name}.{secrets.token_hex(4)}"


def _existing_parent(out: Path) -> Path:
    """The closest folder above ``out`` that exists."""
    parent = out.absolute().parent
    while not parent.exists():
        parent = parent.parent
    return parent


def _remove_empty(folder: Path, stop: Path) -> None:
    """Remove ``folder`` if it is empty, then its parent and so on, up to ``stop``: a failed output made them."""
    folder = folder.absolute()
    while folder != stop and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _safe(name: str) -> Path:
    """A relative path that stays inside the folder. Raises OutputError for any other."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise OutputError(name, "is not a path inside the output folder")
    return Path(pure)
