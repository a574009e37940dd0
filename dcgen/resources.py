"""Where the files that are no Python lie: templates, firmware sources."""

from __future__ import annotations

from pathlib import Path

from dcgen.errors import ToolError

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The folder ``name`` ("templates", "firmware"): in the checkout, or shipped in the wheel.

    Raises ToolError where neither is there: a broken installation.
    """
    checkout, installed = _PACKAGE.parent / name, _PACKAGE / "_resources" / name
    if installed.is_dir():
        return installed
    # A folder of that name beside an installed package would not be ours.
    if checkout.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    raise ToolError(f"dcgen's {name} folder", "is not part of this installation", "install dcgen again")
