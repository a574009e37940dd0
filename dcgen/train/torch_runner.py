"""Runs a float graph in PyTorch, so that there are gradients with respect to its weights and biases.

It computes what ``ir.evaluate`` does. PyTorch is imported when a runner is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dcgen.extras import Device, import_torch
from dcgen.ir.graph import (
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Conv,
    Crop,
    Flatten,
    Function,
    GlobalAvgPool,
    Graph,
    MaxPool,
    Node,
    Pad,
    Pads,
    Pair,
    Pairwise,
    Select,
    Step,
    Upsample,
    Where,
)
from dcgen.ir.ops import window_count

if TYPE_CHECKING:
    from torch import Tensor


class TorchRunner:
    """A float graph whose weights and biases, float32, are tensors on one device. Raises ToolError without
    PyTorch."""

    def __init__(self, graph: Graph, device: Device = "cpu") -> None:
        torch = import_torch("to run a network with gradients")
        self._graph = graph
        self._parameters: dict[str, tuple[Tensor, Tensor]] = {
            n.name: (
                torch.from_numpy(c.weight.values.copy()).to(device),
                torch.from_numpy(c.bias.copy()).to(device),
            )
            for n, c in graph.convs()
        }

    def run(
        self,
        x: Tensor,
        outputs: Sequence[str],
        parameters: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    ) -> list[Tensor]:
        """The tensors named ``outputs``, float32 [N, C, H, W], for the input ``x``, float32 [N, C, H, W].

        parameters : by Conv node, weights OIHW and biases [O] in place of the graph's own
        """
        given = {**self._parameters, **(parameters or {})}
        tensors = {self._graph.inputs[0].name: x}
        for node in self._graph.nodes:
            tensors[node.name] = _apply(node, [tensors[i] for i in node.inputs], given.get(node.name))
        return [tensors[name] for name in outputs]


def _apply(node: Node, args: Sequence[Tensor], parameters: tuple[Tensor, Tensor] | None) -> Tensor:
    """The output of a node; ``parameters`` are the weights and biases of a Conv."""
    import torch
    from torch.nn import functional as F

    x = args[0]
    match node.op:
        case Conv() as op:
            assert parameters is not None
            top, left, bottom, right = op.pads
            if (top, left) != (bottom, right):
                x, top, left = _pad(x, op.pads, 0.0), 0, 0
            return F.conv2d(x, *parameters, op.stride, (top, left), op.dilation, op.groups)
        case Affine(scale, shift):
            factor, offset = (torch.from_numpy(a.copy()).to(x.device).reshape(-1, 1, 1) for a in (scale, shift))
            return x * factor + offset
        case Clip(lo, hi):
            return x.relu() if (lo, hi) == (0.0, float("inf")) else x.clamp(lo, hi)
        case MaxPool(kernel, stride, pads, ceil):
            return F.max_pool2d(_windowed(x, kernel, stride, pads, ceil, float("-inf"))[0], kernel, stride)
        case AvgPool(kernel, stride, pads, ceil, count_include_pad):
            cells, end = _windowed(x, kernel, stride, pads, ceil, 0.0)
            inside = _pad(torch.ones_like(x[:1, :1]), pads, float(count_include_pad))
            counted = F.avg_pool2d(_pad(inside, end, 0.0), kernel, stride)
            return F.avg_pool2d(cells, kernel, stride) / counted
        case GlobalAvgPool():
            return x.mean((2, 3), keepdim=True)
        case Concat():
            return torch.cat(list(args), 1)
        case Add():
            return x + args[1]
        case Pairwise(kind):
            return _element(kind, x, args[1])
        case Where():
            return _element("Where", *args)
        case Function(steps):
            return _function(steps, x)
        case Pad((top, left, bottom, right), edge=True):
            return F.pad(x, (left, right, top, bottom), mode="replicate")
        case Pad(pads, value):
            return _pad(x, pads, value)
        case Upsample(factor, channels, cut):
            rows, columns = factor
            if x.shape[1] == channels:
                x = x.repeat_interleave(rows, 2).repeat_interleave(columns, 3)
            else:
                blocks = x.reshape(len(x), channels, rows, columns, *x.shape[2:]).permute(0, 1, 4, 2, 5, 3)
                x = blocks.reshape(len(x), channels, x.shape[2] * rows, x.shape[3] * columns)
            return x[:, :, : x.shape[2] - cut[0], : x.shape[3] - cut[1]]
        case Select(channels):
            return x[:, list(channels)]
        case Crop(rows, columns):
            high, wide = (slice(first, first + n * step, step) for first, n, step in (rows, columns))
            return x[:, :, high, wide]
        case Flatten():
            return x.reshape(len(x), -1, 1, 1)


def _function(steps: Sequence[Step], x: Tensor) -> Tensor:
    """What ``functions.compute`` computes."""
    values = [x]
    for step in steps:
        operands = (values[o] if isinstance(o, int) else x.new_tensor(o.value) for o in step.operands)
        values.append(_element(step.kind, *operands, **dict(step.attributes)))
    return values[-1]


def _element(kind: str, *args: Tensor, **attributes: Any) -> Tensor:
    """One operator of ``functions.MEANINGS``."""
    import torch
    from torch.nn import functional as F

    x, a = args[0], attributes
    match kind:
        case "Celu" | "Elu":
            found = getattr(F, kind.lower())(x, a["alpha"])
        case "Clip":
            found = torch.minimum(torch.maximum(x, args[1]), args[2])
        case "Gelu":
            found = F.gelu(x, approximate=a["approximate"])
        case "HardSigmoid":
            found = (a["alpha"] * x + a["beta"]).clamp(0, 1)
        case "HardSwish" | "Mish" | "Softplus" | "Softsign":
            found = getattr(F, kind.lower())(x)
        case "LeakyRelu":
            found = F.leaky_relu(x, a["alpha"])
        case "Selu":
            found = a["gamma"] * F.elu(x, a["alpha"])
        case "ThresholdedRelu":
            found = F.threshold(x, a["alpha"], 0.0)
        case "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual":
            found = getattr(torch, kind.lower().replace("orequal", "_equal"))(*args).to(x.dtype)
        case "Where":
            found = torch.where(x != 0, args[1], args[2])
        case "Max" | "Min":
            found = getattr(torch, f"{kind.lower()}imum")(*args)
        case _:
            found = getattr(torch, kind.lower())(*args)
    return found  # type: ignore[no-any-return]


def _windowed(x: Tensor, kernel: Pair, stride: Pair, pads: Pads, ceil: bool, fill: float) -> tuple[Tensor, Pads]:
    """The planes padded with ``fill`` so that windows without padding are those of a pool with ``pads`` and
    ``ceil``; and the part of this padding that is not in ``pads``."""
    top, left, bottom, right = pads
    high, wide = int(x.shape[2]), int(x.shape[3])
    rows = window_count(high, kernel[0], stride[0], top, bottom, ceil)
    columns = window_count(wide, kernel[1], stride[1], left, right, ceil)
    more = max(0, (rows - 1) * stride[0] + kernel[0] - high - top - bottom)
    across = max(0, (columns - 1) * stride[1] + kernel[1] - wide - left - right)
    end = (0, 0, more, across)
    return _pad(_pad(x, pads, fill), end, fill), end


def _pad(x: Tensor, pads: Pads, value: float) -> Tensor:
    """The planes of ``x`` with a border of ``value``."""
    from torch.nn import functional as F

    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value) if any(pads) else x
