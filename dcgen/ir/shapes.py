"""Output shapes of operators, and the window arithmetic that every stage shares."""

from __future__ import annotations

from collections.abc import Sequence

from dcgen.errors import GraphError
from dcgen.ir.graph import (
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Conv,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Node,
    Pad,
    Shape,
)


def window_count(size: int, kernel: int, stride: int, begin: int, end: int, ceil: bool) -> int:
    """Number of windows along one axis, as ONNX defines it.

    With ``ceil`` a last partial window counts, unless it would start in the end padding.
    Zero or negative when the kernel does not fit.
    """
    free = size + begin + end - kernel
    if free < 0:
        return 0
    n = (-(-free // stride) if ceil else free // stride) + 1
    if ceil and (n - 1) * stride >= size + begin:
        n -= 1
    return n


def infer(node: Node, shapes: Sequence[Shape]) -> Shape:
    """The shape of ``node``'s output for inputs of the given shapes.

    Raises GraphError if the operator cannot take them.
    """
    op = node.op
    arity = 2 if isinstance(op, Add) else None if isinstance(op, Concat) else 1
    if (arity is not None and len(shapes) != arity) or not shapes:
        raise GraphError(node.name, f"{type(op).__name__} takes {arity or 'some'} inputs, not {len(shapes)}")
    c, h, w = shapes[0]
    match op:
        case Conv():
            o, i, kh, kw = op.weight.values.shape
            if i * op.groups != c or o % op.groups:
                raise GraphError(
                    node.name, f"weight {op.weight.values.shape} in {op.groups} groups does not fit {c} channels"
                )
            return _windows(node, o, shapes[0], (kh, kw), op.stride, op.pads, False)
        case MaxPool() | AvgPool():
            return _windows(node, c, shapes[0], op.kernel, op.stride, op.pads, op.ceil)
        case GlobalAvgPool():
            return c, 1, 1
        case Concat():
            if any(s[1:] != (h, w) for s in shapes):
                raise GraphError(node.name, f"Concat on channels needs planes of one size, found {list(shapes)}")
            return sum(s[0] for s in shapes), h, w
        case Add():
            if shapes[0] != shapes[1]:
                raise GraphError(node.name, f"Add needs equal shapes, found {shapes[0]} and {shapes[1]}")
            return shapes[0]
        case Pad():
            t, left, b, r = op.pads
            if min(op.pads) < 0:
                raise GraphError(node.name, f"Pad cannot crop, found pads {op.pads}")
            return c, h + t + b, w + left + r
        case Flatten():
            return c * h * w, 1, 1
        case Affine():
            if op.scale.shape != (c,) or op.shift.shape != (c,):
                raise GraphError(
                    node.name, f"Affine needs {c} factors, found {op.scale.shape} and {op.shift.shape}"
                )
            return shapes[0]
        case Clip():
            return shapes[0]


def _windows(
    node: Node,
    channels: int,
    shape: Shape,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    ceil: bool,
) -> Shape:
    oh = window_count(shape[1], kernel[0], stride[0], pads[0], pads[2], ceil)
    ow = window_count(shape[2], kernel[1], stride[1], pads[1], pads[3], ceil)
    if oh < 1 or ow < 1:
        raise GraphError(node.name, f"kernel {kernel} does not fit a {shape[1]}x{shape[2]} plane with pads {pads}")
    return channels, oh, ow
