"""Sets of files in memory, and the functions that write files and output folders: wholly or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dcgen.errors import OutputError
from dcgen.reading import read_json
from dcgen.stopping import undone_by_signal

FileSet = Mapping[str, bytes]
"""Relative POSIX path -> contents."""
MARKER = "manifest.json"
"""The file by which a folder is recognized as an output of dcgen."""


def listing(files: FileSet) -> list[str]:
    """The manifest's list of ``files``, without the manifest itself: lines that ``sha256sum --check`` reads."""
    return [
        f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items()) if name != MARKER
    ]


def check_writable(out: Path, names: Collection[str] = ()) -> None:
    """Raise OutputError if ``out`` cannot be written as an output folder. It is called before long work begins.

    names : some of the files that will be written
    """
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise OutputError(out, "exists and is not a folder", "name another output folder")
    if out.is_dir() and any(out.iterdir()):
        _Old.read(out).check(names)
    parent = _existing_parent(out)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(out, f"cannot be written: no permission in {parent}", "name another output folder")


def write_folder(out: Path, files: FileSet) -> None:
    """Write ``files`` as the folder ``out``, in place of an older output if there is one.

    Of an older output, exactly the files go that its manifest lists; all others are the user's and stay. If the
    manifest lists none, as those of dcgen 0.1 do, the files go that are written anew.

    The files are written into a new folder beside ``out``, which gets links to the user's. Then an older output is
    renamed, the new folder gets its name, and the older one is removed. An error, a full disk or an interrupt
    leaves what was there before. Raises OutputError, also where a file of the user's is in the way.
    """
    check_writable(out, files.keys())
    out = out.resolve()
    created = _existing_parent(out)
    staging, aside = _beside(out), _beside(out)
    with undone_by_signal(lambda: _restore(out, staging, aside, created)):
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            staging.mkdir()
            for name, data in files.items():
                path = staging / _safe(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            if out.exists():
                if any(out.iterdir()):
                    _Old.read(out).keep(staging, files)
                shutil.copymode(out, staging)
                out.rename(aside)
            staging.rename(out)
        except OSError as e:
            raise OutputError(
                out, f"cannot be written: {e.strerror or e}", "free space or name another folder"
            ) from e
        finally:
            _restore(out, staging, aside, created)


def _restore(out: Path, staging: Path, aside: Path, created: Path) -> bool:
    """Give the older output its name back unless there is a newer one, and remove everything else.

    Returns whether there was anything to do.
    """
    busy = aside.exists() or staging.exists()
    if aside.exists() and not out.exists():
        aside.rename(out)
    for folder in (aside, staging):
        shutil.rmtree(folder, ignore_errors=True)
    _remove_empty(out.parent, created)
    return busy


@dataclass(frozen=True)
class _Old:
    """An output folder that is there already.

    listed : hash of each file that its manifest lists, by relative path; None if the manifest lists no files
    """

    folder: Path
    listed: Mapping[str, str] | None

    @classmethod
    def read(cls, folder: Path) -> _Old:
        """Raises OutputError where the folder holds no manifest that dcgen wrote; others write such files, too."""
        try:
            data = read_json(folder / MARKER, OutputError)
        except OutputError:
            data = None
        if not isinstance(data, dict) or "dcgen" not in data:
            problem = f"exists, is not empty and holds no {MARKER} of dcgen's"
            raise OutputError(folder, problem, "dcgen replaces only folders of its own")
        lines = data.get("files")
        if not isinstance(lines, list):
            return cls(folder, None)
        parts = (line.split("  ", 1) for line in lines if isinstance(line, str) and "  " in line)
        return cls(folder, {name: digest for digest, name in parts})

    def check(self, names: Collection[str]) -> None:
        """Raise OutputError where a listed file was changed, or where ``names`` would replace a user's file."""
        for name, digest in (self.listed or {}).items():
            if not self._is_inside(name) or not os.path.lexists(path := self.folder / name):
                continue
            if path.is_symlink() or not path.is_file() or _sha256(path) != digest:
                raise OutputError(path, "is not as dcgen wrote it", "move it away, or name another output folder")
        for name in names:
            path = self.folder / name
            above = [self.folder / p for p in PurePosixPath(name).parents if str(p) != "."]
            blocked = [p for p in above if os.path.lexists(p) and not self._is_folder(p) and not self.is_ours(p)]
            if os.path.lexists(path) and not self.is_ours(path) and not self._only_ours(path):
                blocked.append(path)
            if blocked:
                raise OutputError(
                    blocked[0],
                    "is not dcgen's, and an output must go there",
                    "move it away, or name another folder",
                )

    def keep(self, new: Path, files: FileSet) -> None:
        """Link every file of the user's into the folder ``new``, which holds ``files``. Raises OSError.

        Folders in it keep their permissions: a private one stays private.
        """
        made: list[tuple[Path, Path]] = []
        for here, folders, names in os.walk(self.folder, onerror=_raise):
            at = Path(here)
            links = [n for n in folders if (at / n).is_symlink()]
            kept = [p for n in (*names, *links) if not self._goes(p := at / n, files)]
            relative = at.relative_to(self.folder)
            if kept or not (names or folders):
                (new / relative).mkdir(parents=True, exist_ok=True)
                made.append((at, new / relative))
            for path in kept:
                _link(path, new / relative / path.name)
        for at, copy in reversed(made):
            shutil.copymode(at, copy)

    def is_ours(self, path: Path) -> bool:
        """Whether a file is listed, or may be as nothing is."""
        name = path.relative_to(self.folder).as_posix()
        if path.is_symlink() or not path.is_file():
            return False
        return name == MARKER or self.listed is None or name in self.listed

    def _goes(self, path: Path, files: FileSet) -> bool:
        name = path.relative_to(self.folder).as_posix()
        return name == MARKER or (name in files if self.listed is None else self.is_ours(path))

    def _only_ours(self, path: Path) -> bool:
        """Whether a folder holds nothing but listed files."""
        if not self._is_folder(path) or self.listed is None:
            return False
        found = [Path(here) / n for here, _, names in os.walk(path) for n in names]
        return all(self.is_ours(p) for p in found)

    def _is_inside(self, name: str) -> bool:
        """Whether a name leads to a place in the folder, by real folders only."""
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\0" in name:
            return False
        return not any((self.folder / p).is_symlink() for p in pure.parents)

    def _is_folder(self, path: Path) -> bool:
        return path.is_dir() and not path.is_symlink()


def _raise(error: OSError) -> None:
    raise error


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system knows no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        if not source.is_symlink() and not source.is_file():
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, data: bytes) -> None:
    """Write one file, in place of an older one of its name, wholly or not at all. Raises OutputError, also where
    a device, a pipe or a folder has that name."""
    if path.exists() and not path.is_file():
        raise OutputError(path, "is no regular file", "name another file")
    temporary = _beside(path)
    with undone_by_signal(lambda: _removed(temporary)):
        try:
            with temporary.open("xb") as f:
                f.write(data)
            os.replace(temporary, path)
        except OSError as e:
            raise OutputError(
                path, f"cannot be written: {e.strerror or e}", "free space or name another file"
            ) from e
        finally:
            temporary.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file of long work, and its folder if need be, in place of an older one. Raises OSError.

    What is written is ``NAME.new`` until it is whole: a process that is killed leaves one such file at most, which
    the next one writes anew.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    os.replace(new, path)


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A private folder for the block; it is removed whatever ends the block."""
    folder = Path(tempfile.gettempdir()) / f"{prefix}{secrets.token_hex(8)}"
    with undone_by_signal(lambda: _removed(folder)):
        try:
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _removed(path: Path) -> bool:
    """Whether there was a file or folder, which is removed."""
    found = os.path.lexists(path)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return found


def _beside(out: Path) -> Path:
    """A new name for a hidden file or folder next to ``out``."""
    return out.parent / f".{out.name[:80]}.{secrets.token_hex(4)}"


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
