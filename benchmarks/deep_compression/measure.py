"""Trains a case and measures it: errors on samples that nothing was chosen on, and the sizes that the paper
counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.deep_compression.cases import Case
from dcgen.compress.fold import canonical
from dcgen.compress.point import read_point
from dcgen.compress.recipes import DeepCompression, Keep
from dcgen.encode.symbols import Entries
from dcgen.importers.onnx_import import load_onnx
from dcgen.integers import as_integers
from dcgen.ir.graph import Graph
from dcgen.progress import Progress, unheard
from dcgen.quant.execute import execute
from dcgen.run_folder import FLOAT, TRAINED, Run
from dcgen.stages import stage
from dcgen.train import loop
from dcgen.train.data import Part
from dcgen.train.network import GraphNetwork
from dcgen.training import TrainJob, train

ROW = "row.json"
INDEX_BITS = 5
"""Bits of an index relative to the last weight that is not zero, as the paper has it for both networks."""
FLOAT_BITS = 32
RANGE_SAMPLES = 256
"""Held-out samples from which activation ranges are taken."""
BATCH = 500
"""Test samples that the golden model computes at a time."""


def measured(case: Case, data: Path, out: Path, progress: Progress) -> dict[str, Any]:
    """The row of a case. Its run is ``out`` / its name; a case that was measured before is read from there.

    data : .npz file with x_train, y_train, x_test and y_test
    """
    folder = out / case.name
    if (folder / ROW).exists():
        row: dict[str, Any] = json.loads((folder / ROW).read_text())
        return row
    stages = tuple(stage(table, number) for number, table in enumerate(case.stages, 1))
    begun = out / case.begun.name if case.begun else None
    job = TrainJob(model=case.network, data=data, stages=stages)
    found = train(job, folder, progress, unheard, begun)
    row = {"network": case.network, "case": case.name, "group": case.group, **case.labels}
    row |= {"density_found": found["density"], **_figures(folder, data, case)}
    (folder / ROW).write_text(json.dumps(row))
    return row


def _figures(folder: Path, data: Path, case: Case) -> dict[str, Any]:
    form = Run.read(folder).preprocess
    float_graph = canonical(load_onnx(folder / FLOAT, None, None).graph, form)
    graph = read_point(folder / TRAINED, float_graph).applied(float_graph)
    with np.load(data) as arrays:
        x, y = arrays["x_test"], arrays["y_test"].astype(np.int64)
    x = x.reshape(*x.shape[:3], -1)
    right, _ = loop.measured(GraphNetwork(graph), Part(x, y), form.centred)
    figures: dict[str, Any] = {"test_samples": len(y), "error": 1 - right}
    figures["float_bytes"] = sum(4 * (c.weight.values.size + c.bias.size) for _, c in graph.convs())
    figures["fixed_bytes"] = fixed_bytes(graph, case.labels.get("bits"))
    if any(c.weight.levels is None for _, c in graph.convs()):
        return figures
    with np.load(folder / "calibration.npz") as kept:
        ranges = form.centred(kept["x"][:RANGE_SAMPLES])
    for name, recipe in (("huffman_bytes", DeepCompression(index_bits_conv=INDEX_BITS)), ("bytes", Keep())):
        _, _, qgraph, blob = as_integers(graph, ranges, form.camera_mean, recipe, lambda *_: None, {})
        figures[name] = len(blob.data)
    chunks = [execute(qgraph, x[i : i + BATCH]) for i in range(0, len(x), BATCH)]
    chosen = np.concatenate([c.reshape(len(c), -1).argmax(1) for c in chunks])
    return {**figures, "integer_error": float((chosen != y).mean())}


def fixed_bytes(graph: Graph, bits: int | None) -> float:
    """Bytes without Huffman coding. Weights are ``bits`` wide, with a codebook of 32-bit values for each layer, or
    32 where ``bits`` is None. A layer holds all of its weights, or those that are not zero and fillers, each with
    an index of ``INDEX_BITS``, whichever is less. Biases have 32 bits."""
    total, width = 0, bits or FLOAT_BITS
    for _, conv in graph.convs():
        entries = Entries.of((conv.weight.values != 0).astype(np.uint8)).n_limited((1 << INDEX_BITS) - 1)
        total += min(conv.weight.values.size * width, entries * (width + INDEX_BITS))
        total += FLOAT_BITS * conv.bias.size + (FLOAT_BITS << bits if bits else 0)
    return total / 8
