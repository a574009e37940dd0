"""What is asked of a compilation and what it produces: the types that pipeline and report share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.compress.evidence import Trial
from dcgen.compress.recipes import Recipe
from dcgen.encode.blob import Blob
from dcgen.fidelity import Fidelity
from dcgen.importers.model import ImportedModel
from dcgen.inputs.samples import InputForm
from dcgen.ir.graph import Graph
from dcgen.metric import OutputKind
from dcgen.plan.engine.cycles import Prediction
from dcgen.plan.engine.pace import Pace
from dcgen.plan.engine.plan import EnginePlan
from dcgen.plan.firmware.needs import UNLIMITED, Budget, Needs
from dcgen.plan.firmware.plan import FirmwarePlan
from dcgen.quant.qgraph import QGraph
from dcgen.quant.ranges import Range
from dcgen.targets import EngineTarget, Target


@dataclass(frozen=True, kw_only=True)
class Source:
    """The float model, and how pictures become its input.

    model : path of a model file, or name in the catalogue
    weights : file of weights for a named model; None for a model file, or for the weights that ship with the name
    preprocess : how samples become its input; None for what the model states itself
    size : input height and width in pixels, or None for the preset's or the model's own
    name : what firmware and report call the model, or None for the name that its file gives it
    trust : whether the model file may run code while it is loaded
    trained : file of the weights that a training has made of the model's; None where nothing was trained. Figures
        compare with the model as its file has it.
    """

    model: str
    weights: Path | None = None
    preprocess: InputForm | None = None
    size: int | None = None
    name: str | None = None
    trust: bool = False
    trained: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The calibration samples on disk; see ``inputs.samples``.

    folder : folder of picture files or of class folders, or a file of arrays
    labels : file with the class of each sample; None for what class folders or an array y say
    """

    folder: Path
    labels: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the firmware may take of the target.

    ram : most bytes of RAM; None for as many as make the firmware fastest
    table_bits : bits that index the firmware's decoding tables; None for the number that makes it fastest
    budget : most bytes of flash, and most instructions for a picture
    """

    ram: int | None = None
    table_bits: int | None = None
    budget: Budget = UNLIMITED


@dataclass(frozen=True, kw_only=True)
class EngineChoices:
    """What is asked of the engine; nothing where the target is a microcontroller.

    best_lanes : give the engine the lanes on which this network is fastest, instead of the target's lanes
    bitstream : place and route the engine for its board
    """

    best_lanes: bool = False
    bitstream: bool = False


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a user asks to be compiled.

    recipe : how the network is compressed
    point : file of a point that ``frontier`` wrote; its levels are taken instead of those the recipe would find
    checkpoint : folder in which a training keeps its state; None to keep it in memory only
    outputs : whether the outputs are the scores of classes or values, once for all or for each; None for what
        their shapes suggest
    target : the machine that the network is compiled for
    weigh : whether work on the target counts beside the bytes of the file when levels are chosen
    """

    source: Source
    pictures: Pictures
    recipe: Recipe
    point: Path | None = None
    checkpoint: Path | None = None
    outputs: tuple[OutputKind, ...] | None = None
    target: Target | EngineTarget
    weigh: bool = False
    limits: Limits = Limits()
    engine: EngineChoices = EngineChoices()


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration samples as the bytes that the network takes, uint8 [N, H, W, C].

    measure : pictures for statistics
    held_out : pictures for choices; none is in both unless there is only one
    labels : int64 [N], classes of the held-out pictures, where they are known
    real : float32 [N, C, H, W], the values of the held-out samples where these were given as real numbers; None
        where the bytes say them exactly
    """

    measure: NDArray[np.uint8]
    held_out: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None
    real: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Integers:
    """A compressed network as integers, and what it is worth.

    compressed : canonical float graph, every convolution with its levels, and without channels that make no
        difference
    ranges : activation range of each node of ``compressed`` whose values a machine stores
    scores : int32 [N, S], of the held-out samples
    trial : the figures on the held-out samples that goals are about
    """

    compressed: Graph
    ranges: dict[str, Range]
    qgraph: QGraph
    blob: Blob
    scores: NDArray[np.int32]
    trial: Trial


@dataclass(frozen=True, eq=False)
class EngineCompiled:
    """A network on an engine.

    plan : the engine's command list and where tensors lie
    prediction : cycles that the engine takes for a picture
    pace : pictures a second on the engine's board, None where it has none
    """

    plan: EnginePlan
    prediction: Prediction
    pace: Pace | None


@dataclass(frozen=True, eq=False)
class Compiled:
    """All that a compilation knows; manifest and report say nothing that is not from here.

    graph : the float network in canonical form, with all its channels
    held_out : fidelity of the integer network to the float model on the held-out samples
    plan : of the firmware, which is emitted for every target
    needs : what the firmware takes of the target; None where that cannot be predicted
    engine : None where the target is no engine
    said : what the recipe's passes reported, by key of the manifest
    kinds : what each output is
    units : float64 [S], real values of the integer network's outputs of 1; None where all are 1
    """

    job: Job
    model: ImportedModel
    preprocess: InputForm
    calibration: Calibration
    graph: Graph
    integers: Integers
    held_out: Fidelity
    plan: FirmwarePlan
    needs: Needs | None
    engine: EngineCompiled | None
    said: Mapping[str, Mapping[str, Any]]
    kinds: tuple[OutputKind, ...]
    units: NDArray[np.float64] | None

    @property
    def scales(self) -> list[float] | None:
        """Real value of a unit of each score; None where the only output is classes, whose scores share one."""
        if self.kinds == ("classes",):
            return None
        graph = self.integers.qgraph
        units = np.ones(graph.n_scores) if self.units is None else self.units
        return [float(scale) * float(unit) for scale, unit in zip(graph.scales, units, strict=True)]
