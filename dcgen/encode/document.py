"""Renders docs/blob-format.md from the schema: ``python -m dcgen.encode.document [FILE]``."""

from __future__ import annotations

import inspect
import struct
import sys
from collections.abc import Iterable
from enum import IntEnum, IntFlag
from pathlib import Path

from dcgen.encode import schema
from dcgen.encode.schema import RECORDS, Coding, Kind, LayerFlag, Record, Status, TopologyFlag

DEFAULT_PATH = Path("docs/blob-format.md")
CODE_ROWS = "    "
"""Indentation of the docstring's diagrams, which Markdown shows as code."""

_TYPES = {"B": "uint8", "H": "uint16", "I": "uint32", "Q": "uint64", "i": "int32", "f": "float32"}
_READERS = """\
## What a reader must check

A reader trusts nothing. Sizes, offsets, counts and check sums are proved before anything they
describe is used, and every defect ends in a status of the table below. Python's reader checks all
of this; firmware leaves out what its plan settles (geometry) and what cannot do it harm.

* The sections lie one after the other and the last one ends at `blob_bytes`. Reserved fields and
  padding are zero.
* Fields that a kind does not use are zero, but `hi`, which is 255 where nothing is clipped.
* `n_tensors` equals `n_nodes`; `n_scores`, `max_filter_entries` and `max_code_bits` are those of
  the layers.
* A node reads only the input and earlier nodes. Shapes follow from the operators.
* A table's last nibble, where their number is odd, is zero, and the table is of exactly
  `table_bytes`. `table_bytes` is at least 4: a layer without entries has a table of no symbols.
  JOINT lists at most 4095 symbols, GAPS at most 2**run_bits gaps and 256 levels, without ESCAPE.
* `stream_bytes` is (stream_bits + 7) / 8 + 8 rounded up to a multiple of four; all bits from
  `stream_bits` on are zero; `n_entries` entries end exactly at `stream_bits`.
* A table may list a symbol that stands for no level; using it is an error.
"""


def render() -> str:
    """The document, in Markdown."""
    title, _, prose = inspect.cleandoc(schema.__doc__ or "").partition("\n\n")
    parts = [
        "# The blob format",
        "<!-- Written by `python -m dcgen.encode.document` from dcgen/encode/schema.py; do not edit. -->",
        title,
        f"Format version {schema.VERSION}. Integers are unsigned unless they are called int.",
        "## Layout",
        _prose(prose),
        "## Records",
        *(_record(r) for r in RECORDS),
        "## Values",
        *(_values(e) for e in (Kind, TopologyFlag, LayerFlag, Coding)),
        _READERS.strip(),
        "## Status codes",
        "What the C runtime returns; `BlobError.code` in Python is one of the same names. Where a blob has "
        "several defects, or one that two checks would find, the two readers may name different ones: their "
        "checks come in different orders.",
        _table(("value", "name", "meaning"), _members(Status)),
    ]
    return "\n\n".join(parts) + "\n"


def _prose(text: str) -> str:
    """The docstring's paragraphs; its indented rows become code blocks."""
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
    """The comment beside each member, which is where the schema says what it means."""
    lines = (line.strip().partition("#") for line in inspect.getsource(values).splitlines())
    found = {code.split("=")[0].strip(): comment.strip() for code, _, comment in lines if "=" in code}
    return {str(v.name): found.get(str(v.name), "") for v in values}


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    every = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in every)


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PATH).write_text(render())
