"""Training of all weights as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dcgen.methods.method import Given, Method


@dataclass(frozen=True)
class Dense(Method):
    """No compression: the reference that others are compared with, and the second ``dense`` of dense-sparse-dense
    (Han et al. 2017), where what was pruned grows from zero again."""

    name: ClassVar[str] = "dense"
    source: ClassVar[str] = "Han et al. 2017, section 3"

    def parametrization(self, layer: Given) -> None:
        return None
