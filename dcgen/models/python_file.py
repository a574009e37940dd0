"""A network that a user's Python file defines: running the file is what the user asks for."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from torch import nn

from dcgen.errors import ModelError
from dcgen.models.trainable import Size, Trainable
from dcgen.train.stage import Schedule

SUFFIX = ".py"
FUNCTION = "network"
"""What the file defines: ``network(channels, size, classes)`` returns a ``torch.nn.Module`` that takes float32
[N, channels, H, W] and gives scores [N, classes]. ``size`` is H where H and W are equal, else (H, W)."""
SIZE = (32, 32)
"""Size of pictures unless another is asked for."""
SCHEDULE = Schedule(epochs=30, warmup=0.1, decay="cosine")
"""How it is trained unless a stage says otherwise: cautiously, as it may be without normalisations."""


def read_network(path: Path) -> Trainable:
    """The network of a file, which is run. Raises ModelError where that fails, or defines no such function."""
    if not path.is_file():
        raise ModelError(path, "no such file")
    name = f"dcgen_network_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # where classes of the file look for their module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as e:
        raise ModelError(path, f"cannot be run: {_said(e)}") from None
    function = getattr(module, FUNCTION, None)
    if not callable(function):
        raise ModelError(path, f"defines no function {FUNCTION}(channels, size, classes)")

    def build(_: Any, channels: int, size: Size, classes: int) -> nn.Module:
        try:
            made = function(channels, size[0] if size[0] == size[1] else size, classes)
        except Exception as e:
            raise ModelError(path, f"{FUNCTION}({channels}, {size}, {classes}) fails: {_said(e)}") from None
        if not isinstance(made, nn.Module):
            raise ModelError(path, f"{FUNCTION} returns {type(made).__name__}, expected a torch.nn.Module")
        return made

    return Trainable(path.stem, f"of {path}", build, SIZE, schedule=SCHEDULE)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
