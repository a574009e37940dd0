"""What a user asks to be explored: a TOML file that names data, target, budget and the space of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dcgen.amounts import amount
from dcgen.compress.settings import configured
from dcgen.errors import ConfigError
from dcgen.explore.space import GOALS, Space, Values, metaparameters
from dcgen.methods.magnitude import Magnitude
from dcgen.methods.rate_aware import RateAware
from dcgen.models.catalogue import find as find_model
from dcgen.models.spec import SqueezeNetSpec
from dcgen.models.trainable import find_trainable
from dcgen.plan.firmware.instructions import is_predicted
from dcgen.plan.firmware.needs import Budget
from dcgen.reading import read_toml
from dcgen.result import Limits
from dcgen.stages import checked, stage
from dcgen.targets import DEFAULT_TARGET, Target, find
from dcgen.training import Stage

Objective = Literal["accuracy", "bytes", "instructions"]
OBJECTIVES: tuple[Objective, ...] = ("accuracy", "bytes", "instructions")
ARCHITECTURE = "squeezenet"
"""The architecture of ``dcgen train`` that candidates are settings of."""
_AMOUNTS = {"ram": 1024, "flash": 1024, "max_instructions": 1000}
"""Settings that may be written as 192K or 40M, and what K stands for."""


@dataclass(frozen=True)
class Settings:
    """The settings of a study that are single values.

    network : the named SqueezeNet whose metaparameters hold where the space says nothing
    trials : networks that are tried, those that do not fit the target included; 0 for all of a grid
    epochs : of each trial, where the study has no recipes of its own: a third of them dense, the others rate-aware
    seed : of every random draw; a trial draws from this seed and its number
    sampler : how points are chosen: ``tpe`` (Bergstra et al. 2011, for several objectives Ozaki et al. 2020),
        ``nsga2`` (Deb et al. 2002), ``random``, or ``grid``, which takes every point in order
    margin : share by which a prediction made before training may exceed `flash` or `max_instructions`: it is made
        with random weights
    stop_after : share of a trial's epochs after which it may be stopped as hopeless; 1 to stop none
    stop_margin : accuracy, 0 to 1, by which it must be behind at the same epoch
    keep : whose runs stay on disk: those of the ``front``, or of ``all`` trained networks
    pictures : held-out samples that a compiled network is run on, at most
    """

    network: str = "squeezenet1_1"
    trials: int = field(default=0, metadata={"min": 0, "max": 1_000_000})
    epochs: int = field(default=12, metadata={"min": 2, "max": 100_000})
    seed: int = field(default=0, metadata={"min": 0, "max": 2**31 - 1})
    sampler: Literal["tpe", "nsga2", "random", "grid"] = "tpe"
    margin: float = field(default=0.2, metadata={"min": 0.0, "max": 10.0})
    stop_after: float = field(default=1 / 3, metadata={"min": 0.0, "max": 1.0})
    stop_margin: float = field(default=0.02, metadata={"min": 0.0, "max": 1.0})
    keep: Literal["front", "all"] = "front"
    pictures: int = field(default=2_000, metadata={"min": 1, "max": 1_000_000})


@dataclass(frozen=True)
class Candidate:
    """A point of the space as a network to be trained."""

    spec: SqueezeNetSpec
    recipe: str
    stages: tuple[Stage, ...]

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(s.schedule.epochs for s in self.stages)


@dataclass(frozen=True)
class Study:
    """A study.

    name : what it is called in a database, and in its networks' firmware
    data : labelled samples, as ``dcgen train`` takes them
    limits : what networks may take of the target
    objectives : what counts: accuracy on held-out samples, bytes of the blob, predicted instructions of a picture
    recipes : the stages of each recipe as tables, the goals of the space not among them
    table : the file's contents, for telling whether a folder or database holds this study
    """

    name: str
    data: Path
    target: Target
    limits: Limits
    objectives: tuple[Objective, ...]
    settings: Settings
    space: Space
    recipes: Mapping[str, Sequence[Mapping[str, Any]]]
    table: Mapping[str, Any]

    @property
    def budget(self) -> int:
        """How many networks are tried."""
        trials = self.settings.trials
        if self.settings.sampler != "grid":
            return trials
        count = len(self.space.grid())
        return min(trials, count) if trials else count

    def candidate(self, values: Values, channels: int, classes: int) -> Candidate:
        """The network of a point, for pictures of ``channels`` channels. Raises ConfigError where it is none."""
        spec = find_model(self.settings.network).spec
        made = replace(
            spec, **{**metaparameters(values), "name": self.name, "channels": channels, "classes": classes}
        )
        recipe = values.get("recipe", next(iter(self.recipes)))
        return Candidate(made, recipe, stages_of(self.recipes[recipe], values))


def stages_of(tables: Sequence[Mapping[str, Any]], values: Values) -> tuple[Stage, ...]:
    """The stages of a recipe with the goals of a point: ``density`` is a setting of each stage that prunes by
    magnitude, ``max_bytes`` of the last one.

    Raises ConfigError where stages make no sense, or a goal has no stage.
    """
    made = [dict(table) for table in tables]
    if "density" in values:
        pruning = [t for t in made if t.get("method") == Magnitude.name]
        if not pruning:
            raise ConfigError("density", f"needs a stage of method {Magnitude.name} in the recipe")
        for table in pruning:
            table["density"] = values["density"]
    if "max_bytes" in values:
        made[-1]["max_bytes"] = values["max_bytes"]
    dense = find_trainable(ARCHITECTURE, {}).schedule
    return checked([stage(table, number, dense) for number, table in enumerate(made, 1)])


def read_study(file: Path, data: Path | None = None) -> Study:
    """The study in a TOML file; ``data`` in place of the file's, whose path starts at the file's folder.

    Raises ConfigError naming the setting that is wrong.
    """
    table = read_toml(file, ConfigError)
    own = dict(table)
    name, said = own.pop("name", file.stem), own.pop("data", None)
    target, objectives = find(own.pop("target", DEFAULT_TARGET)), tuple(own.pop("objectives", OBJECTIVES))
    amounts = {k: _amount(k, own.pop(k), kilo) for k, kilo in _AMOUNTS.items() if k in own}
    space, recipes = Space.read(_table(own.pop("space", {}), "space")), own.pop("recipes", None)
    if data is None and not isinstance(said, str):
        raise ConfigError(file, "does not say which data networks are trained on", "set data, or give --data")
    if not isinstance(target, Target) or (amounts and not is_predicted(target)):
        problem = f"is no microcontroller whose {'needs' if amounts else 'firmware'} can be predicted"
        raise ConfigError(target.name, problem, "see dcgen targets")
    if recipes is not None and "epochs" in own:
        raise ConfigError("epochs", "is of no use where recipes say the epochs of their stages", "leave it out")
    settings = configured(Settings(**_texts(own)), "a study", own)
    _check_objectives(objectives, target)
    made = Study(
        str(name),
        data or file.parent / str(said),
        target,
        Limits(ram=amounts.get("ram"), budget=Budget(amounts.get("flash"), amounts.get("max_instructions"))),
        objectives,
        settings,
        space,
        _default_recipes(settings.epochs) if recipes is None else _recipes(recipes),
        {k: v for k, v in table.items() if k not in ("data", "trials", "keep")},
    )
    _check(made)
    return made


def _texts(own: dict[str, Any]) -> dict[str, Any]:
    """Take out the settings that may be any text."""
    network = own.pop("network", Settings.network)
    return {"network": find_model(str(network)).name}


def _amount(name: str, value: Any, kilo: int) -> int:
    found = amount(name, value, kilo) if isinstance(value, str) else value
    if not isinstance(found, int) or isinstance(found, bool) or found <= 0:
        raise ConfigError(name, f"expected an amount above 0 such as 192K, found {value!r}")
    return found


def _check_objectives(objectives: Sequence[Any], target: Target) -> None:
    wrong = [o for o in objectives if o not in OBJECTIVES or objectives.count(o) > 1]
    if wrong or not objectives:
        found = repr(wrong[0]) if wrong else "none"
        raise ConfigError("objectives", f"are some of {', '.join(OBJECTIVES)}, each once, found {found}")
    if "instructions" in objectives and not is_predicted(target):
        raise ConfigError("objectives", f"instructions cannot be predicted for {target.name}", "see dcgen targets")


def _check(study: Study) -> None:
    """Raise ConfigError where no trial can be made: where a recipe is not there, or refuses a goal."""
    if study.budget == 0:
        raise ConfigError("trials", "is missing", f"say how many networks {study.settings.sampler} tries")
    asked = list(study.space.values_of("recipe"))
    lost = [name for name in asked if name not in study.recipes]
    if lost:
        raise ConfigError("recipe", f"names {lost[0]!r}, but the recipes are {', '.join(study.recipes)}")
    goals = {n: 0.5 if n == "density" else 1 for n in GOALS if n in study.space.options}
    for name in asked or [next(iter(study.recipes))]:
        stages_of(study.recipes[name], goals)


def _default_recipes(epochs: int) -> dict[str, Any]:
    dense = max(1, epochs // 3)
    first = {"method": "dense", "epochs": dense, "rate": 0.001}
    return {RateAware.name: [first, {"method": RateAware.name, "epochs": epochs - dense, "rate": 0.002}]}


def _recipes(table: Any) -> dict[str, Any]:
    found = _table(table, "recipes")
    for name, stages in found.items():
        if not isinstance(stages, list) or not stages or not all(isinstance(s, dict) for s in stages):
            raise ConfigError(name, "is no recipe", "a recipe is a list of stages, tables with a method each")
    if not found:
        raise ConfigError("recipes", "has none", "leave it out, or give one")
    return found


def _table(found: Any, name: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ConfigError(name, f"is a table, found {found!r}")
    return found
