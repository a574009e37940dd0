"""How PyTorch's exporter is to write adaptive pools: as operators of dcgen's own domain.

The exporter itself writes bins of different sizes as dozens of nodes, and cannot write maxima of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dcgen.importers.onnx_adaptive import DOMAIN


def adaptive_pools() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What translates each ATen operator, for ``torch.onnx.export``. Raises ImportError without onnxscript."""
    import torch
    from onnx.defs import OpSchema
    from onnxscript.values import Op, Opset

    def operator(name: str, outputs: int) -> Op:
        made = [OpSchema.FormalParameter(f"y{i}", "T") for i in range(outputs)]
        size = OpSchema.Attribute("output_size", OpSchema.AttrType.INTS)
        types = [("T", ["tensor(float)", "tensor(double)", "tensor(float16)"], "")]
        x = OpSchema.FormalParameter("x", "T")
        schema = OpSchema(name, DOMAIN, 1, inputs=[x], outputs=made, type_constraints=types, attributes=[size])
        return Op(Opset(DOMAIN, 1), name, schema)

    average, maximum = operator("AdaptiveAveragePool", 1), operator("AdaptiveMaxPool", 2)

    def averages(x: Any, output_size: Sequence[int]) -> Any:
        return average(x, output_size=list(output_size))

    def maxima(x: Any, output_size: Sequence[int]) -> Any:
        """And their places, which dcgen does not support."""
        return maximum(x, output_size=list(output_size))

    aten = torch.ops.aten
    return {
        aten.adaptive_avg_pool1d.default: averages,
        aten.adaptive_avg_pool2d.default: averages,
        aten._adaptive_avg_pool2d.default: averages,
        aten.adaptive_max_pool1d.default: maxima,
        aten.adaptive_max_pool2d.default: maxima,
    }
