"""Where the files lie that are not Python: templates and firmware sources."""

from __future__ import annotations

from pathlib import Path

from dcgen.errors import ToolError

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The folder ``name`` ("templates" or "firmware") of the checkout, or its copy in the installed wheel.

    Raises ToolError where neither exists, because the installation is broken.
    """
    checkout, installed = _PACKAGE.parent / name, _PACKAGE / "_resources" / name
    if installed.is_dir():
        return installed
    # Beside an installed package, a folder of that name could be another program's; a checkout has pyproject.toml.
    if checkout.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    raise ToolError(f"dcgen's {name} folder", "is not part of this installation", "install dcgen again")
