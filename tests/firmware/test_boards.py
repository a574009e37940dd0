"""Random networks on every emulated core: each kernel equals the golden model in every byte."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dcgen.emit.firmware import model_files, runtime_files
from dcgen.emit.golden import Golden
from dcgen.emit.names import ModelNames
from dcgen.emit.ports import port_files
from dcgen.encode.blob import Blob, encode
from dcgen.encode.schema import Status
from dcgen.errors import ToolError
from dcgen.plan.firmware.arena import assign, extent
from dcgen.plan.firmware.plan import FirmwarePlan, plan_firmware
from dcgen.plan.firmware.segments import Cutter, Schedule, whole_layers
from dcgen.plan.firmware.tables import TABLE_BITS
from dcgen.quant.qgraph import QGraph
from dcgen.targets import Target
from dcgen.verify import machines
from dcgen.verify.build import build
from dcgen.verify.toolchain import require
from tests.firmware.build import HERE, write
from tests.firmware.nets import every_operator, extreme_pictures, pictures
from tests.firmware.test_packed import EXPECTED, every_kernel, functions_run
from tests.plan.firmware.test_segments import schedules
from tests.strategies import MANY_CHANNELS, qgraphs
from tests.verify.small import EMULATED

COUNT = 200
NO_NODE = 0xFFFF
OUTCOME = np.dtype([("status", "<i4"), ("wrong_node", "<u2"), ("overrun", "<u2")])
OPERATORS = {
    *("dcg_conv", "dcg_conv_packed", "dcg_conv_scores", "dcg_max_pool", "dcg_avg_pool"),
    *("dcg_add", "dcg_mul", "dcg_table", "dcg_pad", "dcg_upsample", "dcg_scores"),
}
"""The functions that a plan refers to."""


@dataclass(frozen=True)
class Network:
    """A network, how its plan is made, and what must come of one picture.

    golden : the picture, its scores and check values
    schedule : None for whole layers
    tight : whether packed inputs get no memory but what tensors leave free, so that some layers read tensors as
        they lie
    table_bits : bits that decoding tables are entered with; None for as many as suit the network
    """

    graph: QGraph
    golden: Golden
    schedule: Schedule | None = None
    tight: bool = False
    table_bits: int | None = None

    @property
    def blob(self) -> Blob:
        return encode(self.graph)

    @property
    def plan(self) -> FirmwarePlan:
        buffers = (self.schedule or whole_layers(self.graph)).buffers
        memory = extent(buffers, assign(buffers)) if self.tight else None
        return plan_firmware(self.graph, self.blob, self.schedule, memory, self.table_bits)


@cache
def networks() -> tuple[Network, ...]:
    """``COUNT`` different random networks. Half of them run in strips with pictures pushed row by row, half in the
    least memory, a quarter in both. Their decoding tables are of all sizes.

    They are the same ones whenever this file is run by itself: hypothesis draws by the modules that are loaded.
    """
    found: dict[bytes, Network] = {}

    @settings(
        max_examples=3 * COUNT, derandomize=True, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data(), qgraphs(max_nodes=7, max_side=20, convs=4, channels=MANY_CHANNELS), st.integers(0, 3))
    def draw(data: st.DataObject, graph: QGraph, kind: int) -> None:
        schedule = data.draw(schedules(graph))
        blob = encode(graph).data
        if len(found) < COUNT and blob not in found:
            picture = [*pictures(graph, 1, len(found)), *extreme_pictures(graph)][kind]
            streamed, tight = (schedule if len(found) % 2 else None), len(found) % 4 > 1
            bits = TABLE_BITS[len(found) % len(TABLE_BITS)]
            found[blob] = Network(graph, Golden.of(graph, picture[None]), streamed, tight, bits)

    draw()
    return tuple(found.values())


def firmware(drawn: Sequence[Network], folder: Path) -> Path:
    """Write a firmware folder whose program, boards.c, runs the self-test of each network. Returns the folder."""
    names = [ModelNames.of(f"net{i:03d}") for i in range(len(drawn))]
    write(folder, port_files(names[0].name))
    write(folder / "runtime", runtime_files())
    plans = [one.plan for one in drawn]
    for name, one, plan in zip(names, drawn, plans, strict=True):
        files = model_files(one.graph, one.blob, plan, name.name, one.golden)
        if name is names[0]:
            write(folder / "model", files)
        else:  # the Makefile knows the files of one model, and takes all sources that lie in the runtime's folder
            parts = (name.plan_source, name.blob_array, name.selftest_source)
            joined = b"".join(files[part] for part in parts)
            write(folder, {f"model/{name.header}": files[name.header], f"runtime/{name.name}.c": joined})
    rows = [f"{{&{n.symbol}_plan, {n.symbol}_blob, sizeof {n.symbol}_blob, &{n.symbol}_selftest}}," for n in names]
    listed = [
        *(f'#include "{n.header}"' for n in names),
        f"#define N_NETWORKS {len(names)}u",
        f"#define LARGEST_ARENA {max(p.arena_bytes for p in plans)}u",
        f"#define LARGEST_BLOB {max(len(one.blob.data) for one in drawn)}u",
        f"#define LARGEST_PICTURE {max(one.golden.pictures[0].size for one in drawn)}u",
        f"#define MOST_SCORES {max(p.n_scores for p in plans)}u",
        "static const network networks[] = {",
        *rows,
        "};",
    ]
    write(folder / "model", {"networks.h": "\n".join([*listed, ""]).encode()})
    write(folder / "port/harness", {"selftest.c": (HERE / "boards.c").read_bytes()})
    return folder


def outcomes(drawn: Sequence[Network], target: Target, folder: Path) -> tuple[list[str], set[str]]:
    """For each network, what is wrong with it on a core, empty if nothing is; and the functions that ran there.

    The functions are read from the emulator's own log of the code that it has translated.
    """
    require(target)
    assert target.emulator
    logging = replace(target.emulator, options=(*target.emulator.options, "-d", "in_asm", "-D", "log"))
    program = build(firmware(drawn, folder / "firmware"), target, folder / "build", name="selftest")
    no_pictures = np.zeros((0, 1, 1, 1), np.uint8)
    crash = "did not run"
    try:
        machines.run(replace(target, emulator=logging), program, no_pictures, folder, measured=0, traced=0)
    except ToolError as error:
        crash = str(error)
    done = np.fromfile(folder / "results.bin", OUTCOME)
    found = [fault(one.graph, outcome) for one, outcome in zip(drawn, done, strict=False)]
    found += [crash] * (len(drawn) - len(found))
    return found, functions_run(folder / "log")


def fault(graph: QGraph, outcome: np.void) -> str:
    """What is wrong with a network's outcome, in words; empty if nothing is."""
    said = []
    if outcome["status"] != Status.OK:
        said.append(Status(int(outcome["status"])).name)
    if outcome["wrong_node"] != NO_NODE:
        said.append(f"first wrong node {graph.nodes[int(outcome['wrong_node'])].name}")
    if outcome["overrun"]:
        said.append("wrote behind its arena")
    return ", ".join(said)


@pytest.mark.slow
@pytest.mark.parametrize("target", EMULATED, ids=lambda t: t.name)
def test_any_network_on_every_core(target: Target, tmp_path: Path) -> None:
    drawn = networks()
    assert len(drawn) == COUNT
    assert sum(one.schedule is not None for one in drawn) == sum(one.tight for one in drawn) == COUNT // 2
    found, ran = outcomes(drawn, target, tmp_path)
    wrong = [f"network {number}: {text}" for number, text in enumerate(found) if text]
    for number, text in enumerate(found):
        if text:  # kept, as another choice of tests may draw other networks
            (tmp_path / f"net{number:03d}.pickle").write_bytes(pickle.dumps(drawn[number]))
    assert not wrong, f"on {target.check_name}, networks in {tmp_path}:\n" + "\n".join(wrong)
    all_kernels = set[str]().union(*EXPECTED.values())
    assert ran & (all_kernels | OPERATORS) == EXPECTED[target.name] | OPERATORS


@pytest.mark.parametrize("target", EMULATED, ids=lambda t: t.name)
def test_every_alignment_of_picture_blob_and_arena(target: Target, tmp_path: Path) -> None:
    """Every kernel of the core runs at every alignment, by whole layers and row by row in strips."""
    graph = every_kernel()
    golden = Golden.of(graph, pictures(graph, 1))
    streamed = Cutter(graph, streamed=True).schedule(((0, len(graph.nodes), 5),))
    drawn = [Network(graph, golden)] * 16 + [Network(graph, golden, streamed)] * 16
    found, ran = outcomes(drawn, target, tmp_path)
    assert found == [""] * 32
    assert ran >= EXPECTED[target.name]


@pytest.mark.parametrize("target", EMULATED, ids=lambda t: t.name)
def test_the_first_wrong_node_is_told(target: Target, tmp_path: Path) -> None:
    """In one network a bit of a check value is wrong, in another a bit of a score."""
    graph = every_operator(0)
    good = Golden.of(graph, pictures(graph, 1))
    checks = tuple(c ^ (i == 3) for i, c in enumerate(good.checks))
    goldens = (good, replace(good, checks=checks), replace(good, scores=good.scores ^ 1), good)
    found, _ = outcomes([Network(graph, golden) for golden in goldens], target, tmp_path)
    assert found == ["", "SELFTEST, first wrong node n3", "SELFTEST, first wrong node scores", ""]
