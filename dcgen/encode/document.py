"""Renders docs/blob-format.md from the schema: ``python -m dcgen.encode.document [FILE]``."""

from __future__ import annotations

import inspect
import struct
import sys
from collections.abc import Iterable
from enum import IntEnum, IntFlag
from pathlib import Path

from dcgen.encode import rules, schema
from dcgen.encode.operators import KINDS
from dcgen.encode.schema import RECORDS, Coding, Kind, LayerFlag, Record, Status, TopologyFlag

DEFAULT_PATH = Path("docs/blob-format.md")
CODE_ROWS = "    "
"""Indentation of the diagrams in the schema's docstring, which Markdown shows as code."""
INTRODUCTION = """\
A blob is one compiled network in one file: its topology, the scale of each tensor, and for each node its constants
and coded weights. This page is all that a reader of blobs has to know; [numbers.md](numbers.md) says what the
network that it has read computes. Format version {version}. Integers are unsigned unless they are called int."""

_TYPES = {"B": "uint8", "H": "uint16", "I": "uint32", "Q": "uint64", "i": "int32", "f": "float32"}


def render() -> str:
    """The document, in Markdown."""
    _, _, prose = inspect.cleandoc(schema.__doc__ or "").partition("\n\n")
    parts = [
        "# The blob format",
        "<!-- Written by `python -m dcgen.encode.document` from dcgen/encode/schema.py; do not edit. -->",
        INTRODUCTION.format(version=schema.VERSION),
        "## Layout",
        _prose(prose),
        "## Records",
        *(_record(r) for r in RECORDS),
        "## Values",
        *(_values(e) for e in (Kind, TopologyFlag, LayerFlag, Coding)),
        _rules(),
        "## Status codes",
        "What the C runtime returns; `BlobError.code` in Python is one of the same names. Where a blob has "
        "several defects, or one that two checks would find, the runtime may name another one than the list "
        "above: it checks each section with all it holds before the next one, and streams last of all.",
        _table(("value", "name", "meaning"), _members(Status)),
    ]
    return "\n\n".join(parts) + "\n"


def _rules() -> str:
    _, _, text = inspect.cleandoc(rules.__doc__ or "").partition("\n\n")
    *moving, last = (kind.name for kind in Kind if KINDS[kind].moves)
    bounds = "\n".join(f"* {kind.name}{KINDS[kind].bounds}" for kind in Kind if KINDS[kind].bounds)
    text = text.replace("MOVING", f"{', '.join(moving)} and {last}").replace("BOUNDS", bounds)
    return text.replace("KINDS", "\n".join(f"* {kind.name}, {KINDS[kind].doc}" for kind in Kind), 1)


def _prose(text: str) -> str:
    """The paragraphs of a docstring, of which indented ones become code blocks."""
    return "\n\n".join(
        f"```text\n{inspect.cleandoc(p)}\n```" if p.startswith(CODE_ROWS) else p for p in text.split("\n\n")
    )


def _record(record: Record) -> str:
    rows = (
        (record.offset(f.name), struct.calcsize(f"<{f.format}"), _TYPES[f.format], f"`{f.name}`", f.doc)
        for f in record.fields
    )
    return f"### {record.name}\n\n{record.doc} {record.size} bytes.\n\n" + _table(
        ("offset", "size", "type", "field", "meaning"), rows
    )


def _values(values: type[IntEnum] | type[IntFlag]) -> str:
    return f"### {values.__name__}\n\n{inspect.cleandoc(values.__doc__ or '')}\n\n" + _table(
        ("value", "name", "meaning"), _members(values)
    )


def _members(values: type[IntEnum] | type[IntFlag]) -> Iterable[tuple[object, ...]]:
    comments = _comments(values)
    return ((v.value, f"`{v.name}`", comments[str(v.name)]) for v in values)


def _comments(values: type[IntEnum] | type[IntFlag]) -> dict[str, str]:
    """The meaning of each member: the comment beside it in the schema."""
    lines = (line.strip().partition("#") for line in inspect.getsource(values).splitlines())
    found = {code.split("=")[0].strip(): comment.strip() for code, _, comment in lines if "=" in code}
    return {str(v.name): found.get(str(v.name), "") for v in values}


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    every = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in every)


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PATH).write_text(render())
