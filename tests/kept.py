"""What tests build, kept by the hash of what it is made of: across tests, processes and sessions."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

CACHE = Path(os.environ.get("DCGEN_TEST_CACHE", Path(tempfile.gettempdir()) / f"dcgen-test-{os.getuid()}"))


def kept(kind: str, settings: object, inputs: Mapping[str, bytes], make: Callable[[Path], object]) -> Path:
    """The folder that ``make(folder)`` filled for these settings and inputs; it must not be changed.

    kind : what it is, the beginning of the folder's name
    settings : whose ``repr`` says how it is made: commands, flags, versions
    inputs : files that it is made of, by name
    """
    digest = hashlib.sha256(repr(settings).encode())
    for name, data in sorted(inputs.items()):
        digest.update(f"{name} {len(data)} ".encode() + data)
    folder = CACHE / f"{kind}-{digest.hexdigest()[:20]}"
    CACHE.mkdir(parents=True, exist_ok=True)

    def fill() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make(folder)

    made_once(folder, folder / "complete", fill)
    return folder


def made_once(path: Path, done: Path, make: Callable[[], object]) -> None:
    """Call ``make``, which makes ``path``, unless the file ``done`` says that it was called before.

    Processes that want the same path wait for the one that makes it.
    """
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make()
            done.touch()
