"""Fitted costs."""

from collections.abc import Mapping
from typing import Final

INSTRUCTIONS: Final[Mapping[str, Mapping[str, float]]] = {}
FLASH: Final[Mapping[str, Mapping[str, float]]] = {}
