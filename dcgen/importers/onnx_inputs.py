"""Which axes of an ONNX input are channels, height and width.

ONNX does not say it of an input itself. The first operator on planes says it: an input [N, H, W, C] goes through a
Transpose before it, a vector through a Reshape. So the way there is followed from the input, and then gone back.
A Transpose from channels last to channels first ends it, too; and so does a MatMul of (N, L, C), whose last axis
is the channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dcgen.importers import onnx_order
from dcgen.importers.onnx_order import CHANNEL_LAST, TO_CHANNEL_FIRST, Axes, Dims
from dcgen.ir.graph import Shape

PASSED = (
    *("Add", "Cast", "Clip", "DequantizeLinear", "Div", "Dropout", "Identity", "Mul", "Quant", "QuantizeLinear"),
    *("Relu", "Sub"),
)
"""Operators on single elements, which leave the axes as they are."""
ON_PLANES = (
    *("AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "DepthToSpace", "GlobalAveragePool"),
    *("GlobalMaxPool", "MaxPool", "Resize", "SpaceToDepth"),
    *("QLinearConv", "QLinearAveragePool", "QLinearGlobalAveragePool"),
)
"""Operators that take (N, C, H, W), or (N, C, L) as planes of one row."""
PICTURE_CHANNELS = (1, 3, 4)
MOST_STEPS = 100


def planes_of(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray], name: str, dims: Dims
) -> tuple[Shape, Axes]:
    """(C, H, W) of one picture of input ``name``, and the input's axes as factors of the elements of (N, C, H, W).

    nodes : in order
    constants : the initialisers by name
    dims : sizes of the input's own axes, at most four
    """
    found = _followed(nodes, constants, name, dims)
    if found is not None:
        return found
    # A lone axis is one picture's channels.
    c, h, w = (*(dims if len(dims) == 1 else dims[1:]), 1, 1, 1)[:3]
    return (c, h, w), onnx_order.in_order(dims)


def _followed(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray], name: str, dims: Dims
) -> tuple[Shape, Axes] | None:
    """``planes_of`` an input whose first reader leads to an operator on planes, else None."""
    readers: dict[str, onnx.NodeProto] = {}
    made: dict[str, onnx.TensorProto] = {}  # by Constant nodes
    for node in nodes:
        for i in node.input:
            readers.setdefault(i, node)
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            made[node.output[0]] = node.attribute[0].t

    def shape_asked(reshape: onnx.NodeProto) -> np.ndarray | None:
        asked = reshape.input[1]
        return numpy_helper.to_array(made[asked]) if asked in made else constants.get(asked)

    own, batch = dims, dims[0] if len(dims) > 1 else 1
    back: list[tuple[Dims, tuple[int, ...] | None]] = []  # of each view on the way: dims before it, permutation
    for _ in range(MOST_STEPS):
        reader = readers.get(name)
        if reader is None or not reader.output:
            return None
        if reader.op_type in ON_PLANES:
            break
        if not back and len(dims) == 4 and _like_pictures(dims) and _flattens(reader, shape_asked):
            back, dims = [(dims, TO_CHANNEL_FIRST)], (dims[0], dims[3], dims[1], dims[2])
            break
        if not back and len(dims) == 3 and reader.op_type == "MatMul" and reader.input[0] == name:
            back, dims = [(dims, (0, 2, 1))], (dims[0], dims[2], dims[1])
            break
        if reader.op_type == "Transpose":
            perm = next((helper.get_attribute_value(a) for a in reader.attribute if a.name == "perm"), None)
            perm = tuple(perm) if perm is not None else tuple(range(len(dims)))[::-1]
            if sorted(perm) != list(range(len(dims))):
                return None
            back.append((dims, perm))
            dims = tuple(dims[i] for i in perm)
            if perm == TO_CHANNEL_FIRST:
                break
        elif reader.op_type == "Reshape" and len(dims) < 4:
            asked = shape_asked(reader)
            elements = math.prod(dims)
            if asked is None or asked.ndim != 1 or len(asked) > 4:
                return None
            wanted = [dims[i] if n == 0 and i < len(dims) else int(n) for i, n in enumerate(asked)]
            rest = math.prod(n for n in wanted if n != -1)
            wanted = [elements // rest if n == -1 and rest else n for n in wanted]
            if min(wanted, default=0) < 1 or math.prod(wanted) != elements:
                return None
            back.append((dims, None))
            dims = tuple(wanted)
        elif reader.op_type not in PASSED or reader.input[0] != name:
            return None
        name = reader.output[0]
    if len(dims) not in (3, 4) or dims[0] != batch:
        return None
    c, h, w = dims[1:] if len(dims) == 4 else (dims[1], 1, dims[2])
    axes: Axes | None = onnx_order.in_order(dims)
    for before, permutation in reversed(back):
        if axes is None:
            return None
        axes = (
            onnx_order.reshaped(axes, before)
            if permutation is None
            else onnx_order.transposed(axes, onnx_order.inverse(permutation))
        )
    last = onnx_order.transposed(onnx_order.in_order((batch, c, h, w)), CHANNEL_LAST)
    without = [(last[0], *rest, last[3]) for rest, size in ((last[2:3], h), (last[1:2], w)) if size == 1]
    known = (last, *without, onnx_order.in_order(own))
    return ((c, h, w), axes) if axes in known else None


def _flattens(node: onnx.NodeProto, shape_asked: Callable[[onnx.NodeProto], np.ndarray | None]) -> bool:
    """Whether a node makes a matrix of rank 2.

    shape_asked : what a Reshape is asked for, None where that is not constant
    """
    asked = shape_asked(node) if node.op_type == "Reshape" else None
    return node.op_type == "Flatten" or (asked is not None and asked.shape == (2,))


def _like_pictures(dims: Dims) -> bool:
    """Whether four axes are rather (N, H, W, C) than (N, C, H, W), where fully connected layers take them."""
    return dims[3] in PICTURE_CHANNELS and min(dims[1:3]) > max(PICTURE_CHANNELS)
