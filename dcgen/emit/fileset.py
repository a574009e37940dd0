"""Operations on sets of generated files in memory."""

from __future__ import annotations

from dcgen.files import FileSet


def merged(*sets: FileSet) -> FileSet:
    """All files of ``sets``. Raises ValueError for a path that two sets have, which is a bug of the emitters."""
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
