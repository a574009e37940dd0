"""Optional packages, imported only when something that needs them is asked for."""

from __future__ import annotations

from typing import Any, Literal

from dcgen.errors import ToolError

Device = Literal["cpu", "cuda"]


def import_torch(purpose: str, device: Device = "cpu") -> Any:
    """The torch module, for computing on ``device``.

    purpose : what torch is needed for, as the message of an error says it

    Raises ToolError where torch is not installed or finds no such device.
    """
    try:
        import torch
    except ImportError:
        raise ToolError("torch", f"is needed {purpose}", "pip install dcgen[torch]") from None
    if device == "cuda" and not torch.cuda.is_available():
        raise ToolError("torch", f"finds no CUDA device {purpose}", "use the CPU or PyTorch's CUDA build")
    return torch


def import_optuna(purpose: str) -> Any:
    """The optuna module; ``purpose`` and errors as in ``import_torch``."""
    try:
        import optuna
    except ImportError:
        raise ToolError("optuna", f"is needed {purpose}", "pip install dcgen[explore]") from None
    return optuna
