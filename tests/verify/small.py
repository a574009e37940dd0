"""A small network in which every kind of node occurs, and its firmware folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dcgen.quant.arithmetic import constants
from dcgen.quant.qgraph import (
    U8,
    QAdd,
    QAvgPool,
    QConcat,
    QConv,
    QGraph,
    QMaxPool,
    QNode,
    QScores,
    QTensor,
)
from dcgen.quant.verify import verify as verify_graph
from dcgen.targets import TARGETS, Target, find
from dcgen.verify.toolchain import tools

EMULATED = tuple(t for t in TARGETS if t.emulator)


def needs(target: Target) -> None:
    """Skip the calling test where a tool of the target is missing."""
    missing = [tool for tool in tools(target) if shutil.which(tool) is None]
    if missing:
        pytest.fail(f"{target.check_name} needs {', '.join(missing)}")


def small_graph() -> QGraph:
    """A fire module with a bypass between a padded strided convolution and a global average."""
    rng = np.random.default_rng(7)

    def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, pad: int = 0) -> QConv:
        indices = rng.integers(0, 6, (outputs, inputs, kernel, kernel)).astype(np.uint8)
        indices[rng.random(indices.shape) < 0.5] = 0
        return QConv(
            levels=np.array([0, -90, -30, 25, 60, 110], np.int16),
            indices=indices,
            bias=rng.integers(-20000, 20000, outputs).astype(np.int32),
            bias_shift=0,
            requant=constants(0.004),
            stride=(stride, stride),
            pads=(pad, pad, pad, pad),
        )

    def tensor(name: str, c: int, h: int, w: int, zero_point: int = 90) -> QTensor:
        return QTensor(name, (c, h, w), 0.05, zero_point, (zero_point,) * c)

    source = QTensor("picture", (3, 15, 19), 1.0, 0, (104, 117, 123))
    tensors = (
        source,
        tensor("conv1", 8, 8, 10),
        tensor("pool1", 8, 4, 5),
        tensor("squeeze", 4, 4, 5, 100),
        tensor("expand1", 4, 4, 5),
        tensor("expand3", 4, 4, 5),
        tensor("join", 8, 4, 5),
        tensor("bypass", 8, 4, 5, 80),
        tensor("smooth", 8, 4, 5, 80),
        tensor("conv10", 5, 4, 5, 60),
    )
    pool = constants(1 / (4.0 * 9))
    nodes = (
        QNode("conv1", conv(3, 8, 3, stride=2, pad=1), ("picture",)),
        QNode("pool1", QMaxPool((3, 3), (2, 2), (0, 0, 0, 0), ceil=True), ("conv1",)),
        QNode("squeeze", conv(8, 4, 1), ("pool1",)),
        QNode("expand1", conv(4, 4, 1), ("squeeze",)),
        QNode("expand3", conv(4, 4, 3, pad=1), ("squeeze",)),
        QNode("join", QConcat(), ("expand1", "expand3")),
        QNode("bypass", QAdd((200, -150), constants(0.003)), ("join", "pool1")),
        QNode("smooth", QAvgPool((3, 3), (1, 1), (1, 1, 1, 1), False, False, 36, pool), ("bypass",)),
        QNode("conv10", conv(8, 5, 1), ("smooth",)),
        QNode("scores", QScores(total=True), ("conv10",)),
    )
    return verify_graph(QGraph("small", source, {t.name: t for t in tensors}, nodes, 0.01))


def with_one_weight_changed(graph: QGraph, layer: str) -> QGraph:
    """``graph`` with another level for one weight of the convolution ``layer``."""
    nodes = list(graph.nodes)
    at = next(i for i, n in enumerate(nodes) if n.name == layer)
    op = nodes[at].op
    assert isinstance(op, QConv)
    indices = op.indices.copy()
    where = np.unravel_index(int(np.flatnonzero(indices)[0]), indices.shape)
    indices[where] = 5 if indices[where] == 1 else 1
    nodes[at] = replace(nodes[at], op=replace(op, indices=indices))
    return replace(graph, nodes=tuple(nodes))


def write_firmware(graph: QGraph, picture: U8, out: Path, ram: int | None = None, target: str = "") -> Path:
    """Compile ``graph`` into ``out/firmware``, for ``ram`` bytes of a target if they are given.

    picture : of its self-test
    """
    from dcgen.emit.firmware import emit_firmware
    from dcgen.emit.golden import Golden
    from dcgen.encode.blob import encode
    from dcgen.plan.firmware.budget import plan_within
    from dcgen.plan.firmware.plan import plan_firmware

    blob = encode(graph)
    plan = plan_firmware(graph, blob)
    if ram is not None:
        machine = find(target)
        assert isinstance(machine, Target)
        plan = plan_within(graph, blob, ram, machine, {})
    files = emit_firmware(graph, blob, plan, graph.name, Golden.of(graph, picture[None]))
    for name, data in files.items():
        path = out / "firmware" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return out
