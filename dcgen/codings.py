"""The names of the weight codings, which a recipe chooses from and ``encode`` implements."""

from __future__ import annotations

from typing import Literal

CodingName = Literal["joint", "deep-compression", "smallest"]
"""``joint``: one code over (zero run, level); ``deep-compression``: gaps and levels apart, as Han et al. 2016;
``smallest``: for each layer the smaller one of the two."""
