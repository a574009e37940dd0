"""``dcgen inspect``: what an output folder, a blob or a model holds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from typer import Argument

from dcgen.command import arguments, console, options
from dcgen.encode.reader import describe
from dcgen.errors import BlobError, ConfigError
from dcgen.importers import ImportedModel, load
from dcgen.inputs.samples import InputForm
from dcgen.ir.graph import macs
from dcgen.output import open_output
from dcgen.pictures import Preprocess, preset, with_size
from dcgen.reading import read_bytes


def inspect_(
    what: Annotated[str, Argument(help="An output folder, a .dcb blob, or a model.", metavar="OUT|BLOB|MODEL")],
    weights: options.Weights = None,
    trust: options.Trust = False,
    preprocess: options.PreprocessName = None,
    mean: options.Mean = None,
    std: options.Std = None,
    order: options.Order = None,
    fit: options.Fit = None,
    input_size: options.InputSize = None,
    json: options.Json = False,
) -> None:
    """Say what an output folder, a blob or a model holds."""
    data = inspect(what, weights, (preprocess, mean, std, order, fit, input_size), trust)
    if json:
        console.print_json(data)
    else:
        show(data)


def inspect(
    what: str, weights: Path | None, asked: arguments.Asked = arguments.NOTHING_ASKED, trust: bool = False
) -> dict[str, Any]:
    """A description of an output folder (its manifest), a blob or a model; ``kind`` says of which.

    asked : the options of preprocessing, in the order of ``arguments.preprocess``

    Raises ConfigError where weights are given for something that holds its own, or preprocessing where it is not
    that of the output, or for a blob.
    """
    path = Path(what)
    if weights is not None and (path.is_dir() or path.suffix == ".dcb"):
        raise ConfigError(path, f"holds its own weights, found weights {weights} as well")
    if path.is_dir():
        output = open_output(path)
        form = arguments.preprocess_of_output(output.preprocess, asked)
        resized = {"preprocess": form.to_json()} if asked != arguments.NOTHING_ASKED else {}
        return {"kind": "output", **output.manifest, **resized}
    if path.suffix == ".dcb":
        if asked != arguments.NOTHING_ASKED:
            raise ConfigError(path, "is a blob, which knows no preprocessing", "name the output folder")
        data = read_bytes(path, partial(BlobError, code="ARGUMENT"))
        try:
            return {"kind": "blob", "file": what, **describe(data).to_json()}
        except BlobError as e:
            raise BlobError(path, str(e), code=e.code) from e
    chosen, size = arguments.preprocess(*asked), asked[-1]
    default = chosen.size if chosen else None
    model = load(what, weights=weights, input_size=size, default_size=default, trust=trust)
    return {"kind": "model", **_describe(model, chosen)}


def _describe(model: ImportedModel, form: InputForm | None) -> dict[str, Any]:
    graph = model.graph
    form = form or model.own_input or (preset(model.preprocess_hint) if model.preprocess_hint else None)
    if isinstance(form, Preprocess):
        form = with_size(form, max(graph.inputs[0].shape[1:]))
    dense, shapes = macs(graph), graph.shapes
    nodes = [(n.name, n.op.title, list(shapes[n.name]), dense.get(n.name, 0)) for n in graph.nodes]
    return {
        "name": graph.name,
        "inputs": {i.name: list(i.shape) for i in graph.inputs},
        "preprocess": None if form is None else form.to_json(),
        "outputs": {o: list(shapes[o]) for o in graph.outputs},
        "parameters": sum(c.weight.values.size + c.bias.size for _, c in graph.convs()),
        "macs": sum(dense.values()),
        "nodes": [dict(zip(("name", "operator", "shape", "macs"), node, strict=True)) for node in nodes],
    }


def show(data: Mapping[str, Any]) -> None:
    """A table of the plain values, then one for each mapping and each list of records."""
    plain = [(k, v) for k, v in data.items() if not isinstance(v, list | dict)]
    console.print_table(str(data["kind"]), ("", ""), plain)
    for key, value in data.items():
        if isinstance(value, dict):
            console.print_table(key, ("", ""), [(k, _counted(v)) for k, v in value.items()])
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            columns = [c for c, v in value[0].items() if not isinstance(v, dict)]
            console.print_table(key, columns, [[_counted(row.get(c)) for c in columns] for row in value])


def _counted(value: object) -> object:
    """A value to show: for a long list its length, as ``--json`` shows the list whole."""
    return f"{len(value)} entries" if isinstance(value, list) and len(value) > 8 else value
