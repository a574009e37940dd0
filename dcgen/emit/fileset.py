"""Sets of generated files, put together in memory."""

from __future__ import annotations

from dcgen.files import FileSet


def merged(*sets: FileSet) -> FileSet:
    """All files of ``sets``. A path made twice is a bug of the emitters: ValueError."""
    out: dict[str, bytes] = {}
    for files in sets:
        twice = out.keys() & files.keys()
        if twice:
            raise ValueError(f"emitted twice: {sorted(twice)}")
        out |= files
    return out


def below(folder: str, files: FileSet) -> FileSet:
    """``files`` moved into ``folder``."""
    return {f"{folder}/{path}": data for path, data in files.items()}
