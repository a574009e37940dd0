"""Depthwise convolutions of 3x3 and 5x5, and fully connected layers: all that their kernels treat differently."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dcgen.encode.blob import encode
from dcgen.encode.schema import CONV_HEADER, NODE_HEADER, Kind, Status
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.plan.firmware.segments import Cutter
from dcgen.quant.arithmetic import constants
from dcgen.quant.qgraph import QAdd, QConv, QGraph, QNode, QScores, QTensor, Requant
from dcgen.quant.verify import verify
from dcgen.targets import Target, find
from dcgen.verify import verify as verify_firmware
from tests.firmware.build import Program
from tests.firmware.chains import Layer, chain_of
from tests.firmware.damage import reseal, sections
from tests.firmware.nets import pictures
from tests.firmware.test_runtime import equal
from tests.verify.small import needs, write_firmware

LARGEST = 32767
TWO = 2, 2, 2, 2


def depthwise(
    size: tuple[int, int],
    channels: int = 5,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (1, 1, 1, 1),
    multiplier: int = 1,
    density: float = 0.9,
    clip: tuple[int, int] = (0, 255),
    largest: int = 127,
    of_picture: bool = False,
    per_channel: bool = True,
    side: int = 3,
    seed: int = 0,
) -> QGraph:
    """A picture, the same on another scale, a depthwise convolution, and its bytes as scores.

    size : rows and columns of the picture
    multiplier : filters of each channel; every third filter has no weights
    largest : magnitude that the largest weights have
    of_picture : whether the convolution reads the picture itself, whose channels' bytes are not side by side
    per_channel : whether each filter has a requantization of its own
    side : rows and columns of the kernel
    """
    rng = np.random.default_rng(seed)
    outputs = channels * multiplier
    values = np.setdiff1d(rng.integers(-largest, largest + 1, 40), 0)
    levels = np.unique(np.append(values, (-largest, largest)))
    shape = outputs, 1, side, side
    indices = rng.integers(1, len(levels) + 1, shape) * (rng.random(shape) < density)
    indices[1::3] = 0
    many = outputs if per_channel else 1
    requant = Requant(
        rng.integers(100, 60000, many).astype(np.uint16), rng.integers(20, 32, many).astype(np.uint8), *clip
    )
    bias = rng.integers(-9000, 9000, outputs).astype(np.int32)
    weights = np.append(0, levels).astype(np.int16), indices.astype(np.uint8)
    op = QConv(*weights, bias, 0, requant, stride, pads, channels)
    picture = QTensor("input", (channels, *size), 1.0, 3, tuple(rng.integers(0, 256, channels).tolist()))
    scaled = replace(picture, name="scaled", zero_point=77, pad=(77,) * channels)
    source = picture if of_picture else scaled
    out = QTensor("conv", op.shape([picture.shape]), 1.0, 9, (9,) * outputs)
    first = () if of_picture else (QNode("scaled", QAdd((250,), constants(0.004)), ("input",)),)
    nodes = (*first, QNode("conv", op, (source.name,)), QNode("scores", QScores(False), ("conv",)))
    return verify(QGraph(f"{side}x{side}", picture, {t.name: t for t in (picture, source, out)}, nodes, 1.0))


GRAPHS = {
    "even columns": depthwise((6, 6)),
    "odd columns, odd rows": depthwise((7, 9)),
    "a single row": depthwise((1, 8)),
    "a single column": depthwise((8, 1)),
    "three columns, which no word holds": depthwise((3, 3), channels=40),
    "long rows": depthwise((4, 61)),
    "a stride of two": depthwise((12, 12), stride=(2, 2), pads=(0, 0, 1, 1)),
    "a stride of two on odd sizes": depthwise((9, 11), stride=(2, 2)),
    "a stride of rows alone": depthwise((9, 11), stride=(2, 1)),
    "a stride of columns alone": depthwise((9, 10), stride=(1, 2)),
    "without padding": depthwise((8, 9), pads=(0, 0, 0, 0)),
    "more padding than the kernel reads": depthwise((5, 6), pads=(3, 2, 4, 3)),
    "some filters a channel": depthwise((6, 7), multiplier=3),
    "of the picture": depthwise((9, 10), channels=3, of_picture=True),
    "of the picture, a stride of two": depthwise((9, 10), channels=3, stride=(2, 2), of_picture=True),
    "clipped": depthwise((6, 5), clip=(20, 200)),
    "the largest weights": depthwise((6, 6), largest=LARGEST),
    "few weights": depthwise((6, 6), channels=30, density=0.2),
    "no weights": depthwise((6, 6), density=0.0),
    "one requantization": depthwise((6, 6), per_channel=False),
    "more filters than are decoded at once": depthwise((2, 3), channels=300),
    "a plane of one": depthwise((1, 1)),
    "windows of padding alone": depthwise((4, 1), stride=(2, 2), pads=(0, 3, 0, 0)),
    "two columns": depthwise((3, 2)),
    "rows longer than are copied by words": depthwise((3, 130)),
    "rows as long as are copied by words": depthwise((3, 100)),
    "5x5, even columns": depthwise((6, 6), pads=TWO, side=5),
    "5x5, odd columns, odd rows": depthwise((7, 9), pads=TWO, side=5),
    "5x5, a single row": depthwise((1, 8), pads=TWO, side=5),
    "5x5, a single column": depthwise((8, 1), pads=TWO, side=5),
    "5x5, a stride of two": depthwise((12, 12), stride=(2, 2), pads=(1, 1, 2, 2), side=5),
    "5x5, a stride of two on odd sizes": depthwise((9, 11), stride=(2, 2), pads=TWO, side=5),
    "5x5, a stride of rows alone": depthwise((9, 11), stride=(2, 1), pads=TWO, side=5),
    "5x5, a stride of columns alone": depthwise((9, 10), stride=(1, 2), pads=TWO, side=5),
    "5x5, without padding": depthwise((8, 9), pads=(0, 0, 0, 0), side=5),
    "5x5, some filters a channel": depthwise((6, 7), multiplier=3, pads=TWO, side=5),
    "5x5, of the picture": depthwise((9, 10), channels=3, of_picture=True, pads=TWO, side=5),
    "5x5, clipped": depthwise((6, 5), clip=(20, 200), pads=TWO, side=5),
    "5x5, the largest weights": depthwise((6, 6), largest=LARGEST, pads=TWO, side=5),
    "5x5, few weights": depthwise((6, 6), channels=30, density=0.1, pads=TWO, side=5),
}


def kernels(graph: QGraph) -> list[str | None]:
    return [n.kernel for n in plan_firmware(graph, encode(graph)).nodes]


@pytest.mark.parametrize("name", GRAPHS)
def test_equals_the_golden_model(name: str, tmp_path: Path) -> None:
    assert f"dcg_conv_depthwise_{GRAPHS[name].name}" in kernels(GRAPHS[name])
    equal(Program(tmp_path, GRAPHS[name]))


@pytest.mark.parametrize(
    "name",
    [
        *("odd columns, odd rows", "a stride of two on odd sizes", "some filters a channel"),
        *("5x5, odd columns, odd rows", "5x5, a stride of two on odd sizes"),
    ],
)
@pytest.mark.parametrize("strips", [2, 3, 5])
def test_in_strips_with_rings_of_rows(name: str, strips: int, tmp_path: Path) -> None:
    graph = GRAPHS[name]
    schedule = Cutter(graph, streamed=True).schedule([(0, len(graph.nodes), strips)])
    equal(Program(tmp_path, graph, schedule=schedule))


@pytest.mark.parametrize(
    "graph",
    [
        depthwise((7, 7), stride=(3, 3)),
        chain_of("7x7", (4, 9, 9), [Layer(4), Layer(0, 7)], 3),
        chain_of("3x5", (4, 9, 9), [Layer(4), Layer(0, (3, 5))], 3),
        chain_of("two channels a group", (4, 9, 9), [Layer(4), Layer(6, 3)], 3),
    ],
    ids=lambda graph: graph.name,
)
def test_other_convolutions_keep_their_kernels(graph: QGraph) -> None:
    assert not any("depthwise" in kernel for kernel in kernels(graph) if kernel)


def test_a_filter_with_more_taps_than_the_blob_states_is_an_error(tmp_path: Path) -> None:
    """Filters are decoded many at a time, but each is held to what the blob states of the largest."""
    graph = GRAPHS["even columns"]
    program = Program(tmp_path, graph)
    blob = encode(graph)
    (op,) = (n.op for n in graph.nodes if isinstance(n.op, QConv))
    most = int(np.count_nonzero(op.weights.reshape(len(op.bias), -1), axis=1).max())
    forged = bytearray(blob.data)
    (at,) = (at + NODE_HEADER.size for at, node in sections(blob.data) if node["kind"] == Kind.CONV)
    field = CONV_HEADER.offset("max_filter_entries")
    assert CONV_HEADER.unpack(blob.data, at)["max_filter_entries"] == most
    struct.pack_into("<I", forged, at + field, most - 1)
    assert program.fuzz([reseal(bytes(forged))]) == [(Status.OK, Status.LAYER)]


CHAIN = chain_of(
    "chain",
    (3, 17, 15),
    [
        *(
            Layer(7, 3),
            Layer(0, 3),
            Layer(0, 3, 2),
            Layer(9),
            Layer(0, 3, density=0.3),
            Layer(0, 3, 2, spread=60.0),
        ),
        *(Layer(40), Layer(0, 5), Layer(0, 3), Layer(0, 5, 2)),
    ],
    5,
)
"""Depthwise convolutions of 17x15, 9x8, 5x4 and 3x2 positions; an average, and a fully connected layer."""


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m55", "riscv32"])
def test_every_core_equals_the_golden_model(core: str, tmp_path: Path) -> None:
    verified(CHAIN, core, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55", "riscv32"])
@pytest.mark.parametrize("name", GRAPHS)
def test_every_case_on_every_core(name: str, core: str, tmp_path: Path) -> None:
    verified(GRAPHS[name], core, tmp_path)


def verified(graph: QGraph, core: str, folder: Path) -> None:
    target = find(core)
    assert isinstance(target, Target)
    needs(target)
    camera = pictures(graph, 2)
    (check,) = verify_firmware(write_firmware(graph, camera[0], folder), [target], camera, graph)
    assert check.passed, check


FULL = {
    "of one position": chain_of("one", (50, 1, 1), [Layer(20), Layer(30, density=0.3)], 7, averaged=False),
    "of a plane": chain_of("plane", (3, 5, 4), [Layer(6, 3)], 7, averaged=False),
    "of a plane, requantized": chain_of("hidden", (2, 4, 4), [Layer(5, 3), Layer(9, 4, padded=False)], 3),
}


@pytest.mark.parametrize("name", FULL)
def test_fully_connected_layers(name: str, tmp_path: Path) -> None:
    assert kernels(FULL[name])[-1] == "dcg_conv_scores"
    equal(Program(tmp_path, FULL[name]))


def test_a_layer_of_one_position_is_not_packed() -> None:
    assert kernels(FULL["of a plane, requantized"])[1] == "dcg_conv"
