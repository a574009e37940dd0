"""The space of a study: for each metaparameter of a SqueezeNet, the values that it may take."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from dcgen.amounts import amount
from dcgen.errors import ConfigError
from dcgen.models.spec import SqueezeNetSpec

if TYPE_CHECKING:
    from optuna import Trial

Value = Any
"""A whole number, a number, a text, a list of whole numbers (``pool_after``) or a table (``conv1``)."""
Values = Mapping[str, Value]
"""A point of a space: a value for each of its names."""

_DEFAULTS = {f.name: f.default for f in fields(SqueezeNetSpec) if f.name not in ("name", "classes", "channels")}
CONV1 = {f"conv1_{name}": name for name in ("channels", "kernel", "stride", "pad")}
"""Metaparameters that a table ``conv1`` sets together, and their names in it."""
GOALS = ("max_bytes", "density")
"""Settings of a recipe's stages that a space may vary."""
NAMES = (*_DEFAULTS, "conv1", *GOALS, "recipe")
MOST_POINTS = 100_000
"""Most points of a grid."""


@dataclass(frozen=True)
class Choices:
    """Some values, one of them where nothing is varied."""

    values: tuple[Value, ...]

    @property
    def labels(self) -> tuple[Any, ...]:
        """The values as a database stores them: lists and tables as text."""
        return tuple(json.dumps(v) if isinstance(v, list | dict) else v for v in self.values)

    def suggest(self, trial: Trial, name: str) -> Value:
        if len(self.values) == 1:
            return self.values[0]
        return self.values[self.labels.index(trial.suggest_categorical(name, self.labels))]


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included.

    step : distance of neighbours, None where every number counts
    log : whether small numbers are tried as densely as large ones, relative to their size
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def is_whole(self) -> bool:
        return all(isinstance(v, int) for v in (self.low, self.high, self.step or 1))

    @property
    def labels(self) -> tuple[Any, ...]:
        """The numbers of a range that has a step."""
        assert self.step is not None
        count = math.floor((self.high - self.low) / self.step + 1e-9)
        return tuple(self.low + i * self.step for i in range(count + 1))

    def suggest(self, trial: Trial, name: str) -> Value:
        if self.is_whole:
            return trial.suggest_int(name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True)
class Space:
    """What a study varies, and what it holds fixed.

    options : for each name, in the order of the study's file, the values that it may take
    """

    options: Mapping[str, Choices | Range]

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Space:
        """The space of a table, in which a value is fixed, a list has choices, and a table is a range of ``low``,
        ``high`` and perhaps ``step`` or ``log``. Raises ConfigError naming the entry that is wrong."""
        return cls({name: _option(name, entry) for name, entry in table.items()})

    def suggest(self, trial: Trial) -> dict[str, Value]:
        """The point that an Optuna trial stands for. What is fixed is no parameter of the trial."""
        return {name: option.suggest(trial, name) for name, option in self.options.items()}

    def grid(self) -> list[dict[str, Any]]:
        """Every point by the labels of what is varied; the last name varies fastest.

        Raises ConfigError where a range has no step, or points are too many.
        """
        varied = {n: o for n, o in self.options.items() if not _is_fixed(o)}
        for name, option in varied.items():
            if isinstance(option, Range) and option.step is None:
                raise ConfigError(name, "is a range without a step, which a grid needs", "give a step or a list")
        count = math.prod(len(o.labels) for o in varied.values())
        if count > MOST_POINTS:
            raise ConfigError("space", f"has {count:,} points, expected at most {MOST_POINTS:,} in a grid")
        return [dict(zip(varied, p, strict=True)) for p in itertools.product(*(o.labels for o in varied.values()))]

    def values_of(self, name: str) -> Iterator[Value]:
        """The choices of ``name``; nothing where it is a range or the space does not have it."""
        option = self.options.get(name)
        yield from option.values if isinstance(option, Choices) else ()


def metaparameters(values: Values) -> dict[str, Any]:
    """The fields of a ``SqueezeNetSpec`` that a point sets."""
    found = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in _DEFAULTS}
    return found | {field: values["conv1"][key] for field, key in CONV1.items() if key in values.get("conv1", {})}


def _is_fixed(option: Choices | Range) -> bool:
    return isinstance(option, Choices) and len(option.values) == 1


def _option(name: str, entry: Any) -> Choices | Range:
    if name not in NAMES:
        raise ConfigError(name, f"is not in the space of networks; there are {', '.join(NAMES)}")
    if isinstance(entry, dict) and not (name == "conv1" and "low" not in entry):
        return _range(name, entry)
    several = isinstance(entry, list) and not (name == "pool_after" and all(isinstance(v, int) for v in entry))
    values = tuple(_value(name, v) for v in (entry if several else [entry]))
    if not values:
        raise ConfigError(name, "has no choices", "give one at least")
    if len(set(map(str, values))) < len(values):
        raise ConfigError(name, "has a choice twice")
    return Choices(values)


def _range(name: str, entry: Mapping[str, Any]) -> Range:
    stray = sorted(set(entry) - {"low", "high", "step", "log"})
    if stray or not {"low", "high"} <= set(entry):
        found = f"found {stray[0]!r}" if stray else "found " + (", ".join(entry) or "none")
        raise ConfigError(name, f"a range has low and high, and may have step or log, {found}")
    if name in ("conv1", "pool_after", "bypass", "recipe"):
        raise ConfigError(name, "has no range", "list its choices")
    low, high = _value(name, entry["low"]), _value(name, entry["high"])
    step = None if "step" not in entry else _value(name, entry["step"])
    log = entry.get("log", False)
    if not low < high or (step is not None and step <= 0):
        raise ConfigError(name, f"from {low} to {high} is no range" if not low < high else "needs a step above 0")
    if not isinstance(log, bool) or (log and (step is not None or low <= 0)):
        raise ConfigError(name, "log is true or false; a logarithmic range begins above 0 and has no step")
    return Range(low, high, step, log)


def _value(name: str, value: Any) -> Value:
    """A choice, of the type that its name asks for. Raises ConfigError."""
    if name == "max_bytes" and isinstance(value, str):
        return amount(name, value)
    match {"max_bytes": 1, "density": 0.5, "recipe": "", "conv1": {}}.get(name, _DEFAULTS.get(name)):
        case tuple():
            right, wanted = isinstance(value, list) and all(map(_is_whole, value)), "a list of whole numbers"
        case dict():
            right = isinstance(value, dict) and set(value) <= set(CONV1.values())
            right, wanted = (
                right and all(map(_is_whole, value.values())),
                f"a table of {', '.join(CONV1.values())}",
            )
        case str():
            right, wanted = isinstance(value, str), "a text"
        case float():
            right = isinstance(value, float) or _is_whole(value)
            value, wanted = float(value) if right else value, "a number"
        case _:
            right, wanted = _is_whole(value), "a whole number"
    if not right:
        raise ConfigError(name, f"expected {wanted}, found {value!r}")
    return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
