"""From a float graph whose every convolution has levels to integers and a blob."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dcgen.compress.recipes import Keep, Recipe
from dcgen.compress.shrink import shrunk
from dcgen.encode.blob import Blob, encode
from dcgen.encode.coding import CodingSettings
from dcgen.ir.graph import F32, F64, Graph
from dcgen.ir.runner import FloatRunner
from dcgen.progress import Progress, counted
from dcgen.quant.levels import BIAS_TOLERANCE, KEPT_TOLERANCE
from dcgen.quant.lower import lower
from dcgen.quant.qgraph import QGraph
from dcgen.quant.ranges import Range, calibrate
from dcgen.quant.scales import clip_owners, with_copies


def as_integers(
    candidate: Graph,
    pictures: F32,
    camera_mean: F64,
    recipe: Recipe,
    progress: Progress,
    own: Mapping[str, tuple[float, float]],
) -> tuple[Graph, dict[str, Range], QGraph, Blob]:
    """A graph whose every convolution has levels as float network, activation ranges, integers and blob.

    pictures : what ranges are taken from, centred, float32 [N, C, H, W]
    camera_mean : for each camera channel, the byte that is 0.0 in the network's input: float64 [C]
    own : intervals of real values by tensor, for recipes that keep them
    """
    compressed = with_copies(candidate)
    ranges = observe(compressed, pictures, recipe, progress)
    kept = own if recipe.own_ranges else {}
    ranges |= {
        name: replace(r, low=kept[name][0], high=kept[name][1]) for name, r in ranges.items() if name in kept
    }
    qgraph = lower(compressed, ranges, camera_mean, KEPT_TOLERANCE if kept else BIAS_TOLERANCE)
    blob = encode(qgraph, CodingSettings(recipe.coding, recipe.index_bits_conv, recipe.index_bits_fc))
    return compressed, ranges, qgraph, blob


def coded_size(candidate: Graph, pictures: F32, camera_mean: F64) -> int:
    """Bytes of the blob of a graph whose every convolution has levels, without the channels that make no
    difference; arguments as ``as_integers`` has them."""
    return len(as_integers(shrunk(candidate), pictures, camera_mean, Keep(), lambda *_: None, {})[3].data)


def observe(graph: Graph, pictures: F32, recipe: Recipe, progress: Progress) -> dict[str, Range]:
    """Activation ranges of the compressed network by node, over centred pictures float32 [N, C, H, W]."""
    fused = set(clip_owners(graph).values())  # a clip is fused into them: their own values are never stored
    runner = FloatRunner(graph, [n.name for n in graph.nodes if n.name not in fused])

    def run() -> Iterator[Mapping[str, F32]]:
        step = counted(progress, "observing ranges", len(pictures))
        for batch in runner.batches(pictures):
            yield batch
            step(len(next(iter(batch.values()))))

    return calibrate(run, recipe.ranges, recipe.range_keep)
