"""Convolutions on packed planes: every kernel, in each situation that it treats differently."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dcgen.encode.blob import encode
from dcgen.plan.firmware.instructions import predict_instructions
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.quant.activity import active_bytes
from dcgen.quant.qgraph import QConv, QGraph, QNode, QScores, QTensor, Requant
from dcgen.quant.verify import verify
from dcgen.targets import Target, find
from dcgen.verify import verify as verify_firmware
from dcgen.verify.build import build
from dcgen.verify.records import write_request
from tests.firmware.build import Program
from tests.firmware.nets import pictures, rectified
from tests.firmware.test_runtime import FLAGS, equal
from tests.verify.small import needs, write_firmware


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
    """A picture, one convolution of random weights, and the bytes that it makes as scores.

    channels, size : of the picture; size is its rows and columns
    levels : what weights may be besides zero
    density : share of the weights that are not zero; every third filter has none
    clip : lowest and highest byte of the output
    """
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
    out = QTensor("conv", op.shape([picture.shape]), 1.0, 9, (9,) * outputs)
    nodes = (QNode("conv", op, ("input",)), QNode("scores", QScores(False), ("conv",)))
    return verify(QGraph("one", picture, {"input": picture, "conv": out}, nodes, 1.0))


def wide() -> QGraph:
    """A convolution of so many planes that no arena has room for one packed pass."""
    return one_conv(4000, (1, 2), 3, (1, 1), [1, -2], density=0.1)


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
    "direct in one segment": one_conv(3, (9, 14), 6, (3, 3), [-3, -2, -1, 1, 2, 3, 4, 5], pads=SAME),
    "direct, segments of a single weight": one_conv(
        3, (9, 14), 6, (3, 3), [128, -128, *range(65, 127)], pads=SAME
    ),
    "direct, segments that halfwords just hold": one_conv(3, (9, 14), 6, (3, 3), [64, -64, *range(-30, 31, 2)]),
    "direct, more segments than a list has room for": one_conv(
        90, (5, 5), 6, (3, 3), [s * n for n in range(65, 129) for s in (-1, 1)], pads=SAME
    ),
    "direct, weights one too large": one_conv(32, (5, 5), 6, (1, 1), list(range(70, 130))),
    "direct, large weights": one_conv(32, (5, 5), 6, (1, 1), list(range(-3000, 3001, 60))),
    "direct with a stride": one_conv(3, (15, 17), 4, (5, 4), list(range(1, 90)), stride=(2, 2), pads=(2, 1, 1, 2)),
    "a stride beyond the kernel": one_conv(4, (16, 19), 4, (2, 1), list(range(1, 90)), stride=(3, 4)),
    "only padding at the edges": one_conv(5, (3, 4), 4, (1, 1), list(range(1, 90)), pads=(2, 2, 2, 2)),
    "depthwise": one_conv(9, (8, 8), 9, (3, 3), list(range(-20, 21)), pads=SAME, groups=9, clip=(0, 200)),
    "long runs of zeros": one_conv(400, (4, 5), 7, (3, 3), [-2, 1, 3], density=0.004, pads=SAME),
    "codes of the greatest length": one_conv(40, (4, 5), 20, (3, 3), list(range(-99, 100)), 0.3, pads=SAME),
    "positions of every last pass": one_conv(20, (27, 9), 5, (3, 3), [4, -4, 60], pads=SAME),
    "one position": one_conv(9, (3, 3), 9, (3, 3), [4, -4]),
    "dense": one_conv(256, (9, 11), 8, (1, 1), list(range(-60, 61, 3)), density=0.9),
    "dense, the largest weights": one_conv(32, (7, 14), 5, (3, 3), [-127, 127], pads=SAME, clip=(9, 180)),
    "dense, weights one too large": one_conv(32, (7, 14), 5, (3, 3), [-128, 127], pads=SAME),
    "dense, rows narrower than the kernel": one_conv(32, (3, 1), 5, (3, 3), list(range(-7, 8, 3)), pads=SAME),
    "dense, fewer positions than a pass": one_conv(192, (1, 2), 5, (1, 1), list(range(-90, 91, 3))),
    "dense, in many strips": one_conv(64, (40, 31), 4, (2, 3), list(range(-7, 8, 3)), pads=(1, 0, 2, 1)),
    "by events": rectified(60, (14, 14), 400, 0.05),
    "by events, lists of several groups": rectified(12, (20, 23), 150, 0.06),
    "by events, nothing but zeros": rectified(70, (6, 6), 300, 1e-9),
    "by events, few positions": rectified(100, (1, 3), 300, 0.04),
    "one position, mostly zeros": rectified(100, (1, 1), 300, 0.04),
    "by events, clipped": rectified(40, (11, 7), 200, 0.05, clip=(20, 120)),
    "by events, full filters": rectified(33, (9, 9), 200, 0.05, density=1.0),
    "by events, as many as lists may hold": rectified(50, (12, 12), 900, 0.19),
    "more events than lists may hold": rectified(50, (12, 12), 900, 0.6),
    "more events than there is room for": rectified(150, (16, 16), 8, 0.12),
    "in many strips": one_conv(64, (40, 31), 2, (3, 3), [4, -4], pads=SAME),
    "from the tensor as it is": wide(),
}


@pytest.mark.parametrize("flags", FLAGS, ids=["own", "pairs", "dense", "vectors"])
@pytest.mark.parametrize("name", GRAPHS)
def test_equals_the_golden_model(name: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    """By this computer's own kernels, and by the portable twins of a Cortex-M4's and a Cortex-M55's kernels."""
    equal(Program(tmp_path, GRAPHS[name], flags=flags))


@pytest.mark.parametrize("name", [n for n in GRAPHS if "events" in n])
def test_what_is_said_to_be_by_events_is(name: str) -> None:
    """The cost model says which kernel the runtime chooses; other tests hold it to counted instructions."""
    graph = GRAPHS[name]
    blob = encode(graph)
    for core in ("cortex-m4", "riscv32"):
        active = active_bytes(graph, pictures(graph, 1))
        told = predict_instructions(plan_firmware(graph, blob), graph, blob, find(core), active)
        assert (told.loops[1] == "events") == name.startswith("by events")


def every_kernel() -> QGraph:
    """A chain of convolutions, one for each kernel: few weights kept, all kept, few different ones, large ones,
    and an input that is mostly zero."""
    rng = np.random.default_rng(5)
    tensors = {"input": QTensor("input", (3, 21, 19), 1.0, 0, (7, 8, 9))}
    nodes: list[QNode] = []

    def conv(
        name: str,
        outputs: int,
        levels: list[int],
        stride: int,
        shift: int,
        density: float = 0.5,
        kernel: int = 3,
        bias: int = 0,
    ) -> None:
        source = nodes[-1].name if nodes else "input"
        shape = (outputs, tensors[source].shape[0], kernel, kernel)
        pad = kernel // 2
        op = QConv(
            np.array([0, *levels], np.int16),
            (rng.integers(1, len(levels) + 1, shape) * (rng.random(shape) < density)).astype(np.uint8),
            *((bias + rng.integers(-500, 500, outputs)).astype(np.int32), 0),
            Requant(np.full(1, 40000, np.uint16), np.full(1, shift, np.uint8)),
            *((stride, stride), (pad, pad, pad, pad)),
        )
        tensors[name] = QTensor(name, op.shape([tensors[source].shape]), 1.0, 0, (0,) * outputs)
        nodes.append(QNode(name, op, (source,)))

    conv("few", 16, list(range(-20, 21)), 2, 22)
    conv("all", 16, list(range(-20, 21)), 1, 23, density=1.0)
    conv("equal", 12, [-2, -1, 1, 2], 1, 21)
    conv("large", 9, list(range(-9000, 9001, 180)), 1, 31)
    conv("rare", 70, list(range(-20, 21)), 1, 18, bias=-850)
    conv("alone", 9, list(range(-20, 21)), 1, 20, kernel=1)
    nodes.append(QNode("scores", QScores(True), ("alone",)))
    return verify(QGraph("every kernel", tensors["input"], tensors, tuple(nodes), 1.0))


EXPECTED = {
    "cortex-m4": {"dcg_conv_direct_dsp", "dcg_conv_levels_run", "dcg_conv_direct_portable", "dcg_conv_events_run"},
    "cortex-m7": {"dcg_conv_direct_dsp", "dcg_conv_levels_run", "dcg_conv_direct_portable", "dcg_conv_events_run"},
    "cortex-m55": {
        *(
            "dcg_conv_bytes_run",
            "dcg_conv_bytes_short_16",
            "dcg_conv_bytes_short_56",
            "dcg_conv_bytes_wide",
            "dcg_conv_dense_dot",
        ),
        "dcg_conv_events_run",
    },
    "riscv32": {"dcg_conv_bytes_run", "dcg_conv_levels_run", "dcg_conv_events_run"},
}
"""The kernels' functions that each core runs for ``every_kernel``."""


def functions_run(log: Path) -> set[str]:
    """Functions whose code an emulator has translated, as its log tells (``-d in_asm``)."""
    return set(re.findall(r"^IN: (\w+)", log.read_text(), re.MULTILINE))


@pytest.mark.parametrize("core", EXPECTED)
def test_every_kernel_of_every_core_runs_and_is_right(core: str, tmp_path: Path) -> None:
    """Which functions have run is read from the emulator's own log of the code that it has translated."""
    target = find(core)
    assert isinstance(target, Target) and target.emulator
    needs(target)
    graph = every_kernel()
    camera = pictures(graph, 2)
    out = write_firmware(graph, camera[0], tmp_path)
    (check,) = verify_firmware(out, [target], camera, graph)
    assert check.passed, check

    program = build(out / "firmware", target, tmp_path / "build")
    write_request(tmp_path / "pictures.bin", camera, measured=1, traced=0)
    command = [*target.emulator.command(str(program)), "-d", "in_asm", "-D", "log"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=100)
    ran = functions_run(tmp_path / "log")
    all_kernels = set[str]().union(*EXPECTED.values())
    assert ran & all_kernels == EXPECTED[core]


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55", "riscv32"])
@pytest.mark.parametrize("name", GRAPHS)
def test_equals_the_golden_model_on_every_core(name: str, core: str, tmp_path: Path) -> None:
    target = find(core)
    assert isinstance(target, Target)
    needs(target)
    camera = pictures(GRAPHS[name], 1)
    (check,) = verify_firmware(write_firmware(GRAPHS[name], camera[0], tmp_path), [target], camera, GRAPHS[name])
    assert check.passed, check
