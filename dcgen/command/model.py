"""``dcgen model``: the catalogue of named models, and one of them as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from dcgen.command import console, options
from dcgen.errors import ConfigError
from dcgen.files import write_file
from dcgen.importers import load
from dcgen.ir.to_onnx import to_onnx
from dcgen.models.catalogue import MODELS, find


def model_(
    name: Annotated[
        str | None, Argument(help="A named model; without it they are listed.", metavar="[NAME]")
    ] = None,
    out: Annotated[Path | None, Option("--out", "-o", help="ONNX file to write.")] = None,
    weights: options.Weights = None,
    input_size: options.InputSize = None,
    json: options.Json = False,
) -> None:
    """List the named models, or write one as ONNX."""
    if name is None:
        if out is not None:
            raise ConfigError("NAME", "is missing", "'dcgen model' lists the names")
        columns = {"name": "name", "preprocess": "preprocess", "description": "what it is"}
        console.print_records("Models", columns, [(m.name, m.preprocess, m.description) for m in MODELS], json)
        return
    find(name)  # a path is refused: a file is a model already
    if out is None:
        raise ConfigError("--out", "is missing", f"dcgen model {name} -o {name}.onnx")
    graph = load(name, weights=weights, input_size=input_size).graph
    data = bytes(to_onnx(graph).SerializeToString())
    write_file(out, data)
    if json:
        console.print_json({"file": str(out), "bytes": len(data)})
    else:
        console.print_line(f"wrote {out}, {len(data):,} bytes")
