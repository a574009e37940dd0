"""How each ONNX operator becomes IR: one function for each, listed at the end of the module that holds it.

The functions are written for the spellings of opset 18, to which older models are converted; newer opsets spell
these operators alike. A function gets the node as a ``Call`` and returns its output, or a tuple of its outputs.
What an operator cannot express exactly ends in an UnsupportedError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import onnx

from dcgen.importers import onnx_adaptive, onnx_qonnx, onnx_quantized, onnx_views
from dcgen.importers.onnx_scope import Call, Handler

OPERATORS: Final[Mapping[str, Handler]] = dict(
    sorted({**onnx_quantized.FLOAT, **onnx_quantized.OPERATORS}.items())
)
"""Every operator on computed tensors that dcgen imports, in the order of the names."""

_LINEAR: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})
_HEADS: Final = frozenset({"LogSoftmax", "Sigmoid", "Softmax"})
AFTER_HEAD: Final = frozenset(onnx_views.OPERATORS) - _HEADS | _LINEAR
"""What may follow a removed Softmax, LogSoftmax, Sigmoid, ArgMax or TopK."""

ON_INTEGERS: Final = onnx_quantized.READS_INTEGERS | AFTER_HEAD - {"Cast", "ArgMax", "TopK", "QuantizeLinear"}
"""What may read a tensor of integers."""


OTHER_DOMAINS: Final[Mapping[str, Mapping[str, Handler]]] = {
    "com.microsoft": onnx_quantized.MICROSOFT,
    onnx_adaptive.DOMAIN: onnx_adaptive.OPERATORS,
    **dict.fromkeys(onnx_qonnx.DOMAINS, onnx_qonnx.OPERATORS),
}
"""Operators that are none of ONNX's own, by domain."""


def handler_of(node: onnx.NodeProto) -> Handler | None:
    """The handler of a node's operator, None where it has none."""
    return (OPERATORS if is_standard(node) else OTHER_DOMAINS.get(node.domain, {})).get(node.op_type)


def is_standard(node: onnx.NodeProto) -> bool:
    """Whether the node's operator is one of ONNX's own."""
    return node.domain in ("", "ai.onnx")


def computes_constants(node: onnx.NodeProto) -> Callable[[Call], np.ndarray] | None:
    """What computes a node's output where all inputs are constant, None where the package onnx does."""
    qonnx = node.domain in onnx_qonnx.DOMAINS
    known = onnx_qonnx.CONSTANTS if qonnx else onnx_quantized.CONSTANTS
    return known.get(node.op_type) if qonnx or is_standard(node) or node.domain in OTHER_DOMAINS else None
