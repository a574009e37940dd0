"""The stages of a training: from a TOML file, or those that suit a goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from dcgen.compress.settings import configured
from dcgen.errors import ConfigError
from dcgen.methods.dense import Dense
from dcgen.methods.energy import Energy
from dcgen.methods.fused import Diverse, Similar
from dcgen.methods.group_lasso import GroupLasso
from dcgen.methods.magnitude import Magnitude
from dcgen.methods.method import Method
from dcgen.methods.rate_aware import RateAware
from dcgen.methods.sharing import Sharing
from dcgen.methods.structured import Filters, Zeros
from dcgen.methods.surgery import Surgery
from dcgen.reading import read_toml
from dcgen.train.goal import Goal
from dcgen.train.stage import Schedule
from dcgen.training import Stage

STRUCTURED: tuple[type[Method], ...] = (Filters, Zeros, GroupLasso, Similar, Diverse, Energy)
METHODS: tuple[type[Method], ...] = (Dense, Magnitude, Surgery, *STRUCTURED, Sharing, RateAware)
DENSE: Mapping[str, Any] = {"method": Dense.name}
"""The only stage without a goal, the first one with any."""
PRUNING: Mapping[str, Any] = {"method": Magnitude.name, "epochs": 10}
"""The stage that a limit of the density adds; its density is that limit."""
FILE: Mapping[str, Any] = {"method": RateAware.name, "epochs": 40, "rate": 0.002}
"""The last stage with any goal: it makes levels, at the price that the goal allows."""
SCHEDULE = Schedule()
_SCHEDULE = {f.name for f in fields(Schedule)}


def load_stages(file: Path | None, goal: Goal, dense: Schedule | None = SCHEDULE) -> tuple[Stage, ...]:
    """The stages in a TOML file, or the default ones for ``goal``, whose limits are then those of the last stage.

    dense : how dense stages are trained unless they say otherwise; None where a model file is compressed, which is
        trained already

    Raises ConfigError naming what is wrong.
    """
    trained = dense is None
    tables = default_tables(goal, trained) if file is None else _tables(file)
    limits = {name: value for name, value in asdict(goal).items() if value != getattr(Goal(), name)}
    tables[-1] = {**tables[-1], **limits}
    return checked([stage(table, number, dense or SCHEDULE) for number, table in enumerate(tables, 1)], trained)


def default_tables(goal: Goal, trained: bool = False) -> list[dict[str, Any]]:
    """The stages that suit a goal, without its limits. Raises ConfigError where there is nothing to do: neither a
    goal nor, as the network is ``trained``, a dense stage."""
    first = [] if trained else [dict(DENSE)]
    if goal == Goal():
        if trained:
            raise ConfigError(
                "the network", "is trained already", "give `max_bytes`, or `stages` that compress it"
            )
        return first
    pruning = [{**PRUNING, "density": goal.max_density}] if goal.max_density < 1 else []
    return [*first, *pruning, dict(FILE)]


def stage(settings: Mapping[str, Any], number: int, dense: Schedule = SCHEDULE) -> Stage:
    """Stage ``number``, from 1, of a table: ``method``, settings of that method, and of the schedule, of which a
    dense stage takes what the table does not say from ``dense``."""
    name, thing = settings.get("method"), f"stage {number}"
    for kind in METHODS:
        if kind.name == name:
            break
    else:
        there = f"there are {', '.join(m.name for m in METHODS)}"
        problem = "has no method" if name is None else f"is of method {name!r}, which does not exist"
        raise ConfigError(thing, problem, there)
    own = {f.name for f in fields(kind)}
    for key in settings:
        if key != "method" and key not in own | _SCHEDULE:
            there = ", ".join(["method", *(f.name for f in fields(kind)), *(f.name for f in fields(Schedule))])
            raise ConfigError(thing, f"has no setting {key!r}; with method {name} there are {there}")
    method = configured(kind(), name, {k: v for k, v in settings.items() if k in own})
    base = dense if kind is Dense else SCHEDULE
    return Stage(method, configured(base, thing, {k: v for k, v in settings.items() if k in _SCHEDULE}))


def checked(stages: Sequence[Stage], trained: bool = False) -> tuple[Stage, ...]:
    """The stages, if all of them make sense where they stand, else ConfigError.

    trained : whether the network is, so that no stage has to be dense
    """
    counting = ", ".join(m.name for m in METHODS if m.counts_bits)
    if not trained and stages[0].method.name != Dense.name:
        problem = f"is of method {stages[0].method.name}, expected dense: nothing is trained yet that it could use"
        raise ConfigError("stage 1", problem)
    behind = trained  # whether the float network is made
    for number, found in enumerate(stages, 1):
        thing, name, limits = f"stage {number}", found.method.name, found.schedule
        behind |= name != Dense.name
        if limits.max_bytes and not found.method.counts_bits:
            problem = f"has max_bytes, but method {name} counts no bits that could have a price"
            raise ConfigError(thing, problem, f"methods that do: {counting}")
        if limits.max_density < 1 and (name == Dense.name or number < len(stages)):
            reason = "method dense prunes nothing" if name == Dense.name else "only the last stage is chosen by it"
            raise ConfigError(thing, f"has max_density, but {reason}")
        if not behind and limits.goal != Goal():
            raise ConfigError(thing, "has max_top1_drop, but trains the network that it is relative to")
        if not behind and limits.distill:
            raise ConfigError(thing, "has distill, but trains the network that others are to learn from")
    return tuple(stages)


def _tables(file: Path) -> list[dict[str, Any]]:
    found = read_toml(file, ConfigError)
    stages = found.pop("stage", None)
    if found:
        raise ConfigError(file, f"has {next(iter(found))!r} outside of stages", "it holds [[stage]] tables only")
    if not isinstance(stages, list) or not stages or not all(isinstance(t, dict) for t in stages):
        raise ConfigError(file, "has no [[stage]] tables", "give one for each stage, with its method")
    return stages
