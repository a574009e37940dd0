"""The folder of a training while it is written: its checkpoint, from which the training goes on, and other
files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from dcgen.errors import OutputError
from dcgen.files import replace_file
from dcgen.run_folder import CHECKPOINT, Run


class TrainingFolder:
    """The folder of a run, written file by file, each as a whole.

    path : need not exist
    key : hash of all that the training's result depends on

    Raises OutputError where the folder holds anything but this training.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        if path.exists() and not path.is_dir():
            raise OutputError(path, "exists and is not a folder", "name another folder")
        unfinished = {f"{CHECKPOINT}.new"}
        if path.is_dir() and not (path / CHECKPOINT).exists() and {p.name for p in path.iterdir()} - unfinished:
            raise OutputError(path, "exists, is not empty and holds no training", "name another folder")
        self._kept = self._read()

    def _read(self) -> dict[str, Any]:
        if not (self.path / CHECKPOINT).exists():
            return {}
        try:
            state: dict[str, Any] = torch.load(self.path / CHECKPOINT, map_location="cpu", weights_only=True)
            if state["key"] != self.key:
                problem = "holds a training of other data or settings"
                raise OutputError(self.path, problem, "name another folder")
        except OutputError:
            raise
        except Exception as e:  # torch documents none of the exceptions that a damaged file raises
            raise OutputError(self.path / CHECKPOINT, f"is damaged ({type(e).__name__})", "remove it") from None
        return state

    def finished(self) -> dict[str, Any] | None:
        """What ``run.json`` says of a training that has ended."""
        return Run.read(self.path).data if self._kept.get("finished") else None

    def state(self) -> dict[str, Any]:
        """What the last checkpoint kept; empty before the first."""
        return self._kept

    def write(self, name: str, data: bytes) -> None:
        """Replace a file."""
        try:
            replace_file(self.path / name, data)
        except OSError as e:
            raise OutputError(self.path / name, f"cannot be written: {e.strerror or e}") from e

    def save(self, **state: Any) -> None:
        """Write the checkpoint."""
        self._kept = {**state, "key": self.key}
        buffer = io.BytesIO()
        torch.save(self._kept, buffer)
        self.write(CHECKPOINT, buffer.getvalue())
