"""Every exception dcgen raises on purpose.

A message is one readable line: the thing, what was expected, what was found, what to do.
The command line prints it, with flags in place of settings, and exits with 1; any other exception is a bug.
"""

from __future__ import annotations

from collections.abc import Sequence


class DcgenError(Exception):
    """Base of all errors a user can cause.

    Parameters
    ----------
    thing : what is wrong, by name (file, node, tensor, setting)
    problem : what was expected and what was found, in one sentence
    hint : what to do about it, optional

    In a message, the name of a setting stands in backquotes; the command line shows its flag instead.
    """

    def __init__(self, thing: object, problem: str, hint: str = "") -> None:
        self.thing = " ".join(str(thing).splitlines())  # one line, whatever characters a node's name holds
        self.problem = " ".join(problem.split())
        self.hint = " ".join(hint.split())
        super().__init__(f"{self.thing}: {self.problem}" + (f" ({self.hint})" if hint else ""))


class ModelError(DcgenError):
    """A model file that cannot be read or is not a valid network."""


class UnsupportedError(ModelError):
    """A valid network that uses an operator or attribute which dcgen does not compute exactly."""


class GraphError(DcgenError):
    """An ``ir.Graph`` or ``QGraph`` that breaks its own rules, because an importer or a pass is faulty."""


class WeightsError(DcgenError):
    """Weights that are missing, of the wrong shape, or not finite."""


class PictureError(DcgenError):
    """A picture, picture folder or label file that cannot be used."""


class ConfigError(DcgenError):
    """A recipe, setting or command-line value that is unknown or out of its range."""


class GoalError(DcgenError):
    """A training that has ended with a network which does not keep to its goal."""


class NumericError(DcgenError):
    """A network that integers cannot stand for: its values are not finite, or its sums could overflow."""


class BlobError(DcgenError):
    """A damaged or hostile blob. ``code`` is the name of a status in ``encode/schema.py``."""

    def __init__(self, thing: object, problem: str, hint: str = "", *, code: str) -> None:
        self.code = code
        super().__init__(thing, problem, hint)


class PlanError(DcgenError):
    """A network that does not fit its target."""


class BudgetError(PlanError):
    """A network that needs more flash or instructions than a user allows.

    headings, rows : a table of what each layer needs
    """

    def __init__(
        self, thing: object, problem: str, hint: str, headings: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        self.headings, self.rows = headings, rows
        super().__init__(thing, problem, hint)


class ToolError(DcgenError):
    """A compiler, emulator or optional package that is missing or failed."""


class OutputError(DcgenError):
    """An output that cannot be written, or an output folder that is not one of ours."""
