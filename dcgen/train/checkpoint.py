"""A checkpoint: one .npz file of named arrays and JSON facts, from which long work goes on where it was stopped.

A file is replaced as a whole, so that work that is ended at any time leaves a whole one. It carries a key, a
hash of everything that the work depends on; a file of another key is refused.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dcgen.errors import ConfigError, OutputError
from dcgen.files import replace_file
from dcgen.reading import damage, read_npz

T = TypeVar("T")
Facts = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray]

ABOUT = "about"
"""The array that holds the key and the facts, as a JSON text."""
_NO_CHECKPOINT = "is no checkpoint", "remove it"


def save(path: Path, key: str, facts: Facts, arrays: Arrays) -> None:
    """Write the file, and its folder if need be. Raises OutputError.

    key : of the work
    facts : what JSON can express
    arrays : by any name but ``ABOUT``
    """
    buffer = io.BytesIO()
    about = np.array(json.dumps({"key": key, "facts": facts}))
    np.savez(buffer, allow_pickle=False, **{ABOUT: about}, **arrays)
    try:
        replace_file(path, buffer.getvalue())
    except OSError as e:
        raise OutputError(path.parent, f"a checkpoint cannot be written: {e.strerror or e}") from e


def resume(path: Path, key: str, read: Callable[[Facts, Arrays], T]) -> T | None:
    """What ``read`` makes of the facts and arrays in the file, None if there is no file yet.

    Raises ConfigError for a file that cannot be read, that has another key, or of which ``read`` raises one of
    ``reading.DAMAGE``.
    """
    if not path.exists():
        return None
    arrays = read_npz(path, ConfigError, *_NO_CHECKPOINT)
    with damage(path, ConfigError, *_NO_CHECKPOINT):
        about = json.loads(str(arrays.pop(ABOUT)))
        if about["key"] != key:
            raise ConfigError(
                path, "is a training of another network, other pictures or settings", "name another folder"
            )
        return read(about["facts"], arrays)
