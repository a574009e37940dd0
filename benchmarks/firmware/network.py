"""A network, from an output folder or made up, with the plan and firmware of this checkout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dcgen.emit.firmware import emit_firmware
from dcgen.encode.blob import Blob, encode
from dcgen.encode.coding import CodingSettings
from dcgen.errors import ConfigError, OutputError
from dcgen.files import write_folder
from dcgen.inputs.samples import open_samples
from dcgen.output import open_output
from dcgen.plan.firmware.plan import FirmwarePlan, plan_firmware
from dcgen.progress import unheard
from dcgen.quant.qgraph import U8, QConv, QGraph
from dcgen.quant.verify import verify


@dataclass(frozen=True, eq=False)
class Network:
    """An integer network, its encoding and plan, and the picture that it is measured on, uint8 [H, W, C]."""

    graph: QGraph
    blob: Blob
    plan: FirmwarePlan
    picture: U8

    @classmethod
    def of(cls, graph: QGraph, coding: CodingSettings | None = None, picture: U8 | None = None) -> Network:
        """The network of ``graph``, encoded as ``coding`` says (by default as ``dcgen compile`` does).

        picture : uint8 [H, W, C]; by default noise
        """
        if picture is None:
            c, h, w = graph.input.shape
            picture = np.random.default_rng(0).integers(0, 256, (h, w, c)).astype(np.uint8)
        blob = encode(graph, coding)
        return cls(graph, blob, plan_firmware(graph, blob), picture)

    @classmethod
    def from_output(cls, out: Path, size: int | None = None) -> Network:
        """The network of a folder that ``dcgen compile`` wrote, on the picture in it.

        size : height and width of another input: the same weights then run on larger or smaller tensors, and the
            picture is cropped to its upper left corner or repeated

        Raises OutputError for any other folder and for one whose blob this checkout would write differently,
        ConfigError and GraphError where the network does not take the size.
        """
        output = open_output(out)
        settings = output.manifest["settings"]
        bits = settings.get("index_bits_conv", 4), settings.get("index_bits_fc", 5)
        coding = CodingSettings(settings["coding"], *bits)
        samples = open_samples(output.golden, unheard)
        picture = samples.load([0], output.preprocess, output.size, unheard).data[0]
        if encode(output.qgraph, coding).data != (out / "model.dcb").read_bytes():
            raise OutputError(out, "holds a blob that this dcgen would write differently", "compile it again")
        if size is None:
            return cls.of(output.qgraph, coding, picture)
        if size < 1:
            raise ConfigError("--size", f"is at least 1, found {size}")
        repeats = -(-size // min(picture.shape[:2]))
        return cls.of(resized(output.qgraph, size), coding, np.tile(picture, (repeats, repeats, 1))[:size, :size])

    def write(self, folder: Path) -> None:
        """Write the firmware into ``folder``."""
        write_folder(folder, emit_firmware(self.graph, self.blob, self.plan, self.graph.name))

    def dense_macs(self) -> dict[str, int]:
        """Multiply-accumulates of each convolution by name, zero weights included."""
        shapes = {n.name: n.out_shape for n in self.plan.nodes}
        convs = ((n.name, n.op) for n in self.graph.nodes if isinstance(n.op, QConv))
        return {name: op.indices.size * int(np.prod(shapes[name][1:])) for name, op in convs}


def resized(graph: QGraph, size: int) -> QGraph:
    """``graph`` on square pictures of ``size`` rows. Raises GraphError where its operators do not take them."""
    source = replace(graph.input, shape=(graph.input.shape[0], size, size))
    tensors = {source.name: source}
    for node in graph.nodes[:-1]:
        shape = node.op.shape([tensors[i].shape for i in node.inputs])
        tensors[node.name] = replace(graph.tensors[node.name], shape=shape)
    return verify(replace(graph, input=source, tensors=tensors))
