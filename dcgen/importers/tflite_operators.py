"""How each TFLite operator is written in ONNX: one function for each, listed at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import tflite

from dcgen.errors import ModelError
from dcgen.importers.onnx_order import TO_CHANNEL_FIRST
from dcgen.importers.tflite_writer import Step

Handler = Callable[[Step], str]
"""Writes an operator and returns the ONNX tensor of its output."""


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
    return step.back(_activated(step, made, options))


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
    return step.back(_activated(step, made, options))


def _blocks(kind: str, form: type) -> Handler:
    def handler(step: Step) -> str:
        size = step.operator.read(form).BlockSize()
        return step.back(step.add(kind, step.planes(step.computed(), step.rank()), blocksize=size))

    return handler


def _resize(mode: str, form: type) -> Handler:
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
    return _activated(step, made, options)


def _pool(kind: str) -> Handler:
    def handler(step: Step) -> str:
        options = step.operator.read(tflite.Pool2DOptions)
        made = step.add(
            kind,
            step.planes(step.computed(), step.rank()),
            kernel_shape=[options.FilterHeight(), options.FilterWidth()],
            strides=[options.StrideH(), options.StrideW()],
            auto_pad=_padding(step, options),
        )
        return step.back(_activated(step, made, options))

    return handler


def mean(step: Step) -> str:
    options = step.operator.read(tflite.ReducerOptions)
    axes = step.writer.shape_constant(step.integers(1, "axes"))
    return step.add("ReduceMean", step.computed(), axes, keepdims=int(options.KeepDims()))


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


def concatenation(step: Step) -> str:
    options = step.operator.read(tflite.ConcatenationOptions)
    inputs = [step.computed(i) for i in range(len(step.operator.inputs))]
    return _activated(step, step.add("Concat", *inputs, axis=options.Axis()), options)


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
    constants = [step.writer.shape_constant(v) for v in (starts, ends, range(len(starts)), steps)]
    return step.add("Slice", step.computed(), *constants)


def _arithmetic(kind: str, form: type | None = None) -> Handler:
    """A handler of two operands, of which one may be constant."""

    def handler(step: Step) -> str:
        on_planes = max(step.rank(0), step.rank(1)) == 4
        names = []
        for i in (0, 1):
            if step.is_computed(i):
                if on_planes and step.rank(i) != 4:
                    raise step.unsupported(
                        f"its inputs have as many axes, found {step.rank(0)} and {step.rank(1)}"
                    )
                names.append(step.planes(step.computed(i), 4) if on_planes else step.computed(i))
            elif on_planes:
                array = step.real(i, "operand")
                spread = array.reshape((1,) * (4 - array.ndim) + array.shape).transpose(TO_CHANNEL_FIRST)
                names.append(step.constant(i, "operand", "on planes", spread))
            else:
                names.append(step.constant(i, "operand", "real"))
        if not any(step.is_computed(i) for i in (0, 1)):
            raise step.unsupported("an operand that is computed is supported, found constants")
        made = step.add(kind, *names)
        made = made if form is None else _activated(step, made, step.operator.read(form))
        return step.back(made) if on_planes else made

    return handler


def _single(kind: str, **attributes: Any) -> Handler:
    def handler(step: Step) -> str:
        return step.add(kind, step.computed(), **attributes)

    return handler


def leaky_relu(step: Step) -> str:
    return step.add("LeakyRelu", step.computed(), alpha=step.operator.read(tflite.LeakyReluOptions).Alpha())


def gelu(step: Step) -> str:
    approximate = step.operator.read(tflite.GeluOptions).Approximate()
    return step.add("Gelu", step.computed(), approximate="tanh" if approximate else "none")


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


def _clip(low: float, high: float) -> Callable[[Step, str], str]:
    def clipped(step: Step, name: str) -> str:
        bounds = [step.writer.constant(np.array(bound, np.float32)) for bound in (low, high)]
        return step.activation("Clip", name, *bounds)

    return clipped


ACTIVATIONS: Final[Mapping[int, Callable[[Step, str], str]]] = {
    tflite.ActivationFunctionType.NONE: lambda step, name: name,
    tflite.ActivationFunctionType.RELU: lambda step, name: step.activation("Relu", name),
    tflite.ActivationFunctionType.RELU_N1_TO_1: _clip(-1, 1),
    tflite.ActivationFunctionType.RELU6: _clip(0, 6),
    tflite.ActivationFunctionType.TANH: lambda step, name: step.activation("Tanh", name),
}


def _activated(step: Step, name: str, options: Any) -> str:
    """An ONNX tensor behind the activation that is fused with the operator."""
    activation = options.FusedActivationFunction()
    if activation not in ACTIVATIONS:
        raise step.unsupported(f"fused activation {activation} is not supported")
    return ACTIVATIONS[activation](step, name)


def _padding(step: Step, options: Any) -> str:
    """``auto_pad`` of a window: of an odd number of padded pixels, the last one is at the end in TFLite, too."""
    names = {tflite.Padding.SAME: "SAME_UPPER", tflite.Padding.VALID: "VALID"}
    if options.Padding() not in names:
        raise ModelError(step.where, f"padding is SAME or VALID, found {options.Padding()}")
    return names[options.Padding()]


OPERATORS: Final[Mapping[str, Handler]] = {
    "ADD": _arithmetic("Add", tflite.AddOptions),
    "ARG_MAX": arg_max,
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "CONCATENATION": concatenation,
    "CONV_2D": conv_2d,
    "DEPTH_TO_SPACE": _blocks("DepthToSpace", tflite.DepthToSpaceOptions),
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "DEQUANTIZE": same_values,
    "DIV": _arithmetic("Div", tflite.DivOptions),
    "ELU": _single("Elu"),
    "EXPAND_DIMS": reshape,
    "FULLY_CONNECTED": fully_connected,
    "GELU": gelu,
    "HARD_SWISH": _single("HardSwish"),
    "LEAKY_RELU": leaky_relu,
    "LOGISTIC": _single("Sigmoid"),
    "LOG_SOFTMAX": _single("LogSoftmax", axis=-1),
    "MAXIMUM": _arithmetic("Max"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "MEAN": mean,
    "MINIMUM": _arithmetic("Min"),
    "MUL": _arithmetic("Mul", tflite.MulOptions),
    "PAD": pad,
    "PADV2": pad,
    "QUANTIZE": same_values,
    "RELU": _single("Relu"),
    "RELU6": lambda step: _clip(0, 6)(step, step.computed()),
    "RELU_0_TO_1": lambda step: _clip(0, 1)(step, step.computed()),
    "RELU_N1_TO_1": lambda step: _clip(-1, 1)(step, step.computed()),
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": _resize("linear", tflite.ResizeBilinearOptions),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest", tflite.ResizeNearestNeighborOptions),
    "SOFTMAX": softmax,
    "SPACE_TO_DEPTH": _blocks("SpaceToDepth", tflite.SpaceToDepthOptions),
    "SQUEEZE": reshape,
    "STRIDED_SLICE": strided_slice,
    "SUB": _arithmetic("Sub", tflite.SubOptions),
    "TANH": _single("Tanh"),
    "TRANSPOSE": transpose,
    "TRANSPOSE_CONV": transpose_conv,
}
CUTS: Final = frozenset(
    {
        *("ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MEAN", "MUL", "SUB"),
        "TRANSPOSE_CONV",
    }
)
"""Operators whose integers may cut values off, see ``Step.finish``."""
