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
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two that want the same wait for one
        done = folder / "complete"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
