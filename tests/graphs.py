"""Hypothesis strategies for small float graphs, for properties that hold for any network."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from dcgen.errors import GraphError
from dcgen.ir.graph import (
    Add,
    Affine,
    AvgPool,
    Clip,
    Concat,
    Constant,
    Conv,
    Crop,
    Flatten,
    Function,
    GlobalAvgPool,
    Graph,
    Input,
    MaxPool,
    Node,
    Pad,
    Pairwise,
    Select,
    Step,
    Upsample,
    Weight,
)
from dcgen.ir.ops import infer
from dcgen.ir.verify import verify

FUNCTIONS = (
    Step("Abs"),
    Step("Celu", (0,), (("alpha", 0.5),)),
    Step("Elu", (0,), (("alpha", 1.0),)),
    Step("Erf"),
    Step("Gelu", (0,), (("approximate", "none"),)),
    Step("Gelu", (0,), (("approximate", "tanh"),)),
    Step("HardSigmoid", (0,), (("alpha", 0.25), ("beta", 0.5))),
    Step("HardSwish"),
    Step("LeakyRelu", (0,), (("alpha", 0.125),)),
    Step("Mish"),
    Step("Pow", (0, Constant(2.0))),
    Step("Round"),
    Step("Selu", (0,), (("alpha", 1.5), ("gamma", 1.25))),
    Step("Sigmoid"),
    Step("Softplus"),
    Step("Softsign"),
    Step("Tanh"),
)
"""Functions that have a value for every number and never jump: float32 and float64 could jump at other numbers."""

KINDS = ("conv", "conv", "depthwise", "max", "avg", "clip", "affine", "concat", "add", "pad")
KINDS += ("dilated", "function", "pair", "gate", "blocks", "select", "crop")
"""What a node of a random network is."""


def conv(rng: np.random.Generator, out: int, inp: int, kernel, groups=1, density=1.0, **more) -> Conv:
    w = rng.normal(size=(out, inp // groups, *kernel)) / np.sqrt(inp // groups * kernel[0] * kernel[1])
    w *= rng.random(w.shape) < density
    return Conv(Weight(w.astype(np.float32)), rng.normal(size=out).astype(np.float32) / 4, groups=groups, **more)


@st.composite
def spans(draw, size: int) -> tuple[int, int, int]:
    """Some of ``size`` rows or columns."""
    first, step = draw(st.integers(0, size - 1)), draw(st.integers(1, 3))
    return first, draw(st.integers(1, (size - 1 - first) // step + 1)), step


@st.composite
def graphs(draw, max_nodes: int = 6, channels: int = 3):
    """A random network on ``channels`` x 5..12 x 5..12 pictures; every tensor is used."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (channels, draw(st.integers(5, 12)), draw(st.integers(5, 12)))
    shapes = {"x": shape}
    nodes: list[Node] = []

    def push(op, *inputs):
        name = f"n{len(nodes)}"
        try:
            shapes[name] = infer(name, op, [shapes[i] for i in inputs])
        except GraphError:
            return
        nodes.append(Node(name, op, inputs))

    small = st.integers(1, 3)
    for _ in range(draw(st.integers(1, max_nodes))):
        names = list(shapes)
        last = names[-1]
        c = shapes[last][0]
        kind = draw(st.sampled_from(KINDS))
        kernel, stride = (draw(small), draw(small)), (draw(small), draw(small))
        pads = tuple(draw(st.integers(0, k - 1)) for k in kernel * 2)
        match kind:
            case "conv":
                density = draw(st.sampled_from([0.0, 0.3, 1.0]))
                push(
                    conv(rng, draw(st.integers(1, 6)), c, kernel, density=density, stride=stride, pads=pads), last
                )
            case "depthwise":
                dilation = tuple(draw(st.integers(1, 3)) if k > 1 else 1 for k in kernel)
                push(conv(rng, c, c, kernel, groups=c, stride=stride, pads=pads, dilation=dilation), last)
            case "dilated":
                dilation = tuple(draw(st.integers(1, 3)) if k > 1 else 1 for k in kernel)
                push(
                    conv(rng, draw(st.integers(1, 4)), c, kernel, stride=stride, pads=pads, dilation=dilation),
                    last,
                )
            case "max":
                push(MaxPool(kernel, stride, pads, draw(st.booleans())), last)
            case "avg":
                push(AvgPool(kernel, stride, pads, draw(st.booleans()), draw(st.booleans())), last)
            case "clip":
                push(draw(st.sampled_from([Clip(), Clip(0.0, 6.0)])), last)
            case "affine":
                scale = rng.uniform(0.5, 2, c) * rng.choice([-1, 1], c)
                push(Affine(scale.astype(np.float32), rng.normal(size=c).astype(np.float32)), last)
            case "concat":
                same = [n for n in names if shapes[n][1:] == shapes[last][1:]]
                push(Concat(), last, draw(st.sampled_from(same)))
            case "add":
                push(Add(), last, draw(st.sampled_from([n for n in names if shapes[n] == shapes[last]])))
            case "function":
                push(Function((draw(st.sampled_from(FUNCTIONS)),)), last)
            case "pair":
                other = draw(st.sampled_from([n for n in names if shapes[n] == shapes[last]]))
                push(Pairwise(draw(st.sampled_from(["Sub", "Mul", "Max", "Min"]))), last, other)
            case "gate":
                push(GlobalAvgPool(), last)
                push(Function((Step("Sigmoid"),)), f"n{len(nodes) - 1}")
                push(Pairwise("Mul"), last, f"n{len(nodes) - 1}")
            case "blocks":
                pixels = stride[0] * stride[1]
                push(Upsample(stride, c // pixels if c % pixels == 0 else c, (draw(st.integers(0, 1)), 0)), last)
            case "select":
                chosen = rng.permutation(c) if draw(st.booleans()) else rng.integers(0, c, draw(st.integers(1, 9)))
                push(Select(tuple(chosen.tolist())), last)
            case "crop":
                push(Crop(*(draw(spans(size)) for size in shapes[last][1:])), last)
            case "pad":
                push(draw(st.sampled_from([Pad(pads), Pad(pads, 0.5), Pad(pads, edge=True)])), last)
    last = list(shapes)[-1]
    tail = draw(st.sampled_from(["none", "gap", "gemm"])) if nodes else "gemm"
    if tail == "gap":
        push(GlobalAvgPool(), last)
    elif tail == "gemm":
        size = int(np.prod(shapes[last]))
        push(Flatten(), last)
        push(conv(rng, 4, size, (1, 1)), f"n{len(nodes) - 1}")
    return verify(_alive(Graph("made", (Input("x", shape),), tuple(nodes), (nodes[-1].name,))))


def _alive(graph: Graph) -> Graph:
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed |= set(node.inputs)
            kept.append(node)
    return graph.with_nodes(reversed(kept))
