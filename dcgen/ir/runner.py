"""Runs a float graph on many pictures through onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it collects events, and leaves a file in TMPDIR
import onnxruntime

from dcgen.ir.graph import F32, Graph
from dcgen.ir.to_onnx import to_onnx

BATCH = 8, 64
"""Least and most pictures in one call of onnxruntime: the memory that observing every tensor takes is bounded,
and a small network does not spend its time on calls."""
BATCH_VALUES = 1 << 20
"""Values of all tensors of a batch of more than the least pictures, at most."""


def batch_size(graph: Graph) -> int:
    """Pictures that are computed together."""
    values = sum(c * h * w for c, h, w in graph.shapes.values())
    return min(BATCH[1], max(BATCH[0], BATCH_VALUES // values))


class FloatRunner:
    """One onnxruntime session over a graph. Its weights are constants: as inputs they would take twice the time.

    outputs : names of the tensors to compute, default the graph's outputs
    batch : pictures in one call; None for ``batch_size`` of the graph
    """

    def __init__(
        self, graph: Graph, outputs: Sequence[str] | None = None, swappable: bool = False, batch: int | None = None
    ) -> None:
        self.outputs = tuple(graph.outputs if outputs is None else outputs)
        self._batch = batch or batch_size(graph)
        self._inputs = tuple(i.name for i in graph.inputs)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Idle threads would keep cores busy that others can use.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = to_onnx(graph, self.outputs)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def batches(self, x: F32 | Mapping[str, F32]) -> Iterator[dict[str, F32]]:
        """The outputs by name, a batch at a time.

        x : float32 [N, C, H, W], by name where the graph has several inputs
        """
        given = x if isinstance(x, Mapping) else {self._inputs[0]: x}
        for start in range(0, len(next(iter(given.values()))), self._batch):
            batch = {name: given[name][start : start + self._batch] for name in self._inputs}
            found = self._session.run(list(self.outputs), batch)
            yield dict(zip(self.outputs, (np.asarray(f) for f in found), strict=True))

    def run(self, x: F32 | Mapping[str, F32]) -> F32:
        """The outputs for all pictures, flattened and one behind the other: float32 [N, S]; ``x`` as in
        ``batches``."""
        found = ([a.reshape(len(a), -1) for a in batch.values()] for batch in self.batches(x))
        return np.concatenate([np.concatenate(arrays, 1) if len(arrays) > 1 else arrays[0] for arrays in found])
