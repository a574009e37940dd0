"""Golden data: pictures, the scores that a network must make of them, and check values of its tensors."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dcgen.errors import PictureError
from dcgen.files import FileSet
from dcgen.inputs.samples import InputForm
from dcgen.inputs.tensor import TensorInput
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import I32, U8, QConcat, QGraph

TENSORS = "inputs.npy"
"""File of golden inputs that are no pictures."""


@dataclass(frozen=True, eq=False)
class Golden:
    """Inputs and what the integer network makes of them.

    pictures : uint8 [N, H, W, C], N >= 1
    scores : int32 [N, S]
    trace : the tensors of the first picture by name, uint8 [C, H, W]
    checks : for each node the check value of its output for the first picture; 0 for Concats and the scores, which
        C does not trace
    """

    pictures: U8
    scores: I32
    trace: Mapping[str, U8]
    checks: tuple[int, ...]

    @classmethod
    def of(cls, graph: QGraph, pictures: U8) -> Golden:
        """Run ``graph`` on ``pictures``, uint8 [N, H, W, C]. Raises PictureError if there are none."""
        if len(pictures) == 0:
            raise PictureError(graph.name, "has no picture for its self-test", "give at least one")
        trace: dict[str, U8] = {}
        scores = execute(graph, pictures[:1], trace)
        if len(pictures) > 1:
            scores = np.concatenate([scores, execute(graph, pictures[1:])])
        checks = tuple(
            0 if isinstance(node.op, QConcat) or node.name not in trace else check_value(i, trace[node.name][0])
            for i, node in enumerate(graph.nodes)
        )
        planes = {name: tensor[0] for name, tensor in trace.items()}
        return cls(np.ascontiguousarray(pictures), scores, planes, checks)

    def files(self, form: InputForm | None = None) -> FileSet:
        """The inputs and ``scores.json``, by file name.

        Pictures are PNG files. Where ``form`` is a tensor's, ``inputs.npy`` holds the values [N, C, H, W] as users
        have them, and ``scores.json`` names each of them by its index.
        """
        files: dict[str, bytes] = {}
        scores: dict[str, list[int]] = {}
        if isinstance(form, TensorInput):
            data = io.BytesIO()
            np.save(data, form.values_of(self.pictures), allow_pickle=False)
            scores = {f"{TENSORS}[{i}]": row.tolist() for i, row in enumerate(self.scores)}
            return {TENSORS: data.getvalue(), "scores.json": (json.dumps(scores) + "\n").encode()}
        for i, picture in enumerate(self.pictures):
            name = f"picture_{i:03d}.png"
            files[name] = _png(picture)
            scores[name] = self.scores[i].tolist()
        files["scores.json"] = (json.dumps(scores) + "\n").encode()
        return files


def check_value(node: int, planes: U8) -> int:
    """The check value of a node's output: the sum modulo 2**32 of a CRC-32 for each row, in whatever order.

    The CRC of a row is over node, channel and row number, each as a little-endian uint16, and then the row's
    bytes.

    planes : uint8 [C, H, W]
    """
    total = 0
    for c, plane in enumerate(planes):
        for y, row in enumerate(plane):
            total += zlib.crc32(row.tobytes(), zlib.crc32(struct.pack("<HHH", node, c, y)))
    return total & 0xFFFFFFFF


def _png(picture: U8) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(data, "PNG")
    return data.getvalue()
