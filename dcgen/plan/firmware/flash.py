"""How many bytes of flash the firmware takes: the blob, tables for each node and tensor, the runtime's code.

The sizes of code and tables are fitted to linked programs, see ``instruction_costs``.
"""

from __future__ import annotations

from collections.abc import Mapping

from dcgen.encode.blob import Blob
from dcgen.plan.firmware.instruction_costs import FLASH
from dcgen.plan.firmware.plan import FirmwarePlan
from dcgen.targets import Target


def predict_flash(plan: FirmwarePlan, blob: Blob, target: Target) -> int:
    """Bytes of flash as ``dcgen verify`` counts them. ``target`` is one whose instructions are predicted."""
    costs = FLASH[target.name]
    return len(blob.data) + round(sum(costs.get(part, 0.0) * times for part, times in flash_parts(plan).items()))


def flash_parts(plan: FirmwarePlan) -> Mapping[str, int]:
    """What takes flash besides the blob, by its name in ``instruction_costs``, and how often.

    A kernel counts once if any node uses it, as it is then linked. ``convolution`` is the code that all kernels of
    convolutions share, ``rows`` that of the two that read tensors as they are, not packed, ``depthwise`` that of
    those for depthwise convolutions.
    """
    kernels = {n.kernel: 1 for n in plan.nodes if n.kernel}
    plain = any(kernel in kernels for kernel in ("dcg_conv", "dcg_conv_scores"))
    shared = {
        "convolution": int(any(n.conv for n in plan.nodes)),
        "rows": int(plain),
        "depthwise": int(any("depthwise" in kernel for kernel in kernels)),
    }
    return {"program": 1, "node": len(plan.nodes), "tensor": len(plan.tensors), **shared, **kernels}
