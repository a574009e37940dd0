"""The C identifiers and file names of one model."""

from __future__ import annotations

from dataclasses import dataclass

from dcgen.emit.render import identifier


@dataclass(frozen=True)
class ModelNames:
    """C identifiers and file names, all made from ``name``, a C identifier; models of different names share
    none."""

    name: str

    @classmethod
    def of(cls, name: str) -> ModelNames:
        """The names of a model whose name is any text; see ``identifier``."""
        return cls(identifier(name))

    @property
    def macro(self) -> str:
        """What the model's macros begin with: ``DCG_<NAME>``."""
        return f"DCG_{self.name.upper()}"

    @property
    def symbol(self) -> str:
        """What the model's symbols begin with: ``dcg_<name>``."""
        return f"dcg_{self.name}"

    @property
    def header(self) -> str:
        return f"{self.name}.h"

    @property
    def plan_source(self) -> str:
        return f"{self.name}_plan.c"

    @property
    def blob(self) -> str:
        return f"{self.name}.dcb"

    @property
    def blob_incbin(self) -> str:
        return f"{self.name}_blob.S"

    @property
    def blob_array(self) -> str:
        return f"{self.name}_blob_array.c"

    @property
    def selftest_source(self) -> str:
        return f"{self.name}_selftest.c"
