"""The README of an output folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dcgen.emit.render import render


def output_readme(data: Mapping[str, Any]) -> bytes:
    """Markdown from a manifest: what was compiled, what it measured, what each file is, what to run next."""
    return render("report/output_readme.md.j2", **data).encode()
