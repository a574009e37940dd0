"""What firmware is predicted to need of a microcontroller, and whether a user allows that much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from dcgen.encode.blob import Blob
from dcgen.errors import BudgetError
from dcgen.plan.firmware.flash import predict_flash
from dcgen.plan.firmware.instructions import Active, Instructions, is_predicted, predict_instructions
from dcgen.plan.firmware.plan import FirmwarePlan
from dcgen.quant.qgraph import QGraph
from dcgen.targets import EngineTarget, Target


@dataclass(frozen=True)
class Budget:
    """The most that a user allows; None is no limit.

    flash : bytes, to be compared with ``Needs.flash_bytes``
    instructions : of one picture, to be compared with ``Needs.most_instructions``
    """

    flash: int | None = None
    instructions: int | None = None


UNLIMITED = Budget()


@dataclass(frozen=True)
class Needs:
    """What a network needs on one microcontroller.

    flash_bytes : blob, code and constants, as ``dcgen verify`` counts them
    instructions : instructions of an average picture
    most_instructions : instructions of a picture that leaves no zeros to skip in any tensor
    """

    target: Target
    flash_bytes: int
    instructions: Instructions
    most_instructions: Instructions


def predict_needs(
    plan: FirmwarePlan, graph: QGraph, blob: Blob, target: Target | EngineTarget, active: Active
) -> Needs | None:
    """The needs of ``blob``, which encodes ``graph``; None where the target has no fitted costs.

    active : how much of the tensors is not zero in the average picture
    """
    if not isinstance(target, Target) or not is_predicted(target):
        return None
    usual, most = (predict_instructions(plan, graph, blob, target, a) for a in (active, {}))
    return Needs(target, predict_flash(plan, blob, target), usual, most)


def check_budget(budget: Budget, needs: Needs, blob: Blob) -> None:
    """Raise BudgetError, with a table of what each layer takes, where ``needs`` exceed ``budget``."""
    parts = list(_parts(needs, blob))
    for setting, unit, limit, found, of in (
        ("flash", "bytes of flash", budget.flash, needs.flash_bytes, 1),
        ("max_instructions", "instructions", budget.instructions, needs.most_instructions.total, 2),
    ):
        if limit is None or found <= limit:
            continue
        rows = sorted(parts, key=itemgetter(of), reverse=True)
        raise BudgetError(
            needs.target.name,
            f"needs {found:,} {unit}, `{setting}` allows {limit:,}; {rows[0][of]:,} of them are for {rows[0][0]}",
            "fewer weights that are not zero (`density`) take less of both, `max_bytes` less flash",
            ("what for", "bytes of flash", "instructions"),
            (*rows, ("all", needs.flash_bytes, needs.most_instructions.total)),
        )


def _parts(needs: Needs, blob: Blob) -> Iterator[tuple[str, int, int]]:
    """Name, bytes of flash and instructions of each layer, and at last of what belongs to no layer."""
    for i, layer in enumerate(blob.layers):
        yield layer.name, layer.size.total, needs.most_instructions.nodes.get(i, 0)
    rest = needs.flash_bytes - sum(layer.size.total for layer in blob.layers)
    yield "code, tables, dcg_init", rest, needs.most_instructions.init
