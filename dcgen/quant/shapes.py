"""Output shapes of integer operators."""

from __future__ import annotations

from collections.abc import Sequence

from dcgen.errors import GraphError
from dcgen.ir.graph import Shape
from dcgen.ir.shapes import window_count
from dcgen.quant.qgraph import QAdd, QAvgPool, QConcat, QConv, QMaxPool, QOp, QPad, QScores


def output_shape(op: QOp, shapes: Sequence[Shape]) -> Shape:
    """(C, H, W) of ``op``'s output. Raises GraphError where the operator cannot take the inputs."""
    c, h, w = shapes[0]
    match op:
        case QConv():
            o, i, kh, kw = op.indices.shape
            if i * op.groups != c or o % op.groups:
                raise GraphError("QConv", f"weight {op.indices.shape} in {op.groups} groups on {c} channels")
            return (o, *_plane(h, w, (kh, kw), op.stride, op.pads, False))
        case QMaxPool() | QAvgPool():
            if any(p >= k for p, k in zip(op.pads, op.kernel * 2, strict=True)):
                raise GraphError("pool", f"pads {op.pads} reach the kernel {op.kernel}: a window could be empty")
            return (c, *_plane(h, w, op.kernel, op.stride, op.pads, op.ceil))
        case QPad():
            return c, h + op.pads[0] + op.pads[2], w + op.pads[1] + op.pads[3]
        case QConcat():
            if any(s[1:] != (h, w) for s in shapes):
                raise GraphError("QConcat", f"planes differ: {list(shapes)}")
            return sum(s[0] for s in shapes), h, w
        case QScores():
            return (c, 1, 1) if op.total else (c, h, w)
        case QAdd():
            if any(s != shapes[0] for s in shapes) or len(shapes) != len(op.factors):
                raise GraphError("QAdd", f"inputs {list(shapes)} for {len(op.factors)} factors")
            return shapes[0]


def _plane(
    h: int,
    w: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    ceil: bool,
) -> tuple[int, int]:
    oh = window_count(h, kernel[0], stride[0], pads[0], pads[2], ceil)
    ow = window_count(w, kernel[1], stride[1], pads[1], pads[3], ceil)
    if oh < 1 or ow < 1:
        raise GraphError("window", f"kernel {kernel} does not fit a {h}x{w} plane with pads {pads}")
    return oh, ow
