"""How a network that is too large for a target is refused."""

from __future__ import annotations

from dcgen.errors import PlanError


def at_most(target: str, thing: str, what: str, found: int, limit: int) -> None:
    """Raise PlanError where ``thing``, a tensor, node or network, has more of ``what`` than ``target`` takes."""
    if found > limit:
        raise PlanError(thing, f"has {found} {what}, {target} takes at most {limit}")
