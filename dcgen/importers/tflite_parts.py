"""How TFLite's operators that take parts of tensors, or join them, are written in ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tflite

from dcgen.errors import ModelError
from dcgen.importers.tflite_writer import Step


def strided_slice(step: Step) -> str:
    options = step.operator.read(tflite.StridedSliceOptions)
    masks = options.EllipsisMask(), options.NewAxisMask(), options.ShrinkAxisMask()
    if any(masks):
        raise step.unsupported(f"a slice that keeps all axes is supported, found masks {masks}")
    starts, ends, steps = (step.integers(i, what) for i, what in ((1, "begin"), (2, "end"), (3, "strides")))
    for axis, size in enumerate(steps):
        if options.BeginMask() >> axis & 1:
            starts[axis] = 0 if size > 0 else -1
        if options.EndMask() >> axis & 1:
            ends[axis] = 2**31 - 1 if size > 0 else -(2**31)
    return _slice(step, step.computed(), starts, ends, range(len(starts)), steps)


def slice_(step: Step) -> str:
    """A size of -1 is all that is left."""
    starts, sizes = step.integers(1, "begin"), step.integers(2, "size")
    if len(starts) != len(sizes):
        raise ModelError(step.where, f"begins at {starts} with a size of {sizes}")
    ends = [2**31 - 1 if size == -1 else start + size for start, size in zip(starts, sizes, strict=True)]
    return _slice(step, step.computed(), starts, ends, range(len(starts)))


def split(step: Step) -> list[str]:
    """Into equal parts; its inputs are the axis and the tensor."""
    (axis,), count = _one(step, 0), len(step.operator.outputs)
    size = _size(step, 1, axis)
    if size % count:
        raise ModelError(step.where, f"splits {size} into {count} equal parts")
    return _parts(step, step.computed(1), axis, [size // count] * count)


def split_v(step: Step) -> list[str]:
    """Its inputs are the tensor, the sizes of parts, of which one may be -1, and the axis."""
    sizes, (axis,) = step.integers(1, "sizes"), _one(step, 2)
    rest = _size(step, 0, axis) - sum(n for n in sizes if n != -1)
    sizes = [rest if n == -1 else n for n in sizes]
    if len(sizes) != len(step.operator.outputs) or min(sizes, default=0) < 1:
        raise ModelError(step.where, f"splits into {sizes}, and has {len(step.operator.outputs)} outputs")
    return _parts(step, step.computed(), axis, sizes)


def unpack(step: Step) -> list[str]:
    axis, x = step.operator.read(tflite.UnpackOptions).Axis(), step.computed()
    numbers = (step.writer.constant(np.array(i, np.int64)) for i in range(len(step.operator.outputs)))
    return [step.add("Gather", x, number, axis=axis) for number in numbers]


def pack(step: Step) -> str:
    axis = step.operator.read(tflite.PackOptions).Axis()
    axes = step.writer.shape_constant([axis])
    parts = [step.add("Unsqueeze", step.computed(i), axes) for i in range(len(step.operator.inputs))]
    return step.add("Concat", *parts, axis=axis)


def gather(step: Step) -> str:
    options = step.operator.read(tflite.GatherOptions)
    if options.BatchDims():
        raise step.unsupported(f"batch_dims 0 is supported, found {options.BatchDims()}")
    indices = step.values(1, "indices")
    if indices.dtype.kind not in "iu":
        raise ModelError(step.where, f"its indices are integers, found {indices.dtype}")
    return step.add("Gather", step.computed(), step.writer.constant(indices.astype(np.int64)), axis=options.Axis())


def broadcast_to(step: Step) -> str:
    return step.add("Expand", step.computed(), step.writer.shape_constant(step.integers(1, "shape")))


def _one(step: Step, index: int) -> list[int]:
    found = step.integers(index, "axis")
    if len(found) != 1:
        raise ModelError(step.where, f"has one axis, found {found}")
    return found


def _size(step: Step, index: int, axis: int) -> int:
    """The size of an axis of input ``index``."""
    shape = step.tensor(index).shape
    if not -len(shape) <= axis < len(shape):
        raise ModelError(step.where, f"has axis {axis} of {len(shape)}")
    return shape[axis]


def _parts(step: Step, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
    ends = np.cumsum(sizes).tolist()
    return [_slice(step, x, [end - size], [end], [axis]) for size, end in zip(sizes, ends, strict=True)]


def _slice(
    step: Step,
    x: str,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int],
    steps: Sequence[int] | None = None,
) -> str:
    steps = [1] * len(starts) if steps is None else steps
    return step.add("Slice", x, *(step.writer.shape_constant(v) for v in (starts, ends, axes, steps)))
