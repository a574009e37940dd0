"""One trial of a study: a network is predicted, trained, compiled and measured, as far as there is hope for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dcgen.compress.recipes import DEFAULT, Keep
from dcgen.config import load_recipe
from dcgen.errors import ConfigError, NumericError, PictureError, PlanError
from dcgen.explore.dominance import Rival, Rule
from dcgen.explore.predict import Prediction, predict
from dcgen.explore.space import Values
from dcgen.explore.study import ARCHITECTURE, Candidate, Study
from dcgen.inputs.samples import Samples, open_samples
from dcgen.ir.graph import density
from dcgen.models.spec import SqueezeNetSpec
from dcgen.models.trainable import FROM_DATA
from dcgen.pipeline import Bench, compressed, firmware_plan_for
from dcgen.plan.firmware.needs import predict_needs
from dcgen.progress import Progress, Warn, counted, unheard
from dcgen.quant.execute import execute
from dcgen.result import Job, Pictures, Source
from dcgen.run_folder import CALIBRATION, Run
from dcgen.train.data import Part, labels_of, read_dataset
from dcgen.train.loop import Epoch
from dcgen.training import TrainJob, train

Status = Literal["trained", "over", "stopped", "infeasible", "failed"]
"""How a trial ended: trained; trained, but over a limit of the target; stopped as hopeless; not trained, as it
could not fit the target or is no network; without a usable network, as its numbers overflowed."""


@dataclass(frozen=True)
class Outcome:
    """What a trial has shown.

    reason : in a sentence, why a network was not trained to its end, is over a limit or misses its recipe's goal
    figures : what was measured, by column of the table
    excess : by how large a share limits were exceeded, by their names; 0 or less where they were kept
    curve : accuracy on held-out samples after each epoch
    predicted : before training; None where nothing could be predicted
    """

    status: Status
    recipe: str = ""
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    excess: Mapping[str, float] = field(default_factory=dict)
    curve: Sequence[float] = ()
    predicted: Prediction | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        found = data["predicted"]
        predicted = None if found is None else Prediction(**found)
        return cls(**{**data, "curve": tuple(data["curve"]), "predicted": predicted})


class Stopped(Exception):
    """A training was stopped as hopeless."""


class Trials:
    """Tries the networks of a study.

    runs : folder of the trainings' folders
    rivals : gives the trainings that have ended, by whichever worker
    """

    def __init__(
        self,
        study: Study,
        runs: Path,
        rivals: Callable[[], Iterable[Rival]],
        progress: Progress,
        warn: Warn,
    ) -> None:
        self._study, self._runs, self._rivals, self._progress, self._warn = study, runs, rivals, progress, warn
        self.samples: Samples = open_samples(study.data, warn, training=True)
        labels = labels_of(self.samples)
        if self.samples.kind(None) != "pictures":
            raise PictureError(study.data, "holds no pictures", "expected uint8 [N, H, W] or [N, H, W, C]")
        self._classes = int(labels.max()) + 1
        self._held: dict[int, Part] = {}

    def run(self, number: int, values: Values) -> Outcome:
        """The trial ``number`` of a point of the space. Raises a DcgenError where no trial could do better."""
        study, began = self._study, time.monotonic()
        try:
            candidate = study.candidate(values, self.samples.channels, self._classes)
            predicted = predict(study, candidate, self._progress)
        except (ConfigError, NumericError, PlanError) as e:
            return Outcome("infeasible", reason=str(e), excess={"plan": 1.0})
        excess = predicted.excess(study.limits)
        if over := [name for name, share in excess.items() if share > study.settings.margin]:
            reason = f"would take {excess[over[0]]:.0%} more than {over[0]} allows"
            return Outcome("infeasible", candidate.recipe, reason, {}, excess, predicted=predicted)
        curve: list[float] = []
        mine = Rival(number, candidate.recipe, curve, costs_of(study, predicted))
        rule = Rule(study.settings.stop_after, study.settings.stop_margin)

        def watch(epochs: Sequence[Epoch]) -> None:
            curve[:] = [e.accuracy for e in epochs]
            if (winner := rule.winner(mine, candidate.epochs, self._rivals())) is not None:
                raise Stopped(f"network {winner.number} was ahead after as many epochs, at no higher costs")

        made = (candidate.recipe, curve, predicted)
        try:
            figures, over_by, reason = self._measured(number, candidate, watch)
        except Stopped as e:
            return self._ended("stopped", made, str(e), {}, {}, began)
        except (NumericError, PlanError) as e:
            return self._ended("failed", made, str(e), {}, {"plan": 1.0}, began)
        status: Status = "over" if any(share > 0 for share in over_by.values()) else "trained"
        return self._ended(status, made, reason, figures, over_by, began)

    def _ended(
        self,
        status: Status,
        made: tuple[str, list[float], Prediction],
        reason: str,
        figures: Mapping[str, Any],
        excess: Mapping[str, float],
        began: float,
    ) -> Outcome:
        recipe, curve, predicted = made
        known = {**figures, "seconds": round(time.monotonic() - began, 1)}
        return Outcome(status, recipe, reason, known, excess, tuple(curve), predicted)

    def _measured(
        self, number: int, candidate: Candidate, watch: Callable[[Sequence[Epoch]], None]
    ) -> tuple[dict[str, Any], dict[str, float], str]:
        """Figures, excess and its reason of a candidate, which is trained."""
        study, folder = self._study, self._runs / f"{number:04d}"
        seed = study.settings.seed
        job = TrainJob(
            model=ARCHITECTURE,
            data=study.data,
            settings=settings_of(candidate.spec),
            size=candidate.spec.size,
            stages=candidate.stages,
            seed=int(np.random.default_rng([seed, number]).integers(2**31)),
            split=seed,
        )
        missed = train(job, folder, self._progress, self._warn, watch=watch)["missed"]
        figures, excess, reason = self._compiled(folder, candidate.spec.size)
        return figures, excess, reason or "; ".join(missed)

    def _held_out(self, size: int) -> Part:
        """The samples that compiled networks are run on, kept for each size of pictures."""
        if size not in self._held:
            settings = self._study.settings
            found = read_dataset(self.samples, None, (size, size), settings.seed, unheard).held_out
            most = settings.pictures
            self._held[size] = Part(found.data[:most].copy(), found.labels[:most])
        return self._held[size]

    def _compiled(self, folder: Path, size: int) -> tuple[dict[str, Any], dict[str, float], str]:
        """What ``dcgen compile`` makes of a run: figures, excess over the limits and the reason for that."""
        study, run = self._study, Run.read(folder)
        bench = Bench(
            Job(
                source=run.source(Source(model=str(folder))),
                pictures=Pictures(folder=folder / CALIBRATION),
                recipe=load_recipe(Keep.name if run.shared else DEFAULT),
                target=study.target,
            ),
            self._progress,
            unheard,
        )
        made = bench.integers(compressed(bench.job, bench))
        held = self._held_out(size)
        step = counted(self._progress, "running the integer network", len(held))
        scores = execute(made.qgraph, held.data, progress=step)
        active, reason = bench.active(made.qgraph), ""
        try:
            plan = firmware_plan_for(study.limits, study.target, made.qgraph, made.blob, active)
        except PlanError as e:
            return {"bytes": len(made.blob.data)}, {"ram": 1.0}, str(e)
        needs = predict_needs(plan, made.qgraph, made.blob, study.target, active)
        figures = {
            "accuracy": float((scores.argmax(1) == held.labels).mean()),
            "bytes": len(made.blob.data),
            "density": density(made.compressed, bench.graph),
            "arena_bytes": plan.arena_bytes,
        }
        if needs is None:
            return figures, {}, reason
        figures |= {"flash_bytes": needs.flash_bytes, "instructions": needs.instructions.total}
        figures |= {"most_instructions": needs.most_instructions.total}
        taken = Prediction(
            len(made.blob.data), 0.0, plan.arena_bytes, needs.flash_bytes, needs.most_instructions.total
        )
        excess = taken.excess(study.limits)
        over = [name for name, share in excess.items() if share > 0]
        return figures, excess, f"takes {excess[over[0]]:.1%} more than {over[0]} allows" if over else ""


def settings_of(spec: SqueezeNetSpec) -> dict[str, str]:
    """A candidate as settings of ``ARCHITECTURE``."""
    own = {name: value for name, value in asdict(spec).items() if name not in FROM_DATA}
    return {name: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for name, v in own.items()}


def costs_of(study: Study, predicted: Prediction) -> tuple[float, ...]:
    """The costs among a study's objectives, as they were predicted."""
    known = {"bytes": predicted.bytes, "instructions": predicted.instructions}
    return tuple(float(value) for name in study.objectives if (value := known.get(name)) is not None)
