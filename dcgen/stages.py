"""The stages of a training: from a TOML file, or those that suit a goal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from dcgen.compress.settings import configured
from dcgen.errors import ConfigError
from dcgen.methods.dense import Dense
from dcgen.methods.method import Method
from dcgen.methods.rate_aware import RateAware
from dcgen.reading import read_toml
from dcgen.train.stage import Schedule
from dcgen.training import Stage

METHODS: tuple[type[Method], ...] = (Dense, RateAware)
_SCHEDULE = {f.name for f in fields(Schedule)}


def load_stages(file: Path | None, max_bytes: int | None, dense: Schedule | None) -> tuple[Stage, ...]:
    """The stages in a TOML file, or the default ones: dense, then rate-aware where ``max_bytes`` is given.

    max_bytes : the goal of the last stage
    dense : how dense stages are trained unless they say otherwise; None for a network that is trained already, of
        which the default stages have none

    Raises ConfigError naming what is wrong.
    """
    tables: list[dict[str, Any]] = [{"method": Dense.name}] if dense is not None else []
    if file is not None:
        tables = _tables(file)
    if file is None and max_bytes is not None:
        tables.append({"method": RateAware.name, **RATE_DEFAULTS})
    if not tables:
        raise ConfigError("the network", "is trained already", "give `max_bytes`, or `stages` that compress it")
    if max_bytes is not None:
        tables[-1] = {**tables[-1], "max_bytes": max_bytes}
    return tuple(stage(table, dense or Schedule()) for table in tables)


RATE_DEFAULTS: Mapping[str, Any] = {"epochs": 40, "rate": 0.002}


def stage(settings: Mapping[str, Any], dense: Schedule) -> Stage:
    """A stage of a table: ``method``, settings of that method, and of the schedule, which a dense stage takes from
    ``dense`` where the table does not say it."""
    name = settings.get("method")
    for kind in METHODS:
        if kind.name == name:
            break
    else:
        raise ConfigError(repr(name), f"is no method of a stage; there are {', '.join(m.name for m in METHODS)}")
    given = {k: v for k, v in settings.items() if k != "method"}
    own = {k: v for k, v in given.items() if k not in _SCHEDULE}
    schedule = {k: v for k, v in given.items() if k in _SCHEDULE}
    base = dense if kind is Dense else Schedule()
    return Stage(configured(kind(), kind.name, own), configured(base, "a stage", schedule))


def _tables(file: Path) -> list[dict[str, Any]]:
    found = read_toml(file, ConfigError).get("stage")
    if not isinstance(found, list) or not found or not all(isinstance(t, dict) for t in found):
        raise ConfigError(file, "has no [[stage]] tables", "give one for each stage, with its method")
    return found
