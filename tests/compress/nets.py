"""A small network, pictures for it, and trials that need no lowering."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dcgen.compress.evidence import Divergence, Evidence, Trial, trial_of
from dcgen.compress.rate import level_costs
from dcgen.compress.uniform import MAX_LEVEL
from dcgen.ir.graph import Clip, Conv, GlobalAvgPool, Graph, Input, Node, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.metric import OutputKind, metric_of
from tests.graphs import conv


def net() -> Graph:
    """Three convolutions with rectifiers between them, and a global average pool: ten scores."""
    rng = np.random.default_rng(0)
    head = conv(rng, 10, 32, (1, 1))
    head = replace(head, weight=Weight(20 * head.weight.values))  # scores that depend on the picture
    nodes = (
        Node("a", conv(rng, 16, 3, (3, 3)), ("x",)),
        Node("ra", Clip(), ("a",)),
        Node("b", conv(rng, 32, 16, (3, 3)), ("ra",)),
        Node("rb", Clip(), ("b",)),
        Node("c", head, ("rb",)),
        Node("p", GlobalAvgPool(), ("c",)),
    )
    return Graph("net", (Input("x", (3, 10, 10)),), nodes, ("p",))


def bits(graph: Graph) -> float:
    """Estimated bits of all levels of a quantized network: their entropy, layer by layer."""
    total = 0.0
    for _, c in graph.convs():
        if c.weight.levels.step is None:
            counts = np.bincount(c.weight.levels.indices.ravel())
            total -= (counts * np.log2(np.maximum(counts, 1) / counts.sum())).sum()
            continue
        integers = np.rint(c.weight.values / c.weight.levels.step).astype(int)
        total += level_costs(integers)[integers + MAX_LEVEL].sum()
    return float(total)


def evidence(
    graph: Graph | None = None,
    kind: OutputKind = "classes",
    pictures: int = 12,
    measured: int = 24,
    **changes: object,
) -> Evidence:
    """Evidence for a network, ``measured`` and held-out ``pictures`` of noise; ``changes`` replace its fields.

    kind : what its outputs are

    A trial measures scores with float activations and estimates the bytes by ``bits``.
    """
    graph = graph or net()
    x = np.random.default_rng(1).normal(size=(measured + pictures, *graph.inputs[0].shape)).astype(np.float32)
    reference = FloatRunner(graph).run(x[measured:])
    metric = metric_of(reference, kind)
    divergence = Divergence(graph, x[measured:], metric)

    def trial(candidate: Graph) -> Trial:
        _, scores = divergence.outputs(
            {n.name: c.weight for n, c in candidate.convs()}, {n.name: c.bias for n, c in candidate.convs()}
        )
        return trial_of(round(bits(candidate) / 8), metric, reference, scores, 1.0, None)

    classes = reference.shape[1] if kind == "classes" else 0
    return replace(Evidence(x[:measured], x[measured:], lambda *_: None, trial, metric, classes), **changes)


def density(graph: Graph) -> float:
    """Share of weights that are not zero."""
    weights = [c.weight.values for _, c in graph.convs()]
    return sum(np.count_nonzero(w) for w in weights) / sum(w.size for w in weights)


def replaced(graph: Graph, name: str, op: Conv) -> Graph:
    """The graph with another convolution in place of the named one."""
    return graph.with_nodes(replace(n, op=op) if n.name == name else n for n in graph.nodes)
