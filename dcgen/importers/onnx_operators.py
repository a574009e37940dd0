"""How each ONNX operator becomes IR: one function an operator, listed in ``OPERATORS``.

Written for the spellings of opset 18, to which older models are converted; newer opsets spell
these operators alike. A function gets the node as a ``Call`` and returns its output(s). What an
operator cannot express exactly ends in an UnsupportedError.
"""

from __future__ import annotations

from collections.abc import Callable

from dcgen.importers import onnx_elementwise as elementwise
from dcgen.importers import onnx_views as views
from dcgen.importers import onnx_windows as windows
from dcgen.importers.onnx_scope import Call, Scope, Value

Handler = Callable[[Call, Scope], Value | tuple[Value, ...]]

OPERATORS: dict[str, Handler] = {
    "Add": elementwise.add,
    "ArgMax": views.arg_max,
    "AveragePool": windows.average_pool,
    "BatchNormalization": elementwise.batch_normalization,
    "Cast": views.cast,
    "Clip": elementwise.clip,
    "Concat": windows.concat,
    "Conv": windows.conv,
    "Div": elementwise.divide,
    "Dropout": views.dropout,
    "Flatten": views.flatten,
    "Gemm": windows.gemm,
    "GlobalAveragePool": windows.global_average_pool,
    "Identity": views.identity,
    "LogSoftmax": views.log_softmax,
    "MatMul": windows.matmul,
    "MaxPool": windows.max_pool,
    "Mul": elementwise.multiply,
    "Pad": windows.pad,
    "ReduceMean": windows.reduce_mean,
    "Relu": elementwise.relu,
    "Reshape": views.reshape,
    "Shape": views.shape,
    "Softmax": views.softmax,
    "Squeeze": views.squeeze,
    "Sub": elementwise.subtract,
    "Sum": elementwise.sum_,
    "TopK": views.top_k,
    "Unsqueeze": views.unsqueeze,
}
"""Every operator on computed tensors that dcgen imports."""

AFTER_HEAD = (
    "ArgMax",
    "Cast",
    "Dropout",
    "Flatten",
    "Identity",
    "Reshape",
    "Shape",
    "Squeeze",
    "TopK",
    "Unsqueeze",
)
"""What may follow a removed Softmax, ArgMax or TopK."""
