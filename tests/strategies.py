"""Small random integer networks that keep every rule of a QGraph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from dcgen.quant.arithmetic import MAX_RATIO, constants
from dcgen.quant.qgraph import (
    TABLE_BYTES,
    QAdd,
    QAvgPool,
    QConcat,
    QConv,
    QGraph,
    QMaxPool,
    QMul,
    QNode,
    QOp,
    QPad,
    QScores,
    QTable,
    QTensor,
    QUpsample,
    Requant,
)
from dcgen.quant.verify import verify

LEVEL_COUNTS = st.one_of(st.sampled_from((1, 2, 3, 4, 5, 16, 17, 32, 255, 256)), st.integers(2, 256))
DENSITIES = st.sampled_from((1.0, 1.0, 1.0, 0.7, 0.7, 0.33, 0.33, 0.1, 0.01, 0.0))
STRIDES = st.sampled_from((1, 1, 2, 3))
CHANNELS = st.integers(1, 5)
MANY_CHANNELS = st.sampled_from((1, 2, 3, 4, 5, 16, 32))


class _Draft:
    """A network under construction; structure is drawn, bulk numbers come from a drawn seed."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.tensors: dict[str, QTensor] = {}
        self.nodes: list[QNode] = []

    def pick(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def tensor(self, name: str, shape: tuple[int, int, int], like: str | None = None) -> None:
        if like is None:
            scale, zero_point = float(np.float32(self.rng.uniform(1e-3, 1))), int(self.rng.integers(0, 256))
        else:
            scale, zero_point = self.tensors[like].scale, self.tensors[like].zero_point
        self.tensors[name] = QTensor(name, shape, scale, zero_point, (zero_point,) * shape[0])

    def add(self, op: QOp, *inputs: str, like: str | None = None, scores: bool = False) -> str:
        name = f"node{len(self.nodes)}"
        self.nodes.append(QNode(name, op, inputs))
        if not scores:
            shapes = [self.tensors[i].shape for i in inputs]
            self.tensor(name, op.shape(shapes), like)
        return name

    def requant(self, reach: np.ndarray | int) -> Requant:
        """Constants: half of the time any, else such that sums of up to ``reach`` use the whole range of bytes."""
        low, high = 0, 255
        if self.draw(st.booleans()):
            low, high = sorted((self.pick(0, 255), self.pick(0, 255)))
        channels = np.size(reach)
        if self.draw(st.booleans()):
            ratios = self.rng.uniform(64, 1024, channels) / np.maximum(reach, 1)
            return constants(np.minimum(ratios, MAX_RATIO), low, high)
        mult = self.rng.integers(0, 1 << 16, channels).astype(np.uint16)
        return Requant(mult, self.rng.integers(17, 33, channels).astype(np.uint8), low, high)

    def window(self, h: int, w: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
        """A kernel, stride and pads for a plane of h x w, such that each window has a tap inside it."""
        kernel = self.pick(1, min(h, 4)), self.pick(1, min(w, 4))
        stride = self.draw(STRIDES), self.draw(STRIDES)
        pads = tuple(self.pick(0, min(2, kernel[i % 2] - 1)) for i in range(4))
        return kernel, stride, (pads[0], pads[1], pads[2], pads[3])

    def conv(
        self, source: str, scores: bool = False, whole: bool = False, rare: bool = False, alone: bool = False
    ) -> str:
        """A convolution.

        whole : whether its kernel is as large as the plane, like a Gemm's
        rare : whether few of its outputs are above zero
        alone : whether it is 1x1 with stride 1, as kernels that skip zeros take it
        """
        c, h, w = self.tensors[source].shape
        kernel, stride, pads = ((h, w), (1, 1), (0, 0, 0, 0)) if whole else self.window(h, w)
        groups = self.draw(st.sampled_from([g for g in range(1, c + 1) if c % g == 0]))
        if alone:
            kernel, stride, pads, groups = (1, 1), (1, 1), (0, 0, 0, 0), 1
        beside = c % 16 == 0 and self.draw(st.booleans())  # as the dense kernel takes it
        if beside:
            groups, stride = 1, (1, 1)
        outputs = groups * self.pick(1, 6)
        n_levels = self.draw(LEVEL_COUNTS)
        shape = (outputs, c // groups, *kernel)
        # So that 32 bits hold the accumulators, the sum of all products stays below 2**30, the bias below 2**29.
        limit = min(
            self.draw(st.sampled_from((1, 127) if beside else (1, 127, 32768))),
            2**30 // (255 * (c // groups) * kernel[0] * kernel[1]),
        )
        weights = self.rng.integers(-limit, limit + 1, n_levels - 1)
        if self.draw(st.booleans()):  # only the extremes
            weights = self.rng.choice((-limit, limit), n_levels - 1)
        levels = np.append(0, np.clip(weights, -32768, 32767)).astype(np.int16)
        dense = self.rng.random(shape) < (1 if beside else self.draw(DENSITIES))
        if not beside and self.draw(st.booleans()):
            dense[self.rng.random(outputs) < 0.5] = False
        indices = np.where(dense, self.rng.integers(min(1, n_levels - 1), n_levels, shape), 0).astype(np.uint8)
        bias_shift = self.pick(0, 8)
        bias_limit = self.draw(st.sampled_from((1, 1 << 7, 1 << 15, 1 << 20)))
        bias = (self.rng.integers(-bias_limit, bias_limit, outputs) << bias_shift).astype(np.int32)
        reach = 255 * np.abs(levels.astype(np.int64))[indices].reshape(outputs, -1).sum(1)
        if rare:
            bias, bias_shift = -(reach // self.draw(st.sampled_from((2, 3, 4, 8)))).astype(np.int32), 0
        if self.draw(st.booleans()):
            reach = reach.max(keepdims=True)
        requant = None if scores else self.requant(reach)
        if rare:
            requant = constants(np.minimum(1024 / np.maximum(reach, 1), MAX_RATIO))
        op = QConv(levels, indices, bias, bias_shift, requant, stride, pads, groups)
        return self.add(op, source, scores=scores)

    def rare(self, source: str) -> str:
        """A convolution whose input is mostly zero, and in front of it the convolution that makes it so."""
        few = self.conv(source, rare=True)
        self.tensors[few] = replace(self.tensors[few], zero_point=0, pad=(0,) * self.tensors[few].shape[0])
        return self.conv(few, alone=True)

    def max_pool(self, source: str) -> str:
        _, h, w = self.tensors[source].shape
        kernel, stride, pads = self.window(h, w)
        return self.add(QMaxPool(kernel, stride, pads, self.draw(st.booleans())), source, like=source)

    def average_pool(self, source: str) -> str:
        _, h, w = self.tensors[source].shape
        kernel, stride, pads = self.window(h, w)
        include, ceil = self.draw(st.booleans()), self.draw(st.booleans())
        unit = (kernel[0] * kernel[1]) << self.pick(0, 12)
        return self.add(QAvgPool(kernel, stride, pads, ceil, include, unit, self.requant(255 * unit)), source)

    def pad(self, source: str) -> str:
        pads = self.pick(0, 2), self.pick(0, 2), self.pick(0, 2), self.pick(0, 2)
        return self.add(QPad(pads, self.tensors[source].zero_point), source, like=source)

    def edge(self, source: str) -> str:
        pads = self.pick(0, 2), self.pick(0, 2), self.pick(0, 2), self.pick(0, 2)
        return self.add(QPad(pads, 0, edge=True), source, like=source)

    def rescale(self, source: str) -> str:
        factor = self.pick(-65535, 65535)
        return self.add(QAdd((factor,), self.requant(255 * abs(factor))), source)

    def residual(self, source: str) -> str:
        other = self.rescale(source)
        factors = self.pick(-65535, 65535), self.pick(-65535, 65535)
        reach = 255 * sum(map(abs, factors))
        return self.add(QAdd(factors, self.requant(reach)), source, other)

    def multiply(self, source: str) -> str:
        """A product with another tensor, or with a gate that is an average or maximum of each plane."""
        _, h, w = self.tensors[source].shape
        other = self.rescale(source)
        if self.draw(st.booleans()):
            window = (h, w), (1, 1), (0, 0, 0, 0), False
            other = self.draw(st.sampled_from(("maximum", "average")))
            unit = (h * w) << self.pick(0, 12)
            other = (
                self.add(QMaxPool(*window), source, like=source)
                if other == "maximum"
                else self.add(QAvgPool(*window, False, unit, self.requant(255 * unit)), source)
            )
        factor = 1 << self.pick(0, 15)
        return self.add(QMul(factor, self.requant(255 * 255 * factor)), source, other)

    def look_up(self, source: str) -> str:
        return self.add(QTable(self.rng.integers(0, 256, TABLE_BYTES).astype(np.uint8)), source)

    def upsample(self, source: str) -> str:
        """Blocks that repeat a pixel or, where channels allow it, are made of several channels."""
        c, h, w = self.tensors[source].shape
        factor = self.pick(1, 3), self.pick(1, 3)
        pixels = factor[0] * factor[1]
        channels = c // pixels if c % pixels == 0 and self.draw(st.booleans()) else c
        cut = self.pick(0, min(2, h * factor[0] - 1)), self.pick(0, min(2, w * factor[1] - 1))
        return self.add(QUpsample(factor, channels, cut), source, like=source)

    def concat(self, source: str) -> str:
        left = self.rescale(source)
        self.nodes.append(QNode(f"node{len(self.nodes)}", QAdd((1,), self.requant(255)), (source,)))
        right = self.nodes[-1].name
        self.tensor(right, self.tensors[source].shape, like=left)
        return self.add(QConcat(), left, right, like=left)


@st.composite
def qgraphs(
    draw: st.DrawFn,
    max_nodes: int = 5,
    max_side: int = 9,
    convs: int = 1,
    channels: st.SearchStrategy[int] = CHANNELS,
    for_engine: bool = False,
) -> QGraph:
    """Any small network: its operators, shapes, codebooks and densities vary, it is always valid.

    channels, max_side : of the picture
    convs : how much likelier a convolution is than each other operator
    for_engine : whether operators that the engine has no step for, and further outputs, are left out
    """
    draft = _Draft(draw)
    shape = draw(channels), draft.pick(1, max_side), draft.pick(1, max_side)
    draft.tensor("picture", shape)
    first = draft.tensors["picture"]
    pad = tuple(int(b) for b in draft.rng.integers(0, 256, shape[0]))
    draft.tensors["picture"] = QTensor("picture", shape, first.scale, first.zero_point, pad)
    at = "picture"
    steps = (
        *(draft.conv,) * convs,
        *(draft.rare,) * (convs + 1 >> 1),
        draft.max_pool,
        draft.average_pool,
        draft.pad,
        draft.rescale,
        draft.residual,
        *(() if for_engine else (draft.multiply, draft.look_up, draft.upsample, draft.edge)),
        draft.concat,
    )
    for _ in range(draft.pick(0, max_nodes)):
        at = draw(st.sampled_from(steps))(at)
    match draw(st.sampled_from(("conv", "gemm", "planes", "total"))):
        case "conv":
            draft.conv(at, scores=True)
        case "gemm":
            draft.conv(at, scores=True, whole=True)
        case kind:
            draft.add(QScores(kind == "total"), at, scores=True)
    more = 0 if for_engine else draw(st.sampled_from((0, 0, 1, 2)))
    for source in [draw(st.sampled_from(sorted(draft.tensors))) for _ in range(more)]:
        draft.add(QScores(draw(st.booleans())), source, scores=True)
    scale, *scales = (float(s) for s in draft.rng.uniform(1e-3, 1, 1 + more).astype(np.float32))
    tensors, nodes = draft.tensors, tuple(draft.nodes)
    return verify(QGraph("random", tensors["picture"], tensors, nodes, scale, tuple(scales)))
