"""How many bytes of flash the firmware takes: the blob, tables for each node and tensor, the runtime's code.

What the compiler makes of code and tables is fitted to linked programs, see ``instruction_costs``.
"""

from __future__ import annotations

from collections.abc import Mapping

from dcgen.encode.blob import Blob
from dcgen.plan.firmware import FirmwarePlan
from dcgen.plan.instruction_costs import FLASH
from dcgen.targets import Target


def predict_flash(plan: FirmwarePlan, blob: Blob, target: Target) -> int:
    """Bytes as ``dcgen verify`` counts them, on a target whose instructions are predicted."""
    costs = FLASH[target.name]
    return round(sum(costs.get(name, 0.0) * times for name, times in flash_work(plan, blob).items()))


def flash_work(plan: FirmwarePlan, blob: Blob) -> Mapping[str, int]:
    """What takes flash, and how often; ``byte`` is what the blob takes."""
    kernels = {n.kernel: 1 for n in plan.nodes if n.kernel}
    return {"byte": len(blob.data), "program": 1, "node": len(plan.nodes), "tensor": len(plan.tensors), **kernels}
