"""Trained networks from files and by name, as ``ir.Graph``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dcgen.errors import ConfigError, ModelError
from dcgen.importers.han import load_han
from dcgen.importers.model import ImportedModel
from dcgen.importers.onnx_import import load_onnx
from dcgen.importers.torch_import import load_pt2, refuse_untrusted
from dcgen.models.build import build_graph
from dcgen.models.catalogue import MODELS, Model, find
from dcgen.models.weights import load_params

__all__ = ["ImportedModel", "load"]


def load_tflite(path: Path, input_size: int | None, default_size: int | None) -> ImportedModel:
    """The network in a TFLite file. The package tflite is imported only now: it has 200 modules."""
    from dcgen.importers import tflite_import

    return tflite_import.load_tflite(path, input_size, default_size)


LOADERS: dict[str, Callable[[Path, int | None, int | None], ImportedModel]] = {
    ".onnx": load_onnx,
    ".pt2": load_pt2,
    ".tflite": load_tflite,
    ".net": load_han,
}


def load(
    model: str | Path,
    weights: str | Path | None = None,
    input_size: int | None = None,
    default_size: int | None = None,
    trust: bool = False,
) -> ImportedModel:
    """The network that ``model`` names: a file (with a suffix of ``LOADERS``) or a name of the catalogue.

    weights : file of the parameters of a named model; a model that ships a checkpoint needs none
    input_size : height and width of the input. Named models and ``.net`` files are built at that size. In other
        files it is the size of axes that are left open; ConfigError says where an axis has another size.
    default_size : the size of open axes where ``input_size`` is None
    trust : whether the file may run code while it is loaded, which a ``.pt2`` file can
    """
    if input_size is not None and input_size < 1:
        raise ConfigError("input size", f"is at least 1, found {input_size}")
    path = Path(model)
    loader = LOADERS.get(path.suffix.lower())
    if loader is None:
        if str(model) not in {m.name for m in MODELS} and (path.suffix or len(path.parts) > 1 or path.exists()):
            _refuse_path(path)
        return _load_named(find(str(model)), weights, input_size or default_size)
    if not path.is_file():
        raise ModelError(path, "no such file")
    if weights is not None:
        raise ConfigError(path, f"holds its own weights, found weights {weights} as well")
    if loader is load_pt2 and not trust:
        refuse_untrusted(path)
    return loader(path, input_size, default_size)


def _load_named(model: Model, weights: str | Path | None, input_size: int | None) -> ImportedModel:
    spec = model.spec if input_size is None else replace(model.spec, size=input_size)
    source = weights or model.checkpoint_path
    if source is None:
        raise ConfigError(model.name, "needs a file of trained weights", "give `weights`")
    graph = build_graph(spec, load_params(source, spec))
    return ImportedModel(graph, ("none",), model.name, model.preprocess)


def _refuse_path(path: Path) -> None:
    if not path.exists():
        raise ModelError(path, "no such file")
    raise ModelError(
        path,
        f"expected a known name or a model file ({', '.join(LOADERS)}), found suffix {path.suffix!r}",
        "a state dict goes with a name: give the model's name, and the file as `weights`",
    )
