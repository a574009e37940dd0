"""How each ONNX operator becomes IR: one function for each, listed at the end of the module that holds it.

The functions are written for the spellings of opset 18, to which older models are converted; newer opsets spell
these operators alike. A function gets the node as a ``Call`` and returns its output, or a tuple of its outputs.
What an operator cannot express exactly ends in an UnsupportedError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dcgen.importers import onnx_elementwise, onnx_functions, onnx_views, onnx_windows
from dcgen.importers.onnx_scope import Handler

OPERATORS: Final[Mapping[str, Handler]] = dict(
    sorted(
        {
            **onnx_elementwise.OPERATORS,
            **onnx_functions.OPERATORS,
            **onnx_views.OPERATORS,
            **onnx_windows.OPERATORS,
        }.items()
    )
)
"""Every operator on computed tensors that dcgen imports, in the order of the names."""

AFTER_HEAD: Final = frozenset(onnx_views.OPERATORS) - {"Softmax", "LogSoftmax"}
"""What may follow a removed Softmax, LogSoftmax, ArgMax or TopK."""
