"""Folders of picture files, on disk or in an archive."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from dcgen.errors import PictureError
from dcgen.inputs.picture_files import SUFFIXES
from dcgen.inputs.picture_zip import ZipEntry

Entry = Path | ZipEntry
"""A file or a folder, on disk or in an archive."""


def entries_of(folder: Entry) -> list[Entry]:
    try:
        return sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as e:
        raise PictureError(folder, f"cannot be listed: {e.strerror or e}") from e


def pictures_among(entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The entries of a folder that are picture files, and the others, each in their order."""
    pictures: list[Entry] = []
    others: list[Entry] = []
    for entry in entries:
        named = entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")
        (pictures if named and entry.is_file() else others).append(entry)
    return pictures, others


def opened(entry: Entry) -> tuple[Path, IO[bytes] | None]:
    """The path that names a picture's file, and its contents where it lies in an archive."""
    return (entry, None) if isinstance(entry, Path) else (entry.path, entry.open())
