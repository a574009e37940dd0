"""Pictures in a stranger's zip archive, as folders and files like those on disk: nothing is extracted to disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dcgen.errors import PictureError
from dcgen.reading import DAMAGE, METHODS

SUFFIX = ".zip"
MOST_DIRECTORY = 1 << 27
"""Most bytes of an archive's directory, of which each picture takes 50 to 100. ImageNet's 1.28 million pictures
take 96 MB."""
MOST_MEMBER = 1 << 26
"""Most bytes of a picture's file: it is read into memory."""
_BESIDE = "__MACOSX/"
"""The folder that macOS adds to archives, with a file of its own for each picture."""


@dataclass(frozen=True, eq=False)
class ZipEntry:
    """A file or a folder of an archive, with those methods of ``pathlib.Path`` that a reader of pictures needs.

    path : the archive's path and the entry's in it, for messages
    info : where the file lies in the archive; None for a folder
    children : of a folder, by name
    """

    archive: zipfile.ZipFile
    path: Path
    info: zipfile.ZipInfo | None = None
    children: dict[str, ZipEntry] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def suffix(self) -> str:
        return self.path.suffix

    def is_dir(self) -> bool:
        return self.info is None

    def is_file(self) -> bool:
        return self.info is not None

    def iterdir(self) -> Iterator[ZipEntry]:
        return iter(self.children.values())

    def open(self) -> io.BytesIO:
        """The file's contents. Raises PictureError where it is too large or damaged."""
        assert self.info is not None
        if self.info.file_size > MOST_MEMBER:
            problem = f"unpacks to {self.info.file_size:,} bytes, expected at most {MOST_MEMBER:,}"
            raise PictureError(self.path, problem, "remove it from the archive")
        try:
            return io.BytesIO(self.archive.read(self.info))
        except DAMAGE as e:
            raise PictureError(self.path, f"cannot be read: {e}", "make the archive again") from None


def open_zip(path: Path) -> ZipEntry:
    """The folder of an archive that holds pictures or class folders: its top, or the one folder that is there.

    Raises PictureError where the archive is damaged, encrypted, names an entry twice or by a path that leads out
    of it, or uses another compression than deflate.
    """
    try:
        with path.open("rb") as file:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if end and end[zipfile._ECD_SIZE] > MOST_DIRECTORY:  # type: ignore[attr-defined]
            problem = f"has a directory of {end[zipfile._ECD_SIZE]:,} bytes"  # type: ignore[attr-defined]
            raise PictureError(path, f"{problem}, expected at most {MOST_DIRECTORY:,}", "use a folder")
        archive = zipfile.ZipFile(path)
    except DAMAGE as e:
        raise PictureError(path, f"is not a zip archive that can be read: {e}", "make it again") from None
    top = ZipEntry(archive, path)
    for info in archive.infolist():
        if not info.filename.startswith(_BESIDE):
            _add(top, info)
    inner = [e for e in top.iterdir() if not e.name.startswith(".")]
    holds_folders = len(inner) == 1 and any(e.is_dir() for e in inner[0].iterdir())
    return inner[0] if holds_folders else top


def _add(top: ZipEntry, info: zipfile.ZipInfo) -> None:
    """Put an archive's entry at its place below ``top``. Raises PictureError where it is none that may be."""

    def refused(reason: str) -> PictureError:
        return PictureError(top.path, f"its entry {info.filename[:200]!r} {reason}", "make the archive again")

    inside = PurePosixPath(info.filename)
    if inside.is_absolute() or not inside.parts or ".." in inside.parts:
        raise refused("is no path within the archive")
    if info.flag_bits & 1:
        raise refused("is encrypted")
    if info.compress_type not in METHODS:
        raise refused(f"is compressed by method {info.compress_type}, expected stored or deflate")
    folder = top
    for part in inside.parts if info.is_dir() else inside.parts[:-1]:
        folder = folder.children.setdefault(part, ZipEntry(top.archive, folder.path / part))
        if folder.is_file():
            raise refused("lies below a file")
    if not info.is_dir():
        if inside.name in folder.children:
            raise refused("is there twice")
        folder.children[inside.name] = ZipEntry(top.archive, folder.path / inside.name, info)
