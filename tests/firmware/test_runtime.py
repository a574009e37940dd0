"""The C runtime equals the golden model in every byte, under address and undefined-behaviour sanitizers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgen.emit.firmware import model_files
from dcgen.emit.golden import Golden
from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.encode.schema import MAX_CODE_BITS, Status
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.plan.firmware.tables import MIN_TABLE_BITS, TABLE_BITS
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QConcat, QConv, QGraph, QNode, QScores, QTensor, Requant
from dcgen.quant.verify import verify
from tests.firmware.build import HERE, SANITIZED, STRICT, Program, compile_all, run, runtime_objects, write
from tests.firmware.damage import reseal
from tests.firmware.nets import every_operator, extreme_pictures, pictures
from tests.strategies import MANY_CHANNELS, qgraphs

PAIRS = ("-DDCG_PAIRS=1",)
"""Flags that compile the portable twin of a Cortex-M4's direct kernel, to run on this computer."""
DENSE = ("-DDCG_DENSE=1",)
"""The same of a Cortex-M55's kernel for layers that keep most of their weights."""
VECTORS = ("-DDCG_EVENTS_BESIDE=4u",)
"""The same of its kernel for inputs that are mostly zero, with vectors of four."""
FLAGS = (), PAIRS, DENSE, VECTORS


def equal(program: Program) -> None:
    """Assert that ``program`` and the golden model agree in every byte of every tensor and in every score, for
    pictures of noise and of extreme values."""
    graph = program.graph
    expected: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}
    camera = np.concatenate([pictures(graph, 2), extreme_pictures(graph)])
    expected_scores = execute(graph, camera, expected)
    tensors, scores = program.trace(camera)
    assert set(tensors) == {
        n.name for n in graph.nodes if n.name in graph.tensors and not isinstance(n.op, QConcat)
    }
    for name, found in tensors.items():
        np.testing.assert_array_equal(found, expected[name], err_msg=name)
    np.testing.assert_array_equal(scores, expected_scores)


@pytest.mark.parametrize("coding", ["joint", "deep-compression"])
@pytest.mark.parametrize("seed", range(3))
def test_every_operator(seed: int, coding: str, tmp_path: Path) -> None:
    graph = every_operator(seed)
    equal(Program(tmp_path, graph, blob=encode(graph, CodingSettings(coding))))  # type: ignore[arg-type]


@pytest.mark.parametrize("coding", ["joint", "deep-compression"])
@pytest.mark.parametrize("table_bits", [MIN_TABLE_BITS, 6, 9, MAX_CODE_BITS])
def test_decoding_tables_of_every_size(table_bits: int, coding: str, tmp_path: Path) -> None:
    """The weights' codes have all lengths, so that second levels of all widths are read."""
    graph = uneven()
    blob = encode(graph, CodingSettings(coding))  # type: ignore[arg-type]
    lengths = np.sum([layer.stream.n_codes for layer in blob.layers if layer.stream], axis=0)
    assert np.count_nonzero(lengths[MIN_TABLE_BITS:]) > 7
    equal(Program(tmp_path, graph, blob=blob, table_bits=table_bits))


def uneven() -> QGraph:
    """A convolution in which each level is rarer than the one before."""
    rng = np.random.default_rng(0)
    levels = np.append(0, np.setdiff1d(np.arange(-60, 61), 0)).astype(np.int16)
    shape = (70, 40, 3, 3)
    indices = np.minimum(rng.geometric(0.12, shape), len(levels) - 1) * (rng.random(shape) < 0.6)
    picture = QTensor("input", (40, 9, 10), 1.0, 0, (0,) * 40)
    made = QTensor("conv", (70, 7, 8), 1.0, 0, (0,) * 70)
    requant = Requant(np.full(1, 40000, np.uint16), np.full(1, 27, np.uint8))
    bias = np.zeros(70, np.int32)
    op = QConv(levels, indices.astype(np.uint8), bias, 0, requant, (1, 1), (0, 0, 0, 0))
    nodes = QNode("conv", op, ("input",)), QNode("scores", QScores(True), ("conv",))
    return verify(QGraph("uneven", picture, {"input": picture, "conv": made}, nodes, 1.0))


@given(qgraphs(), st.sampled_from(FLAGS), st.sampled_from(TABLE_BITS))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_network(graph: QGraph, flags: tuple[str, ...], table_bits: int) -> None:
    with TemporaryDirectory() as folder:
        equal(Program(Path(folder), graph, flags=flags, table_bits=table_bits))


@pytest.mark.slow
@given(
    qgraphs(max_nodes=7, max_side=20, convs=4, channels=MANY_CHANNELS),
    st.sampled_from(FLAGS),
    st.sampled_from(TABLE_BITS),
)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_network_many(graph: QGraph, flags: tuple[str, ...], table_bits: int) -> None:
    with TemporaryDirectory() as folder:
        equal(Program(Path(folder), graph, flags=flags, table_bits=table_bits))


def test_accumulators_wrap(tmp_path: Path) -> None:
    """A blob may hold biases that make sums overflow 32 bits: runtime and golden model then wrap alike."""
    graph = every_operator(0)
    nodes = [
        replace(n, op=replace(n.op, bias=np.full_like(n.op.bias, 0x7FFFFF00), bias_shift=0))
        if isinstance(n.op, QConv)
        else n
        for n in graph.nodes
    ]
    wrapping = replace(graph, nodes=tuple(nodes))
    program = Program(tmp_path, graph, blob=encode(graph))
    camera = pictures(graph, 2)
    found = program.trace(camera, forged_biases(graph))[1]
    np.testing.assert_array_equal(found, execute(wrapping, camera))


def forged_biases(graph: QGraph) -> bytes:
    """The blob of ``graph`` with every bias 0x7FFFFF00, which ``encode`` would refuse."""
    high = [
        replace(n, op=replace(n.op, bias=np.full_like(n.op.bias, 0x12345678), bias_shift=0))
        if isinstance(n.op, QConv)
        else n
        for n in graph.nodes
    ]
    data = encode(replace(graph, nodes=tuple(high))).data
    return reseal(data.replace((0x12345678).to_bytes(4, "little"), (0x7FFFFF00).to_bytes(4, "little")))


def test_new_weights_swap_in_without_a_new_plan(tmp_path: Path) -> None:
    graph = every_operator(4)
    program = Program(tmp_path, graph)
    rng = np.random.default_rng(1)
    nodes = [
        replace(n, op=replace(n.op, indices=rng.permuted(n.op.indices))) if isinstance(n.op, QConv) else n
        for n in graph.nodes
    ]
    other = replace(graph, nodes=tuple(nodes))
    camera = pictures(graph, 1)
    np.testing.assert_array_equal(program.trace(camera, encode(other).data)[1], execute(other, camera))


def test_selftest_passes_and_names_the_first_wrong_node(tmp_path: Path) -> None:
    graph = every_operator(0)
    golden = Golden.of(graph, pictures(graph, 1))
    assert Program(tmp_path / "good", graph, golden).call("selftest") == b"0 65535 -\n"
    for node in (0, 3, 5):
        checks = tuple(c ^ (i >= node and c != 0) for i, c in enumerate(golden.checks))
        wrong = Program(tmp_path / f"wrong{node}", graph, replace(golden, checks=checks))
        traced = node if golden.checks[node] else node + 1
        assert wrong.call("selftest").decode() == f"{Status.SELFTEST} {traced} {graph.nodes[traced].name}\n"
    wrong_scores = Program(tmp_path / "scores", graph, replace(golden, scores=golden.scores + 1))
    assert wrong_scores.call("selftest").decode() == f"{Status.SELFTEST} {len(graph.nodes) - 1} scores\n"


def test_wrong_arguments(tmp_path: Path) -> None:
    found = [Status(int(s)) for s in Program(tmp_path, every_operator(1)).call("argument").split()]
    assert found == [Status.ARGUMENT] * 6 + [Status.ARENA_SIZE, Status.OK] + [Status.ARGUMENT] * 3


def test_two_models_in_one_program(tmp_path: Path) -> None:
    """Two models link together, and one may run in the middle of the other's run: they share no state."""
    objects = []
    for name, seed in (("first", 0), ("second", 2)):
        graph = every_operator(seed)
        blob = encode(graph)
        write(
            tmp_path,
            model_files(graph, blob, plan_firmware(graph, blob), name, Golden.of(graph, pictures(graph, 1))),
        )
        objects += [tmp_path / f"dcg_{name}{part}" for part in ("_plan.c", "_blob.S", "_selftest.c")]
    sources = [*objects, HERE / "two_models.c"]
    runtime = runtime_objects()
    compile_all(["gcc", *STRICT, *SANITIZED], sources, [runtime, tmp_path], tmp_path)
    links = [*sorted(tmp_path.glob("*.o")), *sorted(runtime.glob("*.o"))]
    run(["gcc", *SANITIZED, *map(str, links), "-o", str(tmp_path / "two")])
    assert run([str(tmp_path / "two")]).decode() == f"0 0 0 0 {Status.TOPOLOGY} 0\n"
