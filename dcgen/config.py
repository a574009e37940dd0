"""Recipes from the command line: a name or a TOML file, and ``name=value`` settings that change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dcgen.compress.recipes import DEFAULT, Recipe, recipe
from dcgen.compress.settings import named
from dcgen.errors import ConfigError
from dcgen.reading import damage, read_toml


def load_recipe(name_or_file: str, settings: Sequence[str] = (), asked: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe a user asks for.

    name_or_file : a recipe's name, or a TOML file of settings, with ``recipe = "NAME"`` among them
    settings : ``name=value`` or, for an entry of a table, ``table.entry=value``; they replace the file's
    asked : settings that have flags of their own; they replace both others

    Raises ConfigError naming the setting or the file that is wrong.
    """
    values: dict[str, Any] = {}
    name = name_or_file
    if name_or_file.endswith(".toml"):
        values = read_toml(Path(name_or_file), ConfigError)
        name = values.pop("recipe", DEFAULT)
    for setting, key, value in named(settings):
        table, _, entry = key.partition(".")
        if entry:
            entries = values.get(table, {})
            if not isinstance(entries, dict):
                raise ConfigError(setting, f"sets an entry of a table, but {table} is {entries!r}")
            values[table] = {**entries, entry: value}
        else:
            values[key] = value
    with damage(name_or_file, ConfigError, "holds a setting of no use"):
        return recipe(name, {**values, **(asked or {})})
