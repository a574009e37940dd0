"""Where the files that are no Python lie: templates, firmware sources, gateware."""

from __future__ import annotations

from pathlib import Path

from dcgen.errors import ToolError

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The folder ``name`` ("templates", "firmware", "hw"): in the checkout, or shipped in the wheel.

    Raises ToolError where neither is there: a broken installation.
    """
    for folder in (_PACKAGE.parent / name, _PACKAGE / "_resources" / name):
        # A stray folder of that name beside an installed package is not ours.
        if folder.is_dir() and (
            folder.parent == _PACKAGE / "_resources" or (_PACKAGE.parent / "pyproject.toml").is_file()
        ):
            return folder
    raise ToolError(f"dcgen's {name} folder", "is not part of this installation", "install dcgen again")
