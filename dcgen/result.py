"""What is asked of a compilation and what it produces: the types that pipeline and report share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.compress.evidence import Trial
from dcgen.compress.recipes import Recipe
from dcgen.encode.blob import Blob
from dcgen.fidelity import Fidelity
from dcgen.importers.model import ImportedModel
from dcgen.ir.graph import Graph
from dcgen.pictures import Preprocess
from dcgen.plan.engine.cycles import Prediction
from dcgen.plan.engine.pace import Pace
from dcgen.plan.engine.plan import EnginePlan
from dcgen.plan.firmware.needs import UNLIMITED, Budget, Needs
from dcgen.plan.firmware.plan import FirmwarePlan
from dcgen.quant.qgraph import QGraph
from dcgen.quant.ranges import Range
from dcgen.targets import EngineTarget, Target


@dataclass(frozen=True)
class Job:
    """What a user asks to be compiled.

    model : path or catalogue name
    preprocess : None for what the model itself expects
    size : input height and width, or None for the model's or the preset's own
    calibration : folder of pictures
    labels : classes of those pictures, for a goal of accuracy only
    weigh : whether work on the target counts beside the bytes of the file
    point : file of a point that ``frontier`` wrote: its levels are taken instead of the recipe's
    ram : bytes that the firmware may take of the target's memory, None for as many as make it fast
    table_bits : that the firmware's decoding tables are entered with, None for what makes it fast
    budget : what the firmware may need on the target
    checkpoint : folder in which a training keeps what it has done so far, None for nowhere
    bitstream : whether to place and route the target's engine for its board
    best_lanes : whether the engine gets the lanes that suit the network best, instead of the target's
    """

    model: str
    weights: Path | None
    preprocess: Preprocess | None
    size: int | None
    calibration: Path
    recipe: Recipe
    target: Target | EngineTarget
    bitstream: bool = False
    labels: Path | None = None
    weigh: bool = False
    point: Path | None = None
    ram: int | None = None
    table_bits: int | None = None
    budget: Budget = UNLIMITED
    best_lanes: bool = False
    checkpoint: Path | None = None


@dataclass(frozen=True, eq=False)
class Calibration:
    """Camera pictures uint8 [N, H, W, C] in their two roles, disjoint unless there is only one.

    labels : int64 [N], classes of the held-out ones, where they are known
    """

    measure: NDArray[np.uint8]
    held_out: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class EngineCompiled:
    """What an engine is told, how long it will take, and what its board makes of that (None without a board)."""

    plan: EnginePlan
    prediction: Prediction
    pace: Pace | None


@dataclass(frozen=True, eq=False)
class Compiled:
    """All that a compilation knows; manifest and report say nothing that is not from here.

    compressed : canonical float graph, every convolution with its levels
    held_out : the integer network against the float one on the held-out calibration pictures
    needs : of the firmware on the target; None where the target has no such figures
    engine : None where the target has none
    said : what passes had to say, by its key in the manifest
    """

    job: Job
    model: ImportedModel
    preprocess: Preprocess
    calibration: Calibration
    compressed: Graph
    ranges: dict[str, Range]
    qgraph: QGraph
    blob: Blob
    plan: FirmwarePlan
    held_out: Fidelity
    needs: Needs | None = None
    engine: EngineCompiled | None = None
    said: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def trial_of(blob: Blob, held_out: Fidelity) -> Trial:
    """The figures that goals are about."""
    drop = None
    if held_out.float_ is not None and held_out.compressed is not None:
        drop = 100 * (held_out.float_.top1 - held_out.compressed.top1)
    return Trial(len(blob.data), held_out.mean_kl, held_out.agreement, drop, held_out.score_error)
