"""Settings as dataclasses: types and bounds stand in the fields, values come as texts or from TOML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from dcgen.errors import ConfigError

Settings = TypeVar("Settings")


def named(settings: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each of the texts ``settings``, such as ``name=value``, with its name and its value. Raises ConfigError."""
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise ConfigError(setting, "is not a setting, expected name=value")
        yield setting, name, value


def configured(base: Settings, name: str, settings: Mapping[str, Any]) -> Settings:
    """The dataclass ``base`` with some fields changed.

    name : what has these settings, for messages
    settings : values by field; texts are converted to the field's type

    Raises ConfigError for an unknown setting, and for a value of another type or out of bounds: ``min`` and
    ``max`` in the field's metadata, both included.
    """
    given: Any = base
    known = {f.name: f for f in fields(given)}
    hints = get_type_hints(type(base))
    changes = {}
    for key, value in settings.items():
        if key not in known:
            raise ConfigError(key, f"is not a setting of {name}; there are {', '.join(known)}")
        bounds = known[key].metadata
        changes[key] = _value(key, value, hints[key], bounds.get("min"), bounds.get("max"))
    changed: Settings = replace(given, **changes)
    return changed


def _value(key: str, value: Any, kind: Any, low: float | None, high: float | None) -> Any:
    """The value as ``kind``: a Literal, bool, int, float, one of these or None, a tuple of ints, or a mapping of
    names to floats. Raises ConfigError."""
    if get_origin(kind) is UnionType:
        kind = next(k for k in get_args(kind) if k is not NoneType)
    if kind == tuple[int, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, Sequence) or isinstance(parts, str):
            raise ConfigError(key, f"must be whole numbers separated by commas, not {value!r}")
        return tuple(_value(key, part, int, low, high) for part in parts)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(key, f"must be one of {', '.join(get_args(kind))}, not {value!r}")
        return value
    if kind is bool:
        if value not in (True, False, "true", "false"):
            raise ConfigError(key, f"must be true or false, not {value!r}")
        return value in (True, "true")
    if kind not in (int, float):
        if not isinstance(value, Mapping):
            raise ConfigError(key, f"must be a table of numbers by layer name, not {value!r}")
        return {str(k): _value(f"{key}.{k}", v, float, low, high) for k, v in value.items()}
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(key, f"must be a {'whole ' if kind is int else ''}number, not {value!r}") from None
    if (
        isinstance(value, bool)
        or (kind is int and float(value) != number)
        or not (low or 0) <= number <= (high or np.inf)
    ):
        raise ConfigError(
            key, f"must be {'a whole' if kind is int else 'a'} number from {low:g} to {high:g}, not {value!r}"
        )
    return number
