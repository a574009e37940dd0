"""How each TFLite operator is written in ONNX: one function for each, listed at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import tflite

from dcgen.errors import ModelError
from dcgen.importers.tflite_elementwise import (
    One,
    activated,
    add_n,
    arithmetic,
    cast,
    clip,
    gelu,
    leaky_relu,
    reciprocal_root,
    select,
    single,
    square,
    squared_difference,
)
from dcgen.importers.tflite_parts import (
    broadcast_to,
    gather,
    pack,
    slice_,
    split,
    split_v,
    strided_slice,
    unpack,
)
from dcgen.importers.tflite_writer import Step

Handler = Callable[[Step], str | list[str]]
"""Writes an operator and returns the ONNX tensor of its output, or those of all its outputs."""


def conv_2d(step: Step) -> str:
    options = step.operator.read(tflite.Conv2DOptions)
    return _convolution(step, options, (0, 3, 1, 2))


def depthwise_conv_2d(step: Step) -> str:
    """Weights are (1, KH, KW, O), of which each input channel has O / I."""
    return _convolution(step, step.operator.read(tflite.DepthwiseConv2DOptions), (3, 0, 1, 2))


def _convolution(step: Step, options: Any, order: tuple[int, ...]) -> str:
    """A convolution whose weights are brought into the order (O, I, KH, KW)."""
    weight = step.values(1, "weight")
    if weight.ndim != 4 or 0 in weight.shape or step.rank() != 4:
        raise ModelError(step.where, f"a 2-D convolution has a weight of four axes, found shape {weight.shape}")
    channels = max(1, step.tensor(0).shape[3])
    taken = weight.shape[order[1]]
    if channels % taken:
        raise ModelError(step.where, f"a weight of shape {weight.shape} does not fit {channels} channels")
    form = f"transposed {order}"
    known = (step.operator.inputs[1], form) in step.writer.known
    array = None if known else np.ascontiguousarray(step.real(1, "weight").transpose(order))
    names = [step.planes(step.computed(), step.rank()), step.constant(1, "weight", form, array)]
    if step.has(2):
        names.append(step.constant(2, "bias", "real"))
    strides = [options.StrideH(), options.StrideW()]
    dilations = [options.DilationHFactor(), options.DilationWFactor()]
    made = step.add(
        "Conv",
        *names,
        strides=strides,
        dilations=dilations,
        group=channels // taken,
        auto_pad=_padding(step, options),
    )
    return step.back(activated(step, made, options))


def transpose_conv(step: Step) -> str:
    """Its inputs are the output's shape, the weights (O, KH, KW, I), the tensor, and perhaps a bias."""
    options, weight = step.operator.read(tflite.TransposeConvOptions), step.values(1, "weight")
    shape = step.integers(0, "output's shape")
    if weight.ndim != 4 or step.rank(2) != 4 or len(shape) != 4:
        problem = f"has a weight and an output of four axes, found {weight.shape} and {shape}"
        raise ModelError(step.where, f"a transposed convolution {problem}")
    array = np.ascontiguousarray(step.real(1, "weight").transpose(3, 0, 1, 2))
    names = [step.planes(step.computed(2), 4), step.constant(1, "weight", "transposed (3, 0, 1, 2)", array)]
    if step.has(3):
        names.append(step.constant(3, "bias", "real"))
    strides, same = [options.StrideH(), options.StrideW()], _padding(step, options) != "VALID"
    more = [
        (step.tensor(2).shape[axis] - 1) * stride + weight.shape[axis] - shape[axis]
        for axis, stride in enumerate(strides, 1)
    ]
    begin = [max(n, 0) // 2 if same else 0 for n in more]
    end = [max(n, 0) - b for n, b in zip(more, begin, strict=True)]
    added = [max(-n, 0) for n in more]
    made = step.add("ConvTranspose", *names, strides=strides, pads=begin + end, output_padding=added)
    return step.back(activated(step, made, options))


def _blocks(kind: str, form: type) -> One:
    def handler(step: Step) -> str:
        size = step.operator.read(form).BlockSize()
        return step.back(step.add(kind, step.planes(step.computed(), step.rank()), blocksize=size))

    return handler


def _resize(mode: str, form: type) -> One:
    """A handler of inputs (tensor, rows and columns of the output)."""

    def handler(step: Step) -> str:
        options, size = step.operator.read(form), step.integers(1, "size")
        if len(size) != 2:
            raise ModelError(step.where, f"has a size of rows and columns, found {size}")
        places, rounding = "asymmetric", "floor"
        if options.HalfPixelCenters():
            places = "half_pixel" if mode == "linear" else "tf_half_pixel_for_nn"
        elif options.AlignCorners():
            places, rounding = "align_corners", "round_prefer_ceil"
        sizes = step.writer.shape_constant(size)
        made = step.add(
            *("Resize", step.planes(step.computed(), step.rank()), "", "", sizes),
            mode=mode,
            coordinate_transformation_mode=places,
            nearest_mode=rounding,
            axes=[2, 3],
        )
        return step.back(made)

    return handler


def fully_connected(step: Step) -> str:
    options = step.operator.read(tflite.FullyConnectedOptions)
    if options.WeightsFormat() != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise step.unsupported("weights in their default format are supported, found shuffled ones")
    weight = step.values(1, "weight")
    if weight.ndim != 2:
        raise ModelError(step.where, f"its weight has two axes, found shape {weight.shape}")
    x, bias = step.computed(), [step.constant(2, "bias", "real")] if step.has(2) else []
    if options.KeepNumDims() and step.rank() > 2:
        known = (step.operator.inputs[1], "transposed") in step.writer.known
        array = None if known else np.ascontiguousarray(step.real(1, "weight").T)
        made = step.add("MatMul", x, step.constant(1, "weight", "transposed", array))
        made = step.add("Add", made, *bias) if bias else made
    else:
        if step.tensor(0).shape[1:] != weight.shape[1:]:
            x = step.add("Reshape", x, step.writer.shape_constant([-1, weight.shape[1]]))
        made = step.add("Gemm", x, step.constant(1, "weight", "real"), *bias, transB=1)
    return activated(step, made, options)


def _pool(kind: str) -> One:
    def handler(step: Step) -> str:
        options = step.operator.read(tflite.Pool2DOptions)
        made = step.add(
            kind,
            step.planes(step.computed(), step.rank()),
            kernel_shape=[options.FilterHeight(), options.FilterWidth()],
            strides=[options.StrideH(), options.StrideW()],
            auto_pad=_padding(step, options),
        )
        return step.back(activated(step, made, options))

    return handler


def _reduction(kind: str) -> One:
    def handler(step: Step) -> str:
        options = step.operator.read(tflite.ReducerOptions)
        axes = step.writer.shape_constant(step.integers(1, "axes"))
        return step.add(kind, step.computed(), axes, keepdims=int(options.KeepDims()))

    return handler


def reshape(step: Step) -> str:
    """Reshape, Squeeze and ExpandDims: the output's shape says what is made. Of an open axis 0 it is the batch."""
    shape = list(step.result.shape)
    if step.operator.kind == "RESHAPE" and step.has(1) and step.tensor(1).data is not None:
        shape = step.integers(1, "shape")
    elif any(n < 1 for n in shape[1:]):
        raise step.unsupported(f"a shape that is known is supported, found {shape}")
    return step.add("Reshape", step.computed(), step.writer.shape_constant(shape))


def transpose(step: Step) -> str:
    return step.add("Transpose", step.computed(), perm=step.integers(1, "permutation"))


def pad(step: Step) -> str:
    amounts = step.integers(1, "padding")
    value = []
    if step.has(2):
        number = step.real(2, "value").reshape(-1)
        if len(number) != 1:
            raise ModelError(step.where, f"pads with one value, found {len(number)}")
        value.append(step.constant(2, "value", "number", number.reshape(())))
    pads = step.writer.shape_constant(amounts[::2] + amounts[1::2])
    return step.add("Pad", step.computed(), pads, *value)


def mirror_pad(step: Step) -> str:
    """A symmetric one of at most a pixel repeats the pixels at the edges."""
    amounts, mode = step.integers(1, "padding"), step.operator.read(tflite.MirrorPadOptions).Mode()
    if mode != tflite.MirrorPadMode.SYMMETRIC or max(amounts, default=0) > 1:
        found = "symmetric" if mode == tflite.MirrorPadMode.SYMMETRIC else "reflecting"
        raise step.unsupported(f"symmetric padding of one pixel is supported, found {found} one of {amounts}")
    pads = step.writer.shape_constant(amounts[::2] + amounts[1::2])
    return step.add("Pad", step.computed(), pads, mode="edge")


def local_response_normalization(step: Step) -> str:
    """TFLite's alpha weighs each square, ONNX's the mean of ``size`` squares."""
    options = step.operator.read(tflite.LocalResponseNormalizationOptions)
    size = 2 * options.Radius() + 1
    numbers = {"alpha": size * options.Alpha(), "beta": options.Beta(), "bias": options.Bias()}
    return step.back(step.add("LRN", step.planes(step.computed(), step.rank()), size=size, **numbers))


def concatenation(step: Step) -> str:
    options = step.operator.read(tflite.ConcatenationOptions)
    inputs = [step.computed(i) for i in range(len(step.operator.inputs))]
    return activated(step, step.add("Concat", *inputs, axis=options.Axis()), options)


def softmax(step: Step) -> str:
    beta = step.operator.read(tflite.SoftmaxOptions).Beta()
    if beta != 1:
        raise step.unsupported(f"beta 1 is supported, found {beta:g}")
    return step.add("Softmax", step.computed(), axis=-1)


def arg_max(step: Step) -> str:
    (axis,) = step.integers(1, "axis")[:1] or [-1]
    return step.add("ArgMax", step.computed(), axis=axis, keepdims=0)


def same_values(step: Step) -> str:
    """Quantize and Dequantize: computed tensors are real on both sides."""
    return step.computed() if step.is_computed(0) else step.constant(0, "input", "real")


def _padding(step: Step, options: Any) -> str:
    """``auto_pad`` of a window: of an odd number of padded pixels, the last one is at the end in TFLite, too."""
    names = {tflite.Padding.SAME: "SAME_UPPER", tflite.Padding.VALID: "VALID"}
    if options.Padding() not in names:
        raise ModelError(step.where, f"padding is SAME or VALID, found {options.Padding()}")
    return names[options.Padding()]


OPERATORS: Final[Mapping[str, Handler]] = {
    "ABS": single("Abs"),
    "ADD": arithmetic("Add", tflite.AddOptions),
    "ADD_N": add_n,
    "ARG_MAX": arg_max,
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "BROADCAST_TO": broadcast_to,
    "CAST": cast,
    "CEIL": single("Ceil"),
    "CONCATENATION": concatenation,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "DEPTH_TO_SPACE": _blocks("DepthToSpace", tflite.DepthToSpaceOptions),
    "DEQUANTIZE": same_values,
    "DIV": arithmetic("Div", tflite.DivOptions),
    "ELU": single("Elu"),
    "EXP": single("Exp"),
    "EXPAND_DIMS": reshape,
    "FLOOR": single("Floor"),
    "FULLY_CONNECTED": fully_connected,
    "GATHER": gather,
    "GELU": gelu,
    "GREATER": arithmetic("Greater"),
    "GREATER_EQUAL": arithmetic("GreaterOrEqual"),
    "HARD_SWISH": single("HardSwish"),
    "LEAKY_RELU": leaky_relu,
    "LESS": arithmetic("Less"),
    "LESS_EQUAL": arithmetic("LessOrEqual"),
    "LOCAL_RESPONSE_NORMALIZATION": local_response_normalization,
    "LOG": single("Log"),
    "LOGISTIC": single("Sigmoid"),
    "LOG_SOFTMAX": single("LogSoftmax", axis=-1),
    "MAXIMUM": arithmetic("Max"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "MEAN": _reduction("ReduceMean"),
    "MINIMUM": arithmetic("Min"),
    "MIRROR_PAD": mirror_pad,
    "MUL": arithmetic("Mul", tflite.MulOptions),
    "NEG": single("Neg"),
    "PACK": pack,
    "PAD": pad,
    "PADV2": pad,
    "POW": arithmetic("Pow"),
    "PRELU": arithmetic("PRelu"),
    "QUANTIZE": same_values,
    "REDUCE_MAX": _reduction("ReduceMax"),
    "RELU": single("Relu"),
    "RELU6": lambda step: clip(0, 6)(step, step.computed()),
    "RELU_0_TO_1": lambda step: clip(0, 1)(step, step.computed()),
    "RELU_N1_TO_1": lambda step: clip(-1, 1)(step, step.computed()),
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": _resize("linear", tflite.ResizeBilinearOptions),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest", tflite.ResizeNearestNeighborOptions),
    "ROUND": single("Round"),
    "RSQRT": reciprocal_root,
    "SELECT": select,
    "SELECT_V2": select,
    "SIGN": single("Sign"),
    "SLICE": slice_,
    "SOFTMAX": softmax,
    "SPACE_TO_DEPTH": _blocks("SpaceToDepth", tflite.SpaceToDepthOptions),
    "SPLIT": split,
    "SPLIT_V": split_v,
    "SQRT": single("Sqrt"),
    "SQUARE": square,
    "SQUARED_DIFFERENCE": squared_difference,
    "SQUEEZE": reshape,
    "STRIDED_SLICE": strided_slice,
    "SUB": arithmetic("Sub", tflite.SubOptions),
    "SUM": _reduction("ReduceSum"),
    "TANH": single("Tanh"),
    "TRANSPOSE": transpose,
    "TRANSPOSE_CONV": transpose_conv,
    "UNPACK": unpack,
}
CUTS: Final = frozenset(
    {
        *("ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MEAN", "MUL", "SUB"),
        *("SUM", "TRANSPOSE_CONV"),
    }
)
"""Operators whose integers may cut values off, see ``Step.finish``."""
