"""Han's published ``compressed_SqueezeNet.net``: SqueezeNet v1.0 with its codebooks and zeros.

The file is little endian. It starts with 26 x uint32, the number of stored entries of each convolution in network
order. Then follow for each convolution: its codebook, 256 x float32, of which entry 0 is 0.0; its biases, float32;
the codes, one uint8 for each stored entry; and the gaps, 4 bits for each, two in a byte, low nibble first.

An entry lies gap + 1 places after the one before, in flat OIHW order. An entry of code 0 is a zero that fills a
gap over 15.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dcgen.errors import ModelError
from dcgen.importers.model import ImportedModel
from dcgen.ir.graph import F32, Levels, Weight
from dcgen.models.build import build_graph
from dcgen.models.catalogue import V1_0_CAFFE
from dcgen.models.spec import ConvLayer
from dcgen.reading import read_bytes

CODES = 256
"""Entries of each codebook."""


def load_han(path: str | Path, input_size: int | None = None, default_size: int | None = None) -> ImportedModel:
    """The network in a ``.net`` file, its weights as exact levels and its biases as stored.

    input_size : height and width of the input; where it is None ``default_size``, else the model's own size

    Raises ModelError naming the first part of the file that is damaged.
    """
    path = Path(path)
    spec = replace(
        V1_0_CAFFE, name="squeezenet1_0_deepcompression", size=input_size or default_size or V1_0_CAFFE.size
    )
    convs = spec.convs()
    reader = _Reader(path, read_bytes(path, ModelError))
    entries = reader.take(len(convs), "<u4", "stored entries of each layer").tolist()
    biases: dict[str, F32] = {}
    weights: dict[str, Weight] = {}
    for conv, stored in zip(convs, entries, strict=True):
        weights[conv.name], biases[f"{conv.prefix}.bias"] = _layer(reader, conv, stored)
    reader.finish()
    return ImportedModel(build_graph(spec, biases, weights), ("none",), str(path), "caffe")


def _layer(reader: _Reader, conv: ConvLayer, stored: int) -> tuple[Weight, F32]:
    """Weight and bias of the next convolution, of which ``stored`` entries are in the file."""
    codebook = reader.take(CODES, "<f4", f"codebook of {conv.name}")
    bias = reader.take(conv.outputs, "<f4", f"biases of {conv.name}")
    if not (np.isfinite(codebook).all() and np.isfinite(bias).all()):
        raise ModelError(reader.path, f"{conv.name} holds a NaN or infinite value")
    if codebook[0] != 0:
        raise ModelError(reader.path, f"codebook of {conv.name} begins with {codebook[0]}, expected 0")
    codes = reader.take(stored, "u1", f"codes of {conv.name}")
    packed = reader.take((stored + 1) // 2, "u1", f"gaps of {conv.name}")
    gaps = np.stack([packed & 15, packed >> 4], 1).reshape(-1)[:stored]
    positions = np.cumsum(gaps.astype(np.int64) + 1) - 1
    indices = np.zeros(np.prod(conv.weight_shape), np.uint8)
    if stored and positions[-1] >= indices.size:
        raise ModelError(
            reader.path, f"entries of {conv.name} reach place {positions[-1]}, expected below {indices.size}"
        )
    indices[positions] = codes
    return Weight.of(Levels(codebook.astype(np.float64), indices.reshape(conv.weight_shape))), bias


class _Reader:
    """Takes arrays off the front of a file; ModelError where one is longer than what is left."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data
        self.at = 0

    def take(self, count: int, dtype: str, what: str) -> np.ndarray:
        """The next ``count`` numbers; ``what`` names them in the error."""
        size = count * np.dtype(dtype).itemsize
        left = len(self.data) - self.at
        if size > left:
            raise ModelError(self.path, f"is truncated: {what} take {size} bytes at {self.at}, found {left}")
        array = np.frombuffer(self.data, dtype, count, self.at)
        self.at += size
        return array.astype(array.dtype.newbyteorder("="))

    def finish(self) -> None:
        """ModelError if anything is left."""
        if self.at != len(self.data):
            excess = len(self.data) - self.at
            raise ModelError(self.path, f"has {excess} bytes after its last layer, expected none")
