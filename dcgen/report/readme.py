"""The README of an output folder."""

from __future__ import annotations

from dcgen.emit.render import render
from dcgen.report.manifest import manifest
from dcgen.result import Compiled


def output_readme(compiled: Compiled) -> bytes:
    """Markdown: what was compiled, what it measured, what each file is, what to run next."""
    return render("report/output_readme.md.j2", **manifest(compiled)).encode()
