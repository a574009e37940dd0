"""PyTorch modules and ``torch.export`` programs to ``ir.Graph``, by way of ONNX.

PyTorch's own exporter turns a program into standard ONNX operators, and every operator of the ONNX importer is
tested against the ONNX project's node tests. Handlers for ATen operators would have to prove the same again. The
extra ``torch`` (torch and onnxscript) must be installed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcgen.errors import ModelError, ToolError
from dcgen.importers.model import ImportedModel
from dcgen.importers.onnx_file import first_line
from dcgen.importers.onnx_import import import_onnx
from dcgen.importers.torch_pools import adaptive_pools
from dcgen.reading import read_archive

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

_NO_ARCHIVE = "is not a torch.export archive"


def refuse_untrusted(path: Path) -> None:
    """Raise ModelError saying why a file written by ``torch.export.save`` must be trusted before it is loaded.

    PyTorch unpickles example inputs and some weights, and evaluates the expressions that stand for open sizes.
    Either runs whatever code the file holds.
    """
    files = read_archive(path, ModelError, _NO_ARCHIVE)
    pickles = [name for name, data in files.items() if data.startswith((b"\x80", b"PK"))]
    what = f"holds pickles ({pickles[0]})" if pickles else "is read by PyTorch, which evaluates parts of it"
    raise ModelError(path, f"{what}: loading it can run any code", "give `trust` if you trust whoever made it")


def load_pt2(path: str | Path, input_size: int | None = None, default_size: int | None = None) -> ImportedModel:
    """The network in a file written by ``torch.export.save``; sizes as in ``onnx_file.normalize``.

    The file must be trusted, see ``refuse_untrusted``.
    """
    path = Path(path)
    read_archive(path, ModelError, _NO_ARCHIVE)
    torch = _torch()
    try:
        with _quiet():
            program = torch.export.load(path)
    except Exception as e:  # torch documents none of the exceptions that a damaged archive raises
        raise ModelError(path, f"is not a readable torch.export archive: {first_line(e)}") from None
    return import_program(program, str(path), input_size, default_size)


def import_program(
    program: ExportedProgram, source: str, input_size: int | None = None, default_size: int | None = None
) -> ImportedModel:
    """The network in an exported program; ``source`` names it in errors, sizes as in ``onnx_file.normalize``."""
    torch = _torch()
    try:
        with _quiet():
            exported = torch.onnx.export(
                program, dynamo=True, verbose=False, custom_translation_table=adaptive_pools()
            )
    except ImportError as e:
        raise ToolError("onnxscript", f"is needed to import {source}: {e}", "pip install dcgen[torch]") from None
    except Exception as e:  # torch documents none of the exceptions that a program it cannot export raises
        raise ModelError(source, f"cannot be expressed in ONNX: {first_line(e)}") from None
    return import_onnx(exported.model_proto, source, input_size, default_size)


def import_module(module: nn.Module, shape: Sequence[int], source: str = "module") -> ImportedModel:
    """The network of a module in evaluation mode, traced with one picture of ``shape`` (C, H, W)."""
    torch = _torch()
    training = module.training
    try:
        program = torch.export.export(module.eval(), (torch.zeros(1, *shape),))
    except Exception as e:  # tracing runs the module's own code
        raise ModelError(source, f"cannot be traced by torch.export: {first_line(e)}") from None
    finally:
        module.train(training)
    return import_program(program, source)


@contextmanager
def _quiet() -> Iterator[None]:
    """While this is entered, torch's exporter does not warn (of packages it could use, of its deprecations)."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _torch() -> Any:
    try:
        import torch
        import torch.export
        import torch.onnx
    except ImportError:
        raise ToolError("torch", "is needed to import PyTorch models", "pip install dcgen[torch]") from None
    return torch
