"""Renders docs/operators.md from the importers' operators: ``python -m dcgen.importers.document [FILE]``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from dcgen.importers import onnx_functions, onnx_quantized, onnx_views
from dcgen.importers.onnx_constants import FOLDABLE
from dcgen.importers.onnx_operators import OPERATORS, OTHER_DOMAINS
from dcgen.importers.tflite_operators import OPERATORS as TFLITE

DEFAULT_PATH = Path("docs/operators.md")
INTRODUCTION = """\
What the importers read, what the C firmware computes of it, and what the engine does. Everything else ends in one
line with the node's name, its operator, and what is supported. PyTorch programs (`.pt2`) are written as ONNX by
PyTorch itself, but for adaptive pools, which are operators of the domain `dcgen`. Tensors are `[N, C, H, W]`, or
`[N, C, L]`, which are planes of one row, or have their channels last; whatever the firmware computes equals the
integer reference in every byte. A network has one input and any number of outputs, which are planes `[C, H, W]`
in whatever order a file lists their elements; the engine refuses networks of several."""
REFUSED = """\
## What is refused

- Recurrent layers (LSTM, GRU, RNN), attention and what it is made of (products of two computed matrices, a Softmax
  before others, LayerNormalization and other normalisations of activations), loops and branches, 3-D forms.
- Several inputs: `one input is supported`.
- Tensors of integers or bfloat16, but for integers that stand for real values, as QuantizeLinear makes them."""

ANY, TABLE = "yes", "a table of 256 bytes"
WINDOWS = "pads smaller than the kernel; dilated with a stride of 1 or of whole dilations"
SELECTION = "part of a convolution, or a convolution that copies"
SHUFFLE = "nothing is computed, or a shuffle of channels: part of a convolution, or one that copies"
ORDER = "where the planes' order of elements can be undone"
NO_TABLE = "refused: looks up a table"
NO_PRODUCT = "refused where both are computed"
NO_BLOCKS = "refused: makes blocks of pixels"
REPEATED = "a computed one is repeated along axes of size 1, a constant has one number, or one a channel"
ROWS: Final[Mapping[str, tuple[str, str, str]]] = {
    "Add": ("a sum, or part of a convolution", ANY, REPEATED),
    "AveragePool": ("a pool", "refused where windows meet padding", WINDOWS),
    "BatchNormalization": ("part of a convolution", ANY, "inference"),
    "Clip": ("part of the operator before it", ANY, "constant bounds"),
    "Concat": ("by placing tensors side by side; of rows and columns a sum", ANY, "no concatenation of pictures"),
    "Conv": ("a convolution", ANY, "constant weights, 2-D and 1-D; any kernel, stride, dilation and groups"),
    "ConvTranspose": ("a convolution, and blocks of pixels", NO_BLOCKS, "constant weights, 2-D and 1-D"),
    "DepthToSpace": ("blocks of pixels", NO_BLOCKS, "mode DCR takes a convolution, or the one before it"),
    "Expand": ("a selection of channels, blocks of pixels", "refused where it makes these", "as many axes"),
    "Div": ("part of a convolution, or of a table", ANY, "by a constant; of tensors inside functions of one"),
    "Gemm": ("a convolution", ANY, "constant matrix, transA 0"),
    "Gather": (SELECTION, ANY, "one index or a list: channels in any order; rows and columns at one distance"),
    "GatherND": ("an adaptive average pool", "refused where bins differ", "as torch.onnx writes that"),
    "GlobalAveragePool": ("a pool", ANY, ""),
    "GlobalMaxPool": ("a pool", ANY, ""),
    "LRN": ("tables, a convolution and a product", "refused: looks up tables", "on channels; alpha not below 0"),
    "MatMul": ("a convolution", ANY, "a computed tensor times a constant matrix"),
    "Max": ("sums and a clip", ANY, REPEATED),
    "MaxPool": ("a pool", ANY, "as AveragePool; first output"),
    "Min": ("sums and a clip", ANY, REPEATED),
    "Mul": ("a product, or part of a convolution", NO_PRODUCT, REPEATED),
    "Neg": ("part of a convolution", ANY, ""),
    "PRelu": ("a table, or three operators", "refused with one slope", "one slope, or one each channel"),
    "Pad": ("part of a convolution, or a copy", "mode edge is refused", "constant and edge; channels with 0"),
    "ReduceMax": ("a pool, of channels sums and clips", ANY, "over all of channels, height or width"),
    "ReduceMean": ("a pool, of channels a convolution", ANY, "over all of channels, height or width"),
    "ReduceSum": ("as ReduceMean", ANY, "as ReduceMean"),
    "Relu": ("part of the operator before it", ANY, ""),
    "Reshape": (SHUFFLE, ANY, f"{ORDER}, or channels are shuffled"),
    "Resize": (
        "blocks of pixels, a convolution, a pool", NO_BLOCKS,
        "modes nearest and linear with weights that repeat within 64 pixels; no tf_crop_and_resize, no antialias",
    ),
    "Slice": (f"a pool of one pixel, {SELECTION}", ANY, "channels; rows and columns with a positive step"),
    "SpaceToDepth": ("a convolution", ANY, ""),
    "Split": (SELECTION, ANY, "of channels, rows or columns"),
    "Sub": ("a difference, or part of a convolution", ANY, "as Add"),
    "Sum": ("sums", ANY, f"computed terms; {REPEATED}"),
    "Transpose": (SHUFFLE, ANY, f"{ORDER}, or channels are shuffled"),
    "Where": (TABLE, NO_TABLE, "where all depends on one tensor"),
}  # fmt: skip
"""What C firmware makes of an operator on planes or two tensors, what the engine does, and the restriction."""
HEADS = frozenset({"ArgMax", "LogSoftmax", "Softmax", "TopK"})


def render() -> str:
    """The document, in Markdown."""
    parts = [
        "# Operators",
        "<!-- Written by `python -m dcgen.importers.document` from dcgen/importers; do not edit. -->",
        INTRODUCTION,
        "## ONNX",
        "\n".join(["| operator | C firmware | engine | restriction |", "|---|---|---|---|", *_rows()]),
        "Of constants these are computed when a file is read: " + _list(FOLDABLE) + ".",
        "Of other domains: " + "; ".join(f"{d} {_list(ops)}" for d, ops in OTHER_DOMAINS.items()) + ".",
        "## TFLite",
        "Each is written in ONNX's operators first, and has their restrictions: " + _list(TFLITE) + ".",
        REFUSED,
    ]
    return "\n\n".join(parts) + "\n"


def _rows() -> Iterator[str]:
    for kind in OPERATORS:
        made, engine, restriction = _row(kind)
        yield f"| {kind} | {made} | {engine} | {restriction} |"


def _row(kind: str) -> tuple[str, str, str]:
    if kind in ROWS:
        return ROWS[kind]
    if kind in HEADS:
        return "left to the host", "left to the host", "the last operators, over all scores or each pixel's"
    if kind == "Sigmoid":
        return f"{TABLE}; at the end left to the host", f"{NO_TABLE}; at the end left to the host", ""
    if kind in onnx_functions.OPERATORS:
        return TABLE, NO_TABLE, "one number to one number; further operands are constant"
    if kind in onnx_quantized.OPERATORS:
        return "as the operator on real values", "as the operator on real values", "8 and 16 bits"
    if kind in onnx_views.OPERATORS:
        return "nothing is computed", "nothing is computed", ORDER
    raise KeyError(f"{kind} has no row")


def _list(kinds: tuple[str, ...] | Mapping[str, object]) -> str:
    return ", ".join(sorted(kinds))


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PATH
    path.write_text(render())


if __name__ == "__main__":
    main()
