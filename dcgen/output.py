"""An output folder read back: what ``verify``, ``eval`` and ``inspect`` start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.emit.golden import TENSORS
from dcgen.encode.reader import decode
from dcgen.errors import BlobError, DcgenError, OutputError
from dcgen.files import MARKER
from dcgen.importers import load
from dcgen.inputs.samples import InputForm
from dcgen.inputs.tensor import TensorInput
from dcgen.ir.graph import F64, Graph
from dcgen.ir.verify import of_one_input
from dcgen.metric import OutputKind
from dcgen.pictures import Preprocess
from dcgen.quant.qgraph import QGraph
from dcgen.reading import DAMAGE, read_bytes, read_json

PURPOSES = ("measured", "held_out")
"""What calibration pictures are for: some are measured for statistics, the others are held out for choices."""


@dataclass(frozen=True, eq=False)
class Output:
    """A folder that ``compile`` wrote.

    preprocess : how pictures or values become the bytes that the network takes
    qgraph : the integer network, read from the blob; its names are from the manifest
    kinds : what each output is; those of versions that did not say are classes
    units : real values of the integer network's outputs of 1: float64 [S]; None where all are 1
    calibrated_on : for each purpose (``measured``, ``held_out``) the digests of its calibration pictures; empty if
        the manifest was written by a version that did not list them
    """

    path: Path
    manifest: dict[str, Any]
    preprocess: InputForm
    qgraph: QGraph
    kinds: tuple[OutputKind, ...]
    units: F64 | None
    calibrated_on: dict[str, frozenset[str]]

    @property
    def size(self) -> tuple[int, int]:
        """Input height and width."""
        return self.qgraph.input.shape[1:]

    @property
    def golden(self) -> Path:
        """The folder of golden pictures, or the file of golden values."""
        folder = self.path / "golden"
        return folder if isinstance(self.preprocess, Preprocess) else folder / TENSORS

    def float_graph(self) -> Graph:
        """The float model before any pass. Raises OutputError where it is that of another network."""
        graph = of_one_input(load(str(self.path / "float.onnx")).graph)
        found = graph.inputs[0].shape, graph.n_scores
        expected = self.qgraph.input.shape, self.qgraph.n_scores
        if found != expected:
            problem = f"has input and outputs {found}, those of the blob are {expected}"
            raise OutputError(self.path / "float.onnx", problem, "compile it again")
        return graph


def open_output(path: Path) -> Output:
    """Read a folder that ``compile`` wrote.

    Raises OutputError where it is not such a folder or its manifest is damaged, BlobError where its blob is.
    """
    if not (path / MARKER).is_file():
        raise OutputError(
            path, f"is not an output of dcgen: it holds no {MARKER}", "name a folder that compile wrote"
        )
    try:
        manifest = read_json(path / MARKER, OutputError)
        names = tuple(map(str, (manifest["tensors"][0]["name"], *manifest["nodes"])))
        data = read_bytes(path / "model.dcb", OutputError)
        name = str(manifest["name"])
        qgraph = replace(decode(data, names=names), name=name)
        preprocess: InputForm
        if manifest["preprocess"] is None:
            preprocess = TensorInput.from_json(manifest["input"], qgraph.input.shape)
        else:
            preprocess = Preprocess.from_json(manifest["preprocess"])
        stated = manifest.get("outputs", [{}])
        kinds = tuple[OutputKind, ...](
            "values" if output.get("kind") == "values" else "classes" for output in stated
        )
        if len(kinds) != len(qgraph.score_nodes):
            raise ValueError(f"it states {len(kinds)} outputs, the blob has {len(qgraph.score_nodes)}")
        units = None if stated[0].get("units") is None else np.array(stated[0]["units"], np.float64)
        if units is not None and not (units.shape == (qgraph.n_scores,) and (units > 0).all()):
            raise ValueError(f"its outputs have units {stated[0]['units']}")
        calibration = manifest["calibration"]
        listed = "measured_pictures" in calibration
        calibrated_on = {p: frozenset(calibration[f"{p}_pictures"]) for p in PURPOSES if listed}
    except BlobError as e:
        raise BlobError(path / "model.dcb", str(e), code=e.code) from e
    except DcgenError as e:
        raise OutputError(path / MARKER, f"is damaged: {e}", "compile it again") from e
    except DAMAGE as e:
        raise OutputError(path, f"is damaged: {type(e).__name__} {e}", "compile it again") from e
    if (channels := qgraph.input.shape[0]) != preprocess.channels:
        problem = f"is damaged: pictures have {preprocess.channels} channels, the network takes {channels}"
        raise OutputError(path / MARKER, problem, "compile it again")
    return Output(path, manifest, preprocess, qgraph, kinds, units, calibrated_on)
