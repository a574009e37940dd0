"""Fits the costs by which ``dcgen/plan/firmware/instructions.py`` and ``flash.py`` predict, and writes them down.

    python -m benchmarks.firmware.fit

Made-up networks run on every emulated machine: SqueezeNets from dense to sparse, with few levels and with many,
and networks of all operators. The costs of a core are the non-negative numbers with which the predictions for all
nodes come closest to the counts. The fit takes some minutes and needs SciPy.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from benchmarks.firmware.measure import Measurement, measure
from benchmarks.firmware.network import Network
from dcgen.command.console import stderr
from dcgen.encode.coding import CodingSettings
from dcgen.errors import DcgenError
from dcgen.files import write_file
from dcgen.models.catalogue import DIGITS, V1_0, V1_1
from dcgen.plan.firmware import instruction_costs
from dcgen.plan.firmware.flash import flash_parts
from dcgen.plan.firmware.instructions import Work, work
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.quant.activity import active_bytes
from dcgen.quant.arithmetic import constants
from dcgen.quant.qgraph import (
    QAdd,
    QAvgPool,
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
)
from dcgen.quant.verify import verify
from dcgen.targets import TARGETS, Target
from tests.firmware.chains import Layer, chain_of, separable
from tests.firmware.nets import every_operator, rectified
from tests.squeezenets import squeezenet

Costs = Mapping[str, float]
TABLE_BITS = 9, 6, 11, 5, 8, 12, 7, 10
"""Bits that decoding tables are entered with, by network. They differ, so that the costs of a table's words and of
second look-ups can be told apart."""


@dataclass(frozen=True)
class Sample:
    """The work of one node of a network, or of its dcg_init, and the instructions that were counted for it."""

    work: Work
    taken: int


def networks() -> Iterator[QGraph]:
    """The networks that costs are fitted to."""
    small = {"classes": 200}
    for seed, (spec, size, density, mean) in enumerate(
        [
            (V1_1, 160, 0.33, 3.0),
            (V1_1, 64, 0.60, 9.0),
            (V1_1, 200, 0.15, None),
            (V1_1, 80, 0.95, 25.0),
            (V1_0, 81, 0.40, 5.0),
            (V1_0, 64, 0.08, 2.0),
            (replace(V1_0, bypass="simple"), 112, 0.70, 16.0),
            (replace(V1_1, conv1_kernel=5), 65, 0.30, 40.0),
            (DIGITS, 40, 0.70, 20.0),
        ]
    ):
        yield squeezenet(replace(spec, size=size, **small), density, seed, mean)
    for seed in range(3):
        yield every_operator(seed)
    for channels, side, outputs, share, density in (
        (64, 30, 300, 0.04, 0.5),
        (128, 13, 1000, 0.05, 0.3),
        (300, 9, 900, 0.015, 0.8),
        (200, 14, 1000, 0.04, 0.9),
        (24, 56, 150, 0.1, 0.3),
        (16, 60, 400, 0.02, 0.1),
        (48, 40, 600, 0.12, 1.0),
        (90, 11, 700, 0.02, 0.6),
        (40, 25, 800, 0.17, 0.4),
    ):
        yield rectified(channels, (side, side), outputs, share, density)
    for shape in ((128, (6, 6), 128, 0.2, 0.1), (256, (3, 3), 256, 0.1, 0.02), (128, (6, 6), 256, 0.1, 0.03)):
        yield rectified(*shape)
    yield from small_networks()
    yield from (scoring(*shape) for shape in ((40, 9, 100, 9), (8, 20, 12, 3), (200, 2, 150, 2)))
    rescaled = QAdd((3,), constants(0.01))
    yield chain("maxima", (16, 48, 47), rescaled, maxima(2, 1), maxima(3, 2), maxima(5, 3), QScores(True))
    pads = QPad((0, 1, 1, 0), 7)
    yield chain(
        "averages", (24, 41, 40), rescaled, averages(2, 1), pads, averages(3, 2), averages(7, 1), QScores(False)
    )
    yield from (element_wise(*shape) for shape in ((16, 48, 47), (30, 60, 5)))


def small_networks() -> Iterator[QGraph]:
    """Networks for microcontrollers: of depthwise convolutions, of small planes, of fully connected layers."""
    colours, grey = (3, 80, 80), (1, 28, 28)
    doubling = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (200, 2), (200, 1)]
    yield separable("separable, wide", colours, Layer(8, 3, 2, spread=25.0), doubling, 0.95)
    yield separable("separable, odd", (3, 57, 61), Layer(12, 3, 2), [(20, 1), (20, 2), (48, 1), (96, 2)], 0.4)
    yield separable("separable, flat", (1, 40, 12), Layer(48, (8, 4), 2), [(48, 1), (48, 1), (40, 1)], 0.8)
    yield separable("separable, few rows", (1, 9, 30), Layer(30, 3), [(60, 1), (60, 1), (30, 2)], 0.2)
    mixed = [Layer(12, 3, 2), Layer(0, 5), Layer(24), Layer(0, 5, 2), Layer(48), Layer(0, 3), Layer(0, 5)]
    yield chain_of("5x5 and 3x3", (3, 44, 50), [*mixed, Layer(0, 5, 2), Layer(96), Layer(0, 5), Layer(0, 3)], 10)
    alone = [Layer(0, 5, 2), Layer(32), Layer(0, 5), Layer(40, density=0.3), Layer(0, 5, 2), Layer(0, 5)]
    yield chain_of("5x5 alone", (1, 37, 57), [Layer(16), *alone], 10)
    five = Layer(16, 5, pool=2, padded=False), Layer(40, 5, density=0.5, pool=2, padded=False)
    yield chain_of("connected", grey, (*five, Layer(300, 4, density=0.1, padded=False)), 10, averaged=False)
    yield chain_of("connected, dense", grey, (*five, Layer(90, 4, density=0.7, padded=False)), 20, averaged=False)
    connected = [Layer(n, density=d) for n, d in ((128, 0.9), (128, 0.3), (16, 0.5), (100, 0.1), (400, 0.5))]
    yield chain_of("connected only", (300, 1, 1), connected, 300, averaged=False)
    residual = [Layer(16, 3, 1, 0.5), Layer(16, 3, 1, 0.7, 4.0), Layer(32, 3, 2, 0.4), Layer(48, 3, 2, 0.6, 25.0)]
    yield chain_of("residual", (3, 32, 32), residual, 10)


def coded() -> Iterator[Network]:
    """The networks as they are measured: encoded as by default, and some with gaps and levels coded apart, where
    weights are small and where they are large."""
    for graph, bits in zip(networks(), cycle(TABLE_BITS)):
        yield with_tables(Network.of(graph), bits)
    for seed, (size, density) in enumerate(((40, 0.5), (56, 0.2))):
        graph = squeezenet(replace(DIGITS, size=size), density, 50 + seed, 9.0)
        yield with_tables(Network.of(graph, CodingSettings("deep-compression")), TABLE_BITS[seed])
    large = [Layer(16, 3, 1, 0.5, 2000.0), Layer(32, 3, 2, 0.5, 3000.0), Layer(64, 3, 2, 0.3, 2000.0)]
    graph = chain_of("large weights", (3, 32, 32), [*large, Layer(64, 3, 1, 0.6, 500.0)], 10)
    yield with_tables(Network.of(graph, CodingSettings("deep-compression")), 8)


def with_tables(network: Network, bits: int) -> Network:
    """``network`` with decoding tables that are entered with ``bits`` bits."""
    return replace(network, plan=plan_firmware(network.graph, network.blob, table_bits=bits))


def scoring(channels: int, size: int, outputs: int, kernel: int) -> QGraph:
    """A network of one convolution, whose accumulators are the scores."""
    rng, shape = np.random.default_rng(outputs), (outputs, channels, kernel, kernel)
    levels = np.append(0, np.setdiff1d(np.arange(-30, 31), 0)).astype(np.int16)
    indices = rng.integers(0, len(levels), shape) * (rng.random(shape) < 0.5)
    bias = np.zeros(outputs, np.int32)
    conv = QConv(levels, indices.astype(np.uint8), bias, 0, None, (1, 1), (0, 0, 0, 0))
    return chain("scoring", (channels, size, size), conv)


def element_wise(channels: int, rows: int, columns: int) -> QGraph:
    """A network of a table, a product of two tensors, and a product with a gate."""
    picture = QTensor("picture", (channels, rows, columns), 1.0, 0, (0,) * channels)
    product = QMul(1, constants(0.003))
    whole = QMaxPool((rows, columns), (1, 1), (0, 0, 0, 0), False)
    nodes = (
        QNode("rescaled", QAdd((3,), constants(0.01)), ("picture",)),
        QNode("table", QTable(np.arange(256).astype(np.uint8)), ("rescaled",)),
        QNode("square", product, ("rescaled", "table")),
        QNode("gate", whole, ("square",)),
        QNode("gated", product, ("square", "gate")),
        QNode("scores", QScores(True), ("gated",)),
    )
    tensors = {n.name: replace(picture, name=n.name) for n in nodes[:-1]}
    tensors["gate"] = replace(tensors["gate"], shape=(channels, 1, 1))
    return verify(QGraph("element-wise", picture, {"picture": picture, **tensors}, nodes, 1.0))


def maxima(kernel: int, stride: int) -> QMaxPool:
    return QMaxPool((kernel, kernel), (stride, stride), (0, 0, 0, 0), False)


def averages(kernel: int, stride: int) -> QAvgPool:
    window = (kernel, kernel), (stride, stride), (0, 0, 0, 0)
    return QAvgPool(*window, False, False, kernel * kernel, constants(0.01))


def chain(name: str, shape: tuple[int, int, int], *ops: QOp) -> QGraph:
    """A network of operators one after the other, on a picture of ``shape`` (C, H, W)."""
    last = QTensor("picture", shape, 1.0, 0, (0,) * shape[0])
    tensors, nodes = {last.name: last}, []
    for i, op in enumerate(ops):
        nodes.append(QNode(f"node{i}", op, (last.name,)))
        if i < len(ops) - 1:
            last = replace(last, name=f"node{i}", shape=(made := op.shape([last.shape])), pad=(0,) * made[0])
            tensors[last.name] = last
    return verify(QGraph(name, tensors["picture"], tensors, tuple(nodes), 1.0))


def fit(samples: Sequence[Sample]) -> Costs:
    """Costs above zero, by the name of the work.

    They minimize the sum of squared errors, each error divided by the square root of what was counted.
    """
    names = sorted({name for s in samples for name, times in s.work.items() if times})
    weights = np.array([max(s.taken, 1) ** -0.5 for s in samples])
    rows = np.array([[s.work.get(name, 0) for name in names] for s in samples]) * weights[:, None]
    found, _ = nnls(rows / (scale := rows.max(0)), weights * [s.taken for s in samples], maxiter=100 * len(names))
    return {name: float(f"{c:.4g}") for name, c in zip(names, found / scale, strict=True) if c > 0}


def samples_of(network: Network, target: Target, measured: Measurement) -> list[Sample]:
    """A sample of dcg_init, and one of each of the network's nodes that does any work."""
    active = active_bytes(network.graph, network.picture[None])
    init, nodes = work(network.plan, network.graph, network.blob, target.extension, active)
    names = {n.name: i for i, n in enumerate(network.graph.nodes)}
    taken = {names[name]: count for name, count in measured.layers.items()}
    return [Sample(init, measured.init), *(Sample(nodes[i], count) for i, count in taken.items())]


def source(instructions: Mapping[str, Costs], flash: Mapping[str, Costs]) -> str:
    """The text of the module ``instruction_costs``."""
    lines = [
        '"""What work costs on each core: written by ``python -m benchmarks.firmware.fit``, not by hand."""',
        "",
        "from collections.abc import Mapping",
        "from typing import Final",
        "",
    ]
    for name, text, table in (
        ("INSTRUCTIONS", "Instructions of a round of each loop, by target and by the work's name.", instructions),
        ("FLASH", "Bytes of flash, by target and by the part's name; see ``flash.flash_parts``.", flash),
    ):
        lines.append(f"{name}: Final[Mapping[str, Mapping[str, float]]] = {{")
        for target, costs in table.items():
            lines += [f'    "{target}": {{', *(f'        "{k}": {v:g},' for k, v in costs.items()), "    },"]
        lines += ["}", f'"""{text}"""']
    return "\n".join([*lines, ""])


def main() -> None:
    instructions: dict[str, Costs] = {}
    flash: dict[str, Costs] = {}
    made = list(coded())
    for target in (t for t in TARGETS if t.emulator):
        groups, sizes = [], []
        for network in made:
            stderr.print(f"{target.name}: {network.graph.name}, {network.graph.input.shape}", highlight=False)
            measured = measure(network, target)
            groups.append(samples_of(network, target, measured))
            sizes.append(Sample(flash_parts(network.plan), measured.flash_bytes - len(network.blob.data)))
        instructions[target.name] = costs = fit([s for group in groups for s in group])
        flash[target.name] = fit(sizes)
        for network, group in zip(made, groups, strict=True):
            told = sum(costs.get(k, 0) * n for s in group for k, n in s.work.items())
            stderr.print(f"  {network.graph.name}: {100 * (told / sum(s.taken for s in group) - 1):+.2f} %")
    write_file(Path(instruction_costs.__file__), source(instructions, flash).encode())


if __name__ == "__main__":
    try:
        main()
    except DcgenError as e:
        sys.exit(f"benchmarks.firmware.fit: error: {e}")
