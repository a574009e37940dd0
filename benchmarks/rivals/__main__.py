"""One table, on the same pictures, of dcgen's outputs, their levels in other codes, the published file of Deep
Compression, and NNCodec.

    python -m benchmarks.rivals OUT... --images DIR --labels FILE [--published NET] [--nncodec ENV]

OUT are folders that ``dcgen compile`` wrote from one float network. dcgen's fidelity is measured on its integer
network, a rival's on its decoded weights in float (onnxruntime), so that rivals' activations are not quantized.
With ``--nncodec``, NNCodec runs in the virtual environment ENV, which is made and filled if it does not exist.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals import nncodec, same_levels
from benchmarks.rivals.same_levels import Levels
from benchmarks.rivals.table import Row, duels, show, write
from dcgen import pictures as host
from dcgen.command.console import stderr
from dcgen.encode.reader import describe
from dcgen.encode.schema import Kind
from dcgen.encode.stream import stream_size
from dcgen.errors import DcgenError, OutputError
from dcgen.fidelity import Fidelity, fidelity
from dcgen.files import temporary_folder
from dcgen.importers import load
from dcgen.inputs.samples import open_samples
from dcgen.ir.graph import F32
from dcgen.ir.runner import FloatRunner
from dcgen.output import Output, open_output
from dcgen.progress import unheard
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QConv

SIZES = (250_000, 280_000, 310_000, 340_000, 370_000, 410_000, 450_000)
"""Sizes in bytes at which NNCodec's curves are measured; between them they are interpolated."""


class Judge:
    """Judges networks by the scores that the float network gives the pictures.

    labels : int64 [N], None where they are not known
    pictures : uint8 [N, H, W, C]
    reference : float32 [N, S], scores of the float network
    """

    def __init__(self, output: Output, images: Path, labels: Path | None) -> None:
        samples = open_samples(images, unheard)
        which, self.labels = samples.labelled(labels)
        self.pictures = samples.load(which, output.preprocess, output.size, unheard).data
        self.graph = output.float_graph()
        self._input = output.preprocess.normalise(self.pictures)
        self.reference = FloatRunner(self.graph).run(self._input)

    def output(self, output: Output) -> Fidelity:
        """The fidelity of an output's integer network."""
        scores = execute(output.qgraph, self.pictures)
        return fidelity(self.reference, scores, output.qgraph.score_scale, self.labels)

    def weights(self, weights: dict[str, Any], biases: dict[str, F32]) -> Fidelity:
        """The fidelity of the float network with other weights and biases, by Conv node."""
        logits: NDArray[np.float32] = FloatRunner(self.graph.with_weights(weights, biases)).run(self._input)
        return fidelity(self.reference, logits, 1.0, self.labels)


def output_rows(judge: Judge, output: Output, python: Path | None) -> list[Row]:
    """A row for dcgen's file, and rows for its levels in other codes, the rest of the file left as it is.

    python : interpreter of NNCodec's environment, None without it. NNCodec codes the integers without codebooks
    """
    blob = (output.path / "model.dcb").read_bytes()
    found = judge.output(output)
    ops = [n.op for n in output.qgraph.nodes if isinstance(n.op, QConv)]
    layers = [Levels(op.indices, len(op.levels)) for op in ops]
    convs = [a for a in describe(blob).layers if a.kind is Kind.CONV]
    side = len(blob) - sum(a.table_bytes + stream_size(a.stream_bits) for a in convs)
    settings = f"recipe {output.manifest['settings']['recipe']}"
    rows = [Row("dcgen", settings, len(blob), found), *_recoded(layers, side, found, "its levels")]
    if python is not None:
        codebooks = sum(a["bytes_by_part"]["levels"] for a in output.manifest["layers"])
        integers = [op.levels.astype(np.int32)[op.indices] for op in ops]
        with temporary_folder("dcgen-nncodec-") as folder:
            size = side - codebooks + nncodec.coded_integers(integers, python, folder)
        rows.append(Row("its levels", "NNCodec's arithmetic coder", size, found))
    return rows


def published_rows(judge: Judge, path: Path) -> list[Row]:
    """Rows for the file that Han et al. published, as it is and packed, and for its levels in other codes."""
    data, graph = path.read_bytes(), load(str(path)).graph
    layers, side = [], 0
    for _, conv in graph.convs():
        levels = conv.weight.levels
        assert levels is not None
        layers.append(Levels(levels.indices, len(levels.codebook)))
        side += 4 * (len(levels.codebook) + len(conv.bias))
    convs = list(graph.convs())
    found = judge.weights({n.name: c.weight for n, c in convs}, {n.name: c.bias for n, c in convs})
    rows = [Row("Deep Compression", "as published, no Huffman stage", len(data), found)]
    rows.append(Row("Deep Compression", "as published, xz -9e", same_levels.xz(data), found))
    if (packed := same_levels.zstd(data)) is not None:
        rows.append(Row("Deep Compression", "as published, zstd -22", packed, found))
    return [*rows, *_recoded(layers, side, found, "its levels, float codebooks and biases")]


def _recoded(layers: Sequence[Levels], side: int, found: Fidelity, what: str) -> list[Row]:
    """Rows for the levels of ``layers`` in other codes.

    side : bytes of the rest of the file
    found : fidelity of the network, which no code changes
    what : says in the table whose levels these are
    """
    plane = same_levels.plane(layers)
    sizes = {
        "joint Huffman": same_levels.joint_huffman(layers),
        "gaps and levels Huffman": same_levels.separate_huffman(layers),
        "entropy of (run, level), tables free": same_levels.joint_entropy(layers),
        "xz -9e": same_levels.xz(plane),
        "zstd -22": same_levels.zstd(plane),
    }
    return [Row(what, name, side + size, found) for name, size in sizes.items() if size is not None]


def nncodec_curves(judge: Judge, python: Path, sizes: Sequence[int]) -> tuple[dict[str, str], list[list[Row]]]:
    """The versions that NNCodec's environment has, and for each variant of its settings the rows, one a size."""
    with temporary_folder("dcgen-nncodec-") as folder:
        versions, points = nncodec.encode(judge.graph, sizes, python, folder)
    curves: dict[str, list[Row]] = {}
    for p in points:
        settings = f"{p.variant}, qp {p.qp}/{2**nncodec.QP_DENSITY}"
        row = Row("NNCodec", settings, p.bytes, judge.weights(p.weights, p.biases))
        curves.setdefault(p.variant, []).append(row)
    return versions, list(curves.values())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals", description=__doc__.split("\n\n")[0])
    parser.add_argument("outputs", metavar="OUT", type=Path, nargs="+", help="folders that dcgen compile wrote")
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--labels", type=Path, help="lines of 'file index'")
    parser.add_argument("--published", type=Path, help="compressed_SqueezeNet.net, for outputs made from it")
    parser.add_argument("--nncodec", type=Path, metavar="ENV", help="environment to run NNCodec in")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="of NNCodec's streams, in bytes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE as well")
    return parser.parse_args()


def _check_classes(outputs: Sequence[Output]) -> None:
    for output in outputs:
        if output.kinds != ("classes",):
            raise OutputError(output.path, "has values as outputs", "rivals are compared by scores of classes")


def _check_same_network(outputs: Sequence[Output]) -> None:
    graphs = {(o.path / "float.onnx").read_bytes(): o for o in outputs}
    if len(graphs) > 1:
        first, second, *_ = graphs.values()
        raise OutputError(second.path, f"is of another float network than {first.path}", "compare one at a time")


def main() -> None:
    arguments = _arguments()
    outputs = [open_output(path) for path in arguments.outputs]
    _check_classes(outputs)
    _check_same_network(outputs)
    judge = Judge(outputs[0], arguments.images, arguments.labels)
    python = nncodec.install(arguments.nncodec) if arguments.nncodec else None
    rows: list[Row] = published_rows(judge, arguments.published) if arguments.published else []
    ours: list[Row] = []
    for output in outputs:
        stderr.print(f"evaluating {output.path}", highlight=False)
        found = output_rows(judge, output, python)
        ours.append(found[0])
        rows += found
    about: dict[str, Any] = {"n": len(judge.pictures), "pictures_sha256": host.digest(judge.pictures)}
    curves: list[list[Row]] = []
    if python is not None:
        stderr.print("running NNCodec", highlight=False)
        about["versions"], curves = nncodec_curves(judge, python, arguments.sizes)
        about["nncodec_settings"] = {v.name: dict(v.settings) for v in nncodec.VARIANTS}
    rows += [row for curve in curves for row in curve]
    compared = duels(ours, curves)
    versions = ", ".join(f"{k} {v}" for k, v in about.get("versions", {}).items())
    title = f"{judge.graph.name}, {len(judge.pictures)} pictures" + (f"; {versions}" if versions else "")
    show(rows, compared, title)
    if arguments.json:
        write(arguments.json, rows, compared, about)


if __name__ == "__main__":
    try:
        main()
    except DcgenError as e:
        sys.exit(f"benchmarks.rivals: error: {e}")
