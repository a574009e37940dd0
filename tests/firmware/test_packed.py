"""Packed convolution: the kernels in every situation they treat differently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dcgen.quant.qgraph import QConv, QGraph, QNode, QScores, QTensor, Requant
from dcgen.quant.shapes import output_shape
from dcgen.quant.verify import verify
from tests.firmware.build import Program
from tests.firmware.test_runtime import equal


def one_conv(
    channels: int,
    size: tuple[int, int],
    outputs: int,
    kernel: tuple[int, int],
    levels: list[int],
    density: float = 1.0,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    groups: int = 1,
    clip: tuple[int, int] = (0, 255),
    seed: int = 0,
) -> QGraph:
    """A picture, one convolution, and its bytes as scores. Every third filter is empty."""
    rng = np.random.default_rng(seed)
    shape = (outputs, channels // groups, *kernel)
    indices = rng.integers(1, len(levels) + 1, shape) * (rng.random(shape) < density)
    indices[::3] = 0
    bias = rng.integers(-5000, 5000, outputs)
    requant = Requant(
        rng.integers(100, 60000, outputs).astype(np.uint16), rng.integers(20, 32, outputs).astype(np.uint8), *clip
    )
    op = QConv(
        *(np.array([0, *levels], np.int16), indices.astype(np.uint8), bias.astype(np.int32), 0),
        *(requant, stride, pads, groups),
    )
    picture = QTensor("input", (channels, *size), 1.0, 3, tuple(rng.integers(0, 256, channels).tolist()))
    out = QTensor("conv", output_shape(op, [picture.shape]), 1.0, 9, (9,) * outputs)
    nodes = (QNode("conv", op, ("input",)), QNode("scores", QScores(False), ("conv",)))
    return verify(QGraph("one", picture, {"input": picture, "conv": out}, nodes, 1.0))


def wide() -> QGraph:
    """More planes than any workspace holds a pass of."""
    return one_conv(4000, (1, 1), 3, (1, 1), [1, -2], density=0.1)


SAME = (1, 1, 1, 1)
GRAPHS = {
    "by levels": one_conv(24, (9, 11), 8, (3, 3), [-7, -3, 3, 5], pads=SAME),
    "more equal weights than a halfword holds": one_conv(70, (5, 6), 4, (3, 3), [3, -3, 8], pads=SAME),
    "a filter of one level": one_conv(600, (4, 4), 3, (1, 1), [-5]),
    "the largest levels": one_conv(40, (6, 5), 3, (1, 1), [32767, -32767, 1]),
    "a level that no halfword negates": one_conv(40, (6, 5), 3, (1, 1), [-32768, 1]),
    "by levels in groups": one_conv(48, (6, 7), 6, (3, 3), [-1, 1], pads=SAME, groups=3),
    "by levels, clipped": one_conv(30, (7, 7), 5, (2, 2), [2, -9], clip=(9, 180)),
    "by levels with a stride": one_conv(30, (13, 12), 5, (3, 3), [2, -9], stride=(2, 3), pads=(0, 2, 1, 0)),
    "direct": one_conv(3, (14, 9), 7, (3, 3), list(range(-60, 61, 3)), density=0.5, pads=SAME),
    "direct, sums near 22 bits": one_conv(32, (5, 5), 6, (1, 1), list(range(400, 513, 2))),
    "direct, sums beyond 22 bits": one_conv(32, (5, 5), 6, (1, 1), list(range(-3000, 3001, 60))),
    "direct with a stride": one_conv(3, (15, 17), 4, (5, 4), list(range(1, 90)), stride=(2, 2), pads=(2, 1, 1, 2)),
    "a stride beyond the kernel": one_conv(4, (16, 19), 4, (2, 1), list(range(1, 90)), stride=(3, 4)),
    "only padding at the edges": one_conv(5, (3, 4), 4, (1, 1), list(range(1, 90)), pads=(2, 2, 2, 2)),
    "depthwise": one_conv(9, (8, 8), 9, (3, 3), list(range(-20, 21)), pads=SAME, groups=9, clip=(0, 200)),
    "one position": one_conv(9, (3, 3), 9, (3, 3), [4, -4]),
    "in many strips": one_conv(64, (40, 31), 2, (3, 3), [4, -4], pads=SAME),
    "from the tensor as it is": wide(),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_equals_the_golden_model(name: str, tmp_path: Path) -> None:
    equal(Program(tmp_path, GRAPHS[name]))
